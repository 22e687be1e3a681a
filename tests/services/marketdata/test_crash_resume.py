"""Killed anywhere, the replay publishes what it would have published: the same events in the same order, each once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from libs.contracts.market import ControlFeed, InstrumentDefined
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness
from services.marketdata import stepping
from services.marketdata.adapters.dataset import survey
from services.marketdata.batches import TimestampBatch
from services.marketdata.engine import MarketDataEngine
from services.marketdata.feeds import FeedState
from services.marketdata.stepping import REPLAY_FEED, Forward, opening_command, step_groups
from tests.services.marketdata.builders import DAY, Fleet, Stopped, close, instrument, settings, source, ts


class Crash(Exception):
    """The process is gone."""


def make(clock: Any, outbox: Any) -> MarketDataEngine:
    return MarketDataEngine(clock, outbox, settings())


def data_set() -> list[TimestampBatch]:
    """Four days; on day 2 more symbols than one part holds, on day 3 a new one."""
    names = [f"S{n:02d}.X" for n in range(7)]
    symbols = {1: names[:2], 2: names[:6], 3: [names[6]], 4: names}
    known: set[str] = set()
    batches = []
    for day, present in symbols.items():
        new = [name for name in present if name not in known]
        known.update(new)
        batches.append(
            TimestampBatch(
                day * DAY,
                closes=[close(name, day * DAY, float(day)) for name in present],
                instruments=[instrument(name, day * DAY) for name in new],
            )
        )
    return batches


def commands_from(feed: FeedState, batches: list[TimestampBatch]) -> list[Event]:
    """What a source sends that starts anew beside an engine whose cursor is ``feed``."""
    walk = Forward(iter(batches))
    commands: list[Event] = []
    target = feed.resume_ns
    while (batch := walk.next_from(target)) is not None:
        commands.extend(command for group in step_groups(REPLAY_FEED, batch) for command in group)
        target = batch.ts_event + 1
    return commands


@given(st.lists(st.integers(0, 30), max_size=8), st.booleans())
def test_an_engine_and_a_source_that_restart_anywhere_publish_the_same(lives: list[int], engine_too: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepping, "MAX_PART_RECORDS", 2)
        batches = data_set()
        whole = EngineHarness(make)
        whole.send(*commands_from(FeedState(REPLAY_FEED), batches))
        harness = EngineHarness(make)
        for sent in [*lives, 1_000]:  # each life sends this many commands and dies, the last one finishes
            feed = harness.engine.state.feeds.get(REPLAY_FEED) or FeedState(REPLAY_FEED)
            harness.send(*commands_from(feed, batches)[:sent])
            if engine_too:
                harness.restart()
    assert harness.published == whole.published
    # The feed appears, 7 instruments, 16 closes, 4 days of three stages.
    assert len(whole.published) == 1 + 7 + (2 + 6 + 1 + 7) + 4 * 3


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["before", "after", "asleep"]), st.integers(0, 40)), max_size=6), st.booleans()
)
def test_a_replay_killed_anywhere_publishes_the_same(kills: list[tuple[str, int]], seeks: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "closes.csv"
        # C is first priced on a day that the seek leaves out; its definition must come with its price of day 6.
        path.write_text(
            "timestamp,A,B,C\n" + "".join(f"2020-01-0{d},{d},1{d},{d if d in (2, 6) else ''}\n" for d in range(1, 7))
        )
        chosen = settings(source(path, symbols={name: f"{name}.XNAS" for name in "ABC"}, timestamp={"unit": "date"}))
        whole, fleet = Fleet(chosen), Fleet(chosen)
        for one in (whole, fleet) if seeks else ():
            one.simulation.send(opening_command(survey(chosen), 0.0))
            one.simulation.send(ControlFeed(0, REPLAY_FEED, "seek", "ops", to_ns=ts("2020-01-04")))
        with pytest.raises(Stopped):
            asyncio.run(whole.adapter().run())
        for moment, count in kills:
            _arm(fleet, moment, count)
            with pytest.raises((Crash, Stopped)):
                asyncio.run(fleet.adapter().run())
            fleet.simulation.drain()  # the engine lives on and carries out what the bus has
        _disarm(fleet)
        with pytest.raises(Stopped):
            asyncio.run(fleet.adapter().run())
    assert fleet.published == whole.published
    assert not fleet.simulation.dead
    assert sum(isinstance(event, InstrumentDefined) for event in whole.published) == 3


def _arm(fleet: Fleet, moment: str, count: int) -> None:
    """Kill the replay at its ``count``-th command (before or after the bus has it) or nap."""
    _disarm(fleet)
    left = count

    def tick() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    if moment == "before":
        fleet.before_post = lambda _command: tick()
    elif moment == "after":

        def after(_command: Event) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                fleet.simulation.post(_command)
                raise Crash

        fleet.before_post = after
    else:

        def asleep() -> None:
            fleet.stop_when_finished()
            tick()

        fleet.on_sleep = asleep


def _disarm(fleet: Fleet) -> None:
    fleet.before_post = lambda _command: None
    fleet.on_sleep = fleet.stop_when_finished
