"""The state machine: publishes once, in order, and refuses what cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest

from libs.clock import Clock
from libs.contracts.market import (
    CloseStep,
    FeedStateChanged,
    IngestMarketData,
    InstrumentDefined,
    ReportFeedState,
    StepClosed,
)
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.marketdata.batches import TimestampBatch
from services.marketdata.engine import MarketDataEngine
from services.marketdata.stepping import step_groups
from tests.services.marketdata.builders import DAY, bar, close, day_batch, instrument, quote, settings, trade

SETTINGS = settings(recent_per_symbol=3, recent_overall=8)


def make(clock: Clock, outbox: Outbox) -> MarketDataEngine:
    return MarketDataEngine(clock, outbox, SETTINGS)


def commands(*batches: TimestampBatch, feed: str = "replay") -> Iterator[Event]:
    for batch in batches:
        for group in step_groups(feed, batch):
            yield from group


OPENING = ReportFeedState(DAY, "replay", "running", "3 days", 30.0, DAY, 9 * DAY, 9)


def test_a_timestamp_is_published_in_canonical_order_and_closed_in_stages() -> None:
    batch = TimestampBatch(
        DAY, [bar("A.X", DAY)], [close("B.X", DAY)], [quote("A.X", DAY)], [trade("A.X", DAY)],
        [instrument("A.X"), instrument("B.X")],
    )  # fmt: skip
    published = EngineHarness(make).send(OPENING, *commands(batch))
    assert published == [
        FeedStateChanged(DAY, "replay", "running", "3 days", 0, 30.0),
        *batch.instruments, *batch.bars, *batch.closes, *batch.quotes, *batch.trades,
        *(StepClosed(DAY, stage, 1, "replay") for stage in ("mark", "assess", "decide")),
    ]  # fmt: skip


def test_every_command_may_come_twice() -> None:
    once, twice = EngineHarness(make), EngineHarness(make)
    for command in (OPENING, *commands(day_batch(1, "A.X", define=True), day_batch(2, "A.X"))):
        once.send(command)
        twice.send(command)
        twice.send(command)
    assert twice.published == once.published
    assert twice.engine.state.repeated == 8  # of two timestamps; a repeated report needs no cursor
    assert [one.step for one in twice.of_type(StepClosed)] == [1, 1, 1, 2, 2, 2]


def test_an_instrument_is_published_again_only_when_it_changes() -> None:
    harness = EngineHarness(make)
    again = TimestampBatch(2 * DAY, closes=[close("A.X", 2 * DAY)], instruments=[instrument("A.X", 2 * DAY)])
    changed = msgspec.structs.replace(instrument("A.X", 3 * DAY), tick_size="0.5")
    third = TimestampBatch(3 * DAY, closes=[close("A.X", 3 * DAY)], instruments=[changed])
    harness.send(*commands(day_batch(1, "A.X", define=True), again, third))
    assert harness.of_type(InstrumentDefined) == [instrument("A.X", DAY), changed]


@pytest.mark.parametrize(
    ("before", "command", "code"),
    [
        ([], CloseStep(DAY, "replay", "mark"), "unknown-feed"),
        ([], IngestMarketData(DAY, "replay", 1, True), "part-missing"),
        (["data"], CloseStep(DAY, "replay", "assess"), "stage-early"),
        (["data"], CloseStep(2 * DAY, "replay", "mark"), "stage-early"),
        (["data"], IngestMarketData(2 * DAY, "replay", 0, True), "step-open"),
        (["data"], IngestMarketData(DAY, "replay", 1, True), "step-complete"),
        (["data"], IngestMarketData(2 * DAY, "other", 0, True), "step-open"),
        (["half"], CloseStep(DAY, "replay", "mark"), "stage-early"),
        (["half"], IngestMarketData(DAY, "replay", 2, True), "part-missing"),
        (["done"], IngestMarketData(DAY, "other", 0, True), "time-backwards"),
        (["opening"], IngestMarketData(DAY, "ingest", 0, True), "replay-running"),
    ],
)
def test_what_comes_out_of_turn_is_refused_and_changes_nothing(before: list[str], command: Event, code: str) -> None:
    harness = EngineHarness(make)
    data, *stages = (group[0] for group in step_groups("replay", day_batch(1, "A.X", define=True)))
    half = IngestMarketData(DAY, "replay", 0, False, closes=[close("A.X", DAY)], instruments=[instrument("A.X")])
    sent = {"data": [data], "half": [half], "done": [data, *stages], "opening": [OPENING]}
    harness.send(*(one for name in before for one in sent[name]))
    state = msgspec.msgpack.encode(harness.engine.snapshot())
    with pytest.raises(CommandRefused) as caught:
        harness.send(command)
    assert (caught.value.code, caught.value.status) == (code, 404 if code == "unknown-feed" else 409)
    assert caught.value.remedy
    assert msgspec.msgpack.encode(harness.engine.snapshot()) == state


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (close("A.X", DAY, float("nan")), "close of A.X: close must be a finite price above 0, was nan"),
        (close("A.X", 2 * DAY), f"ts_event must be that of the command, {DAY}, was {2 * DAY}"),
        (close("Z.X", DAY), "close of Z.X: symbol must be defined before its first price, was not"),
    ],
)
def test_a_part_with_a_wrong_record_is_refused_whole(record: Event, text: str) -> None:
    harness = EngineHarness(make)
    with pytest.raises(CommandRefused) as caught:
        harness.send(
            IngestMarketData(
                DAY, "replay", 0, True, closes=[close("A.X", DAY), record], instruments=[instrument("A.X")]
            )
        )  # type: ignore[list-item]
    assert caught.value.status == 422
    assert text in caught.value.detail
    assert harness.published == []


def test_feed_states_carry_the_datas_time_and_never_the_wall_clock() -> None:
    harness = EngineHarness(make)
    harness.send(OPENING, *commands(day_batch(1, "A.X", define=True), day_batch(2, "A.X")))
    harness.send(ReportFeedState(0, "replay", "finished", "done"))
    assert [(one.ts_event, one.state, one.cursor_ns) for one in harness.of_type(FeedStateChanged)] == [
        (DAY, "running", 0),
        (2 * DAY, "finished", 2 * DAY),
    ]


def test_another_feed_goes_on_after_the_replay_has_ended() -> None:
    harness = EngineHarness(make)
    harness.send(OPENING, *commands(day_batch(1, "A.X", define=True)), ReportFeedState(0, "replay", "finished"))
    harness.send(*commands(day_batch(2, "A.X"), feed="ingest"))
    assert [(one.ts_event, one.step, one.source) for one in harness.of_type(StepClosed)][-1] == (2 * DAY, 2, "ingest")


def test_recent_records_are_bounded_per_symbol_and_overall() -> None:
    harness = EngineHarness(make)
    for day in range(1, 8):
        harness.send(*commands(day_batch(day, "A.X", define=True)))
    assert [one.ts_event for one in harness.engine.book.recent("A.X", ["close"], 10)] == [5 * DAY, 6 * DAY, 7 * DAY]
    names = [f"S{n}.X" for n in range(20)]
    harness.send(*commands(day_batch(8, *names, define=True)))
    assert all(len(harness.engine.book.recent(name, ["close"], 10)) == 1 for name in (*names, "A.X"))
    assert harness.engine.book.held == 21


def test_status_counts_what_it_did() -> None:
    harness = EngineHarness(make)
    harness.send(OPENING, *commands(day_batch(1, "A.X", "B.X", define=True)))
    status = harness.engine.status()
    assert status["messages_processed"] == 2
    assert status["published"] == {"bar": 0, "close": 2, "quote": 0, "trade": 0}
    assert (status["steps"], status["symbols"], status["recent_records"]) == (1, 2, 2)
    assert status["feeds"][0]["cursor_ns"] == DAY


def test_a_snapshot_holds_everything() -> None:
    sequence = [OPENING, *commands(day_batch(1, "A.X", define=True), day_batch(2, "A.X"), day_batch(3, "A.X"))]
    for cut in range(1, len(sequence) - 1):
        # Every cut: after the report, in the middle of a timestamp, between stages. The tail repeats the last command.
        check_snapshot_is_complete(make, sequence[:cut], [*sequence[cut - 1 :]])


def test_recent_records_survive_a_restart() -> None:
    harness = EngineHarness(make)
    batches = [
        TimestampBatch(d * DAY, [bar("A.X", d * DAY)], [], [quote("A.X", d * DAY)], [], [instrument("A.X")])
        for d in (1, 2)
    ]
    harness.send(*commands(*batches))
    before = harness.engine.book.recent("A.X", ["bar", "quote"], 10)
    latest = harness.engine.book.latest["A.X"]
    harness.restart()
    assert harness.engine.book.recent("A.X", ["bar", "quote"], 10) == before
    assert harness.engine.book.latest["A.X"] == latest
    harness.send(*commands(day_batch(3, "A.X")))
    times = [one.ts_event for one in harness.engine.book.recent("A.X", ["bar", "quote", "close"], 10)]
    assert all(a <= b for a, b in pairwise(times))
    assert times[-1] == 3 * DAY
