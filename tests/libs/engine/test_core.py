"""The synchronous heart: causes, timers, dead letters, replies, and the same bytes for the same input."""

from __future__ import annotations

import msgspec
import pytest

from libs.clock import TestClock
from libs.contracts import topics
from libs.contracts.market import StepClosed
from libs.contracts.orders import SignalGenerated
from libs.contracts.portfolio import CashMoved
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused, RoutingError, SnapshotError
from libs.engine.journal import decode_journal
from libs.engine.snapshot import restore_image, take_image
from libs.messagebus.envelope import Input, RecordBatch
from libs.messagebus.topic import Event, on
from libs.messagebus.transport import Entry, StoredSnapshot
from tests.libs.engine import echo_engine as echo


def make_core(follow_events: bool = False) -> EngineCore:
    clock, outbox = TestClock(), Outbox()
    return EngineCore(echo.EchoEngine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=follow_events)


def entry(*events: Event, sequence: int = 0, producer: str = "source", **links: object) -> Entry:
    batch = RecordBatch(producer, sequence, 0, list(events), **links)
    return Entry(REGISTRY.topic_of(events[0]).stream, f"{sequence + 1}-0", CODEC.encode(batch))


def published(batch: Batch) -> list[Event]:
    return [event for output in batch.outputs for event in CODEC.decode(output.data).events]


def test_an_output_knows_its_direct_and_its_root_cause() -> None:
    core = make_core()
    roots = entry(echo.trade(1), echo.trade(2), sequence=100)
    caused = entry(
        echo.trade(3), echo.trade(4), sequence=7, producer="relay",
        inputs=[Input("market", 40, 2)], causes=[0, 1], roots=[],
    )  # fmt: skip
    outputs = core.process([roots, caused], 10).outputs
    batch = CODEC.decode(outputs[0].data)
    assert [event.strength for event in batch.events] == [2.0, 4.0]
    assert [batch.causation_id(0), batch.causation_id(1)] == ["source:101", "relay:8"]
    assert [batch.correlation_id(0), batch.correlation_id(1)] == ["source:101", "market:41"]


def test_a_root_cause_survives_a_chain_of_engines() -> None:
    core = make_core()
    middle = entry(
        echo.trade(3), echo.trade(4), sequence=7, producer="relay",
        inputs=[Input("other", 5, 2)], causes=[0, 1], roots=["market:1", "market:2"],
    )  # fmt: skip
    batch = CODEC.decode(core.process([middle], 10).outputs[0].data)
    assert batch.correlation_id(0) == "market:2"


def test_sequence_numbers_have_no_gaps_over_streams_and_batches() -> None:
    core = make_core()
    numbers: list[int] = []
    for index in range(3):
        result = core.process(
            [
                entry(echo.trade(1), echo.trade(2), sequence=index),
                entry(echo.cash(1, "5", f"r{index}"), sequence=index),
            ],
            10,
        )
        for output in result.outputs:
            batch = CODEC.decode(output.data)
            numbers += range(batch.sequence, batch.sequence + len(batch.events))
    assert numbers == list(range(6))


def test_a_raising_handler_publishes_nothing_and_its_event_is_kept() -> None:
    core = make_core()
    result = core.process([entry(echo.trade(1), echo.trade(2, price=-1.0), echo.trade(3), sequence=50)], 10)
    letters = [event for event in published(result) if isinstance(event, EventDeadLettered)]
    signals = [event for event in published(result) if isinstance(event, SignalGenerated)]
    assert [signal.reason for signal in signals] == ["even"]
    assert letters[0].error == "ValueError: price must be positive, was -1.0"
    assert (letters[0].event_id, letters[0].topic, letters[0].index) == ("source:51", "marketdata.tick", 1)
    assert CODEC.decode_event(letters[0].payload) == echo.trade(2, price=-1.0)


def test_equal_failures_have_equal_hashes() -> None:
    core = make_core()
    first = core.process([entry(echo.trade(1, price=-1.0))], 10).dead[0]
    second = core.process([entry(echo.trade(9, price=-2.0))], 20).dead[0]
    assert first.traceback_hash == second.traceback_hash


def test_one_bad_event_does_not_take_its_batch_with_it() -> None:
    core = make_core()
    good = msgspec.msgpack.encode(echo.trade(1))
    bad = msgspec.msgpack.encode(["marketdata.tick.v1", 2, "AAA.X", "not a price", 1.0, "buy", "test"])
    raw = msgspec.msgpack.encode(["source", 5, 0, [msgspec.Raw(good), msgspec.Raw(bad), msgspec.Raw(good)]])
    result = core.process([Entry("market:normal", "1-0", raw)], 10)
    assert core.engine.status()["counts"] == {"AAA.X": 2}
    assert [(letter.event_id, letter.index) for letter in result.dead] == [("source:6", 1)]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", b"not msgpack at all", bytes(100)])
def test_rubbish_is_dead_lettered_and_the_next_entry_handled(data: bytes) -> None:
    core = make_core()
    result = core.process([Entry("market:normal", "1-0", data), entry(echo.trade(1), sequence=1)], 10)
    assert len(result.dead) == 1
    assert core.engine.status()["counts"] == {"AAA.X": 1}
    assert result.positions == {"market:normal": "2-0"}


def test_timers_fire_at_their_time_before_the_events_of_the_batch() -> None:
    core = make_core()
    core.process([entry(StepClosed(1_000, "mark", 1))], 1_000)
    result = core.process([entry(echo.trade(1), echo.trade(2))], 3_500)
    signals = [event for event in published(result) if isinstance(event, SignalGenerated)]
    assert [(signal.ts_event, signal.reason) for signal in signals] == [(2_000, "timer"), (3_000, "timer"), (2, "even")]
    batch = CODEC.decode(result.outputs[0].data)
    assert [batch.causation_id(index) for index in range(3)] == ["", "", "source:1"]


def test_a_replaying_clock_follows_the_market_and_nothing_else() -> None:
    core = make_core(follow_events=True)
    core.process([entry(echo.cash(9_999_999, "5"))], 0)
    assert core.clock.timestamp_ns() == 0
    core.process([entry(echo.trade(500), echo.trade(400))], 0)
    assert core.clock.timestamp_ns() == 500


def test_commands_are_answered_and_refusals_change_nothing() -> None:
    core = make_core()
    result = core.process(
        [entry(echo.cash(1, "5", "a"), echo.cash(2, "-9", "b"), echo.cash(3, "1", "c"), sequence=20)], 10
    )
    assert result.replies["source:20"] == {"balance": "5"}
    assert isinstance(refusal := result.replies["source:21"], CommandRefused)
    assert (refusal.status, refusal.code) == (409, "overdraft")
    assert result.replies["source:22"] == {"balance": "6"}
    assert result.dead == []
    assert [event.reference for event in published(result) if isinstance(event, CashMoved)] == ["a", "c"]


def test_the_same_input_gives_the_same_bytes_and_the_journal_says_what_was_read() -> None:
    entries = [
        entry(echo.trade(1), echo.trade(2)),
        entry(echo.trade(3), sequence=2),
        entry(echo.cash(1, "5"), sequence=3),
    ]
    first, second = make_core(), make_core()
    one, two = first.process(entries, 77), second.process(entries, 77)
    assert (one.outputs, one.journal) == (two.outputs, two.journal)
    journal = decode_journal(one.journal)
    assert journal.ts_batch == 77
    assert [(span.stream, span.first, span.last, span.count) for span in journal.ranges] == [
        ("market:normal", "1-0", "3-0", 2),
        ("inbox.portfolio:high", "4-0", "4-0", 1),
    ]
    assert journal.output_hash == one.output_hash != b""


def test_a_snapshot_restores_state_clock_timers_and_sequence() -> None:
    core, copy = make_core(), make_core()
    core.process([entry(StepClosed(1_000, "mark", 1)), entry(echo.trade(1), sequence=1)], 1_500)
    image = take_image(core, 1, {"market:normal": "2-0"})
    restored = restore_image(copy, image)
    assert restored.positions == {"market:normal": "2-0"}
    following = [entry(echo.trade(2), sequence=2)]
    assert copy.process(following, 4_000).outputs == core.process(following, 4_000).outputs


@pytest.mark.parametrize("position", [0, 3, 4, 40, -1])
def test_a_damaged_snapshot_is_refused(position: int) -> None:
    core = make_core()
    image = take_image(core, 1, {})
    data = bytearray(image.data)
    data[position] ^= 0x40
    with pytest.raises(SnapshotError, match="checksum differs"):
        restore_image(make_core(), StoredSnapshot(1, bytes(data)))


def test_two_handlers_for_one_topic_are_refused() -> None:
    class Twice(echo.EchoEngine):
        def routes(self) -> object:
            return (*super().routes(), on(topics.TICK, self.on_trade))

    clock, outbox = TestClock(), Outbox()
    with pytest.raises(RoutingError, match=r"marketdata.tick.*one handler"):
        EngineCore(Twice(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=False)
