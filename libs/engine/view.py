"""A host as its control surface sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from libs.clock.live import monotonic_ns
from libs.contracts.system import EngineState
from libs.engine.announce import announce
from libs.engine.errors import CommandRefused
from libs.engine.host import Host
from libs.engine.parts import ProcessParts
from libs.engine.vitals import Change, InputFact, Vitals

_SECOND = 1_000_000_000
_SNAPSHOT_SECONDS = 30.0


class EngineView:
    """Reads a :class:`~libs.engine.host.Host` and the process around it.

    Args:
        max_input_age_seconds: By topic name; see :class:`~libs.engine.component.Component`.
    """

    role = "sequenced"

    def __init__(self, host: Host, parts: ProcessParts, max_input_age_seconds: Mapping[str, float]) -> None:
        self.name = host.name
        self.instance = parts.instance
        self.version = host.core.code
        self._host = host
        self._parts = parts
        self._max_ages = dict(max_input_age_seconds)
        routes = host.engine.routes()
        self._topics = {route.topic.name: route.topic.stream for route in routes}
        self._upstreams = sorted({route.topic.producer for route in routes} - {"*", host.name})
        self._seen_commits = -1
        self._progress_ns = monotonic_ns()
        self._pause_reason = ""

    # -- reading ----------------------------------------------------------------------------------

    def sample(self) -> EngineState:
        """See :class:`~libs.engine.health.HostView`: progress is a commit, or having nothing left to commit."""
        committer = self._host.committer
        if committer.commits != self._seen_commits or not (committer.behind or self._host.lag_entries):
            self._seen_commits = committer.commits
            self._progress_ns = monotonic_ns()
        return "stopped" if self._parts.stopping and self._host.state != "failed" else self._host.state

    def vitals(self) -> Vitals:
        """See :class:`~libs.engine.health.HostView`."""
        state = self.sample()
        host, parts, now = self._host, self._parts, monotonic_ns()
        committer, inputs = host.committer, host.inputs
        letter_ns = inputs.last_dead_letter_ns
        return Vitals(
            state=state,
            epoch=committer.lease.epoch,
            uptime_seconds=parts.uptime_seconds,
            progress_age_seconds=(now - self._progress_ns) / _SECOND,
            lag_entries=host.lag_entries,
            lag_seconds=committer.lag_seconds,
            caught_up=committer.caught_up,
            loop_tick_age_seconds=parts.loop.tick_age_seconds,
            loop_lag_seconds=parts.loop.lag_seconds,
            bus_age_seconds=parts.ping.age_seconds,
            inputs=self._inputs(),
            tasks=parts.tasks.facts(self.name),
            upstreams=parts.watch.heartbeats.upstreams(self._upstreams),
            dead_letters=inputs.dead_letters,
            dead_letter_age_seconds=(now - letter_ns) / _SECOND if letter_ns else None,
            journal_entries=committer.commits,
            last_hash=committer.last_hash.hex(),
            snapshot_number=host.snapshot_number,
            snapshot_age_seconds=(now - host.snapshot_ns) / _SECOND if host.snapshot_number else None,
            halts=parts.watch.halts.in_force(),
            faults=tuple(str(fault) for fault in host.engine.status().get("faults", ())),
            pause_reason=self._pause_reason,
            standby=host.standby_fact,
            watched=host.lease.watched,
        )

    def counters(self) -> Mapping[str, Any]:
        """See :class:`~libs.engine.health.HostView`."""
        host = self._host
        own = {name: value for name, value in host.engine.status().items() if name != "faults"}
        return {
            "events_processed": host.inputs.events,
            "commits": host.committer.commits,
            "dead_letters": host.inputs.dead_letters,
            "replayed_at_start": host.replayed,
            **own,
        }

    def clock_ns(self) -> int:
        """See :class:`~libs.engine.health.HostView`."""
        return self._host.core.clock.timestamp_ns()

    def _inputs(self) -> tuple[InputFact, ...]:
        wall = self._parts.clock.timestamp_ns()
        facts = []
        behind = self._host.committer.behind
        for topic, stream in sorted(self._topics.items()):
            state = self._host.inputs.topics.get(topic)
            seen = state is not None and state.last_event_ns > 0
            last = state.last_event_ns if state is not None and seen else None
            age = None if last is None else max(0.0, (wall - last) / _SECOND)
            count, lag = state.count if state else 0, None if stream in behind else 0
            facts.append(InputFact(topic, last, age, count, self._max_ages.get(topic), lag))
        return tuple(facts)

    # -- controlling ------------------------------------------------------------------------------

    async def pause(self, actor: str, reason: str) -> Change:
        """See :class:`~libs.engine.health.HostView`."""
        previous = self._require("running", "paused")
        self._host.pause()
        self._pause_reason = f"{reason} ({actor})" if reason else actor
        return await self._announce(previous, actor, reason)

    async def resume(self, actor: str, reason: str) -> Change:
        """See :class:`~libs.engine.health.HostView`."""
        previous = self._require("running", "paused")
        self._host.resume()
        self._pause_reason = ""
        return await self._announce(previous, actor, reason)

    async def snapshot(self, actor: str, reason: str) -> Change:
        """See :class:`~libs.engine.health.HostView`."""
        previous = self._require("running", "paused")
        try:
            async with asyncio.timeout(_SNAPSHOT_SECONDS):
                number = await asyncio.shield(asyncio.ensure_future(self._host.snapshot_now()))
        except TimeoutError:
            raise CommandRefused(
                503,
                "not-ready",
                f"no snapshot of {self.name} was stored within {_SNAPSHOT_SECONDS:g} s; it may still be",
                "look at /health for the message bus, then ask again",
            ) from None
        return await self._announce(previous, actor, f"snapshot of commit {number}: {reason}".rstrip(": "), number)

    def _require(self, *states: EngineState) -> EngineState:
        state: EngineState = "stopped" if self._parts.stopping else self._host.state
        if state not in states:
            raise CommandRefused(
                409, "not-running", f"{self.name} must be {' or '.join(states)}, was {state}", "wait until it is"
            )
        return state

    async def _announce(self, previous: EngineState, actor: str, reason: str, number: int | None = None) -> Change:
        return await announce(self._parts, self.name, previous, self._host.state, actor, reason, number)
