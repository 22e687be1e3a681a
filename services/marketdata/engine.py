"""The marketdata state machine: publishes what sources ingest, once, and closes the timestamps of the fleet.

Sources are pure readers beside it. Everything they do arrives here as a command and is journaled, so how far a replay
has come survives any crash, and a repeated command is recognised. Nothing that is published depends on a setting: the
journal of yesterday replays the same under the settings of today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.clock import Clock
from libs.contracts import topics
from libs.contracts.market import (
    STEP_STAGES,
    CloseStep,
    ControlFeed,
    FeedStateChanged,
    IngestMarketData,
    InstrumentDefined,
    ReportFeedState,
    StepClosed,
)
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.messagebus.topic import Route, on
from services.marketdata.batches import terms_of
from services.marketdata.book import KINDS, Book, Latest
from services.marketdata.control import apply_control
from services.marketdata.feeds import ENDED, FeedState, note_part, step_open, wants_part, wants_stage
from services.marketdata.settings import MarketDataSettings
from services.marketdata.validation import Record, check_record


class MarketDataState(msgspec.Struct):
    """Everything that survives a restart.

    Attributes:
        timeline_ns: The newest timestamp of any feed: the fleet's time in a replay.
        step: Timestamps whose three stages are closed.
        published: Records published, by kind.
        repeated: Commands that had been carried out before and changed nothing.
        instruments, latest, recent: By symbol.
    """

    feeds: dict[str, FeedState] = {}
    timeline_ns: int = 0
    step: int = 0
    published: dict[str, int] = {}
    repeated: int = 0
    instruments: dict[str, InstrumentDefined] = {}
    latest: dict[str, Latest] = {}
    recent: dict[str, list[Record]] = {}


class MarketDataEngine:
    """Publishes market data and steps; see the module."""

    name = "marketdata"
    state_type: type[msgspec.Struct] = MarketDataState

    def __init__(self, clock: Clock, outbox: Outbox, settings: MarketDataSettings) -> None:
        self._clock = clock
        self._outbox = outbox
        self._limits = (settings.recent_per_symbol, settings.recent_overall)
        self.state = MarketDataState(published=dict.fromkeys(KINDS.values(), 0))
        self.book = Book(*self._limits)

    def routes(self) -> Sequence[Route]:
        """Commands only: this engine reads no other one."""
        return (
            on(topics.INGEST, self.on_ingest),
            on(topics.CLOSE_STEP, self.on_close_step),
            on(topics.CONTROL_FEED, self.on_control_feed),
            on(topics.REPORT_FEED_STATE, self.on_report_feed_state),
        )

    def on_start(self) -> None:
        """Nothing is published before a source speaks."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        """No timers are armed here."""

    # -- data -------------------------------------------------------------------------------------

    def on_ingest(self, command: IngestMarketData) -> None:
        """Publish the records of one part, in canonical order, unless that was done already."""
        state = self.state
        feed = state.feeds.get(command.feed) or FeedState(command.feed)
        if not wants_part(feed, command, state.timeline_ns):
            state.repeated += 1
            return self._outbox.reply({"published": 0, "repeated": True})
        other = self.open_feed()
        if other is not None and other.feed != command.feed:
            raise step_open(other, command.ts_event)
        if not feed.is_replay:
            self._refuse_beside_replay(feed)
        self._check(command)
        if command.feed not in state.feeds:
            state.feeds[command.feed] = feed
            self._change(feed, "running", "", command.ts_event)
        for instrument in command.instruments:
            self._define(instrument)
        count = 0
        for records in (command.bars, command.closes, command.quotes, command.trades):
            for record in records:
                self._outbox.publish(record)
                self.book.add(record)
            if records:
                state.published[KINDS[type(records[0])]] += len(records)
                count += len(records)
        note_part(feed, command, count)
        state.timeline_ns = command.ts_event
        return self._outbox.reply({"published": count, "repeated": False})

    def on_close_step(self, command: CloseStep) -> None:
        """Publish ``StepClosed`` for the stage, once and in order."""
        state = self.state
        feed = self._feed(command.feed)
        if not wants_stage(feed, command):
            state.repeated += 1
            return
        self._outbox.publish(StepClosed(command.ts_event, command.stage, state.step + 1, command.feed))
        feed.stages += 1
        if feed.stages == len(STEP_STAGES):
            state.step += 1

    def _define(self, instrument: InstrumentDefined) -> None:
        known = self.state.instruments.get(instrument.symbol)
        if known is None or terms_of(known) != terms_of(instrument):
            self.state.instruments[instrument.symbol] = instrument
            self._outbox.publish(instrument)

    def _check(self, command: IngestMarketData) -> None:
        """Refuse a whole part with a record that is wrong: sources check row by row and should have named it."""
        defined = self.state.instruments.keys() | {instrument.symbol for instrument in command.instruments}
        for records in (command.bars, command.closes, command.quotes, command.trades):
            for record in records:
                problem = check_record(record)
                text = "" if problem is None else str(problem)
                if record.ts_event != command.ts_event:
                    text = f"ts_event must be that of the command, {command.ts_event}, was {record.ts_event}"
                elif record.symbol not in defined:
                    text = "symbol must be defined before its first price, was not; send its instrument along"
                if text:
                    raise CommandRefused(
                        422, "invalid-record", f"{KINDS[type(record)]} of {record.symbol}: {text}",
                        "correct the record; nothing of this part was published",
                    )  # fmt: skip

    def _refuse_beside_replay(self, feed: FeedState) -> None:
        for _, other in sorted(self.state.feeds.items()):
            if other.feed != feed.feed and other.is_replay and other.state not in ENDED:
                raise CommandRefused(
                    409, "replay-running",
                    f"feed '{other.feed}' is {other.state} and gives the fleet its time; '{feed.feed}' has to wait",
                    "wait until the replay has finished, or set MARKETDATA_SOURCES=none in another data directory",
                )  # fmt: skip

    # -- feeds ------------------------------------------------------------------------------------

    def on_report_feed_state(self, command: ReportFeedState) -> None:
        """Note what an adapter says about its feed; announce it when it is new."""
        feed = self.state.feeds.setdefault(command.feed, FeedState(command.feed))
        feed.first_ns, feed.last_ns, feed.steps_total = command.first_ns, command.last_ns, command.steps
        if command.speed != feed.reported_speed:
            feed.reported_speed = feed.speed = command.speed
        report = [command.state, command.detail]
        if report != feed.report:  # a restarted adapter repeats itself; only news is published
            feed.report = report
            state = "paused" if feed.is_paused and command.state == "running" else command.state
            self._change(feed, state, command.detail, command.ts_event)
        self._outbox.reply(feed.view())

    def on_control_feed(self, command: ControlFeed) -> None:
        """Pause, resume, seek or pace a replay."""
        feed = self._feed(command.feed)
        before = feed.state
        detail = apply_control(feed, command, self.state.timeline_ns)
        if detail:
            state = before
            if command.action in ("pause", "resume"):
                state = "paused" if feed.is_paused else "running"
            self._change(feed, state, detail, command.ts_event)
        self._outbox.reply(feed.view())

    def _change(self, feed: FeedState, state: Any, detail: str, ts_event: int) -> None:
        feed.state, feed.detail = state, detail
        # Never the wall clock: this travels in the market family and would set every clock of a replay to today.
        ts = self.state.timeline_ns or ts_event
        self._outbox.publish(FeedStateChanged(ts, feed.feed, state, detail, feed.cursor_ns, feed.speed))

    def _feed(self, name: str) -> FeedState:
        feed = self.state.feeds.get(name)
        if feed is None:
            known = ", ".join(sorted(self.state.feeds)) or "none yet"
            raise CommandRefused(404, "unknown-feed", f"feed must be one of {known}, was '{name}'", "see GET /feeds")
        return feed

    # -- what stands beside the engine ------------------------------------------------------------

    def open_feed(self) -> FeedState | None:
        """The feed whose timestamp is open, if any; at most one is."""
        for feed in self.state.feeds.values():
            if feed.is_open:
                return feed
        return None

    def snapshot(self) -> MarketDataState:
        """The whole state."""
        self.state.latest = self.book.latest
        self.state.recent = self.book.dump()
        return self.state

    def restore(self, state: MarketDataState) -> None:
        """Go on from a snapshot."""
        self.state = state
        self.book = Book(*self._limits)
        self.book.load(state.latest, state.recent)
        state.recent = {}

    def status(self) -> Mapping[str, Any]:
        """Counters for ``/status``."""
        state = self.state
        return {
            "messages_processed": sum(state.published.values()),
            "published": dict(state.published),
            "steps": state.step,
            "timeline_ns": state.timeline_ns,
            "repeated_commands": state.repeated,
            "symbols": len(state.instruments),
            "recent_records": self.book.held,
            "feeds": [feed.view() for _, feed in sorted(state.feeds.items())],
        }
