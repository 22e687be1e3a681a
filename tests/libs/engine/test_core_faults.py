"""What one bad handler, timer, output or command costs: itself, told, and never the process or its neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from libs.clock import TestClock
from libs.contracts.market import StepClosed
from libs.contracts.orders import SignalGenerated
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.engine.outputs import MAX_EVENT_BYTES
from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.envelope import RecordBatch
from libs.messagebus.topic import Event
from libs.messagebus.transport import Entry, check_sizes
from tests.libs.engine import echo_engine as echo


def make_core(engine: type[echo.EchoEngine], follow_events: bool = False) -> EngineCore:
    clock, outbox = TestClock(), Outbox()
    return EngineCore(engine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=follow_events)


def entry(*events: Event, sequence: int = 0) -> Entry:
    batch = RecordBatch("source", sequence, 0, list(events))
    return Entry(REGISTRY.topic_of(events[0]).stream, f"{sequence + 1}-0", CODEC.encode(batch))


def published(batch: Batch) -> list[Event]:
    return [event for output in batch.outputs for event in CODEC.decode(output.data).events]


def signals(batch: Batch) -> list[str]:
    return [event.reason for event in published(batch) if isinstance(event, SignalGenerated)]


class FailingTimer(echo.EchoEngine):
    def on_time_event(self, name: str, ts_event: int) -> None:
        super().on_time_event(name, ts_event)
        if self._ticks == 2:
            raise ValueError(f"nothing to do at {ts_event}")


@pytest.mark.parametrize("follow_events", [False, True])
def test_a_raising_timer_is_dead_lettered_and_the_next_one_fires(follow_events: bool) -> None:
    core = make_core(FailingTimer, follow_events)
    core.process([entry(StepClosed(1_000, "mark", 1))], 1_000)
    result = core.process([entry(echo.trade(4_500), echo.trade(4_500), sequence=1)], 4_500)
    assert [(event.ts_event, event.reason) for event in published(result) if isinstance(event, SignalGenerated)] == [
        (2_000, "timer"),
        (4_000, "timer"),
        (4_500, "even"),
    ]
    (letter,) = result.dead
    assert (letter.ts_event, letter.engine, letter.stream, letter.event_id) == (3_000, "echo", "", "")
    assert letter.error == "timer 'beat' of 3000: ValueError: nothing to do at 3000"
    assert letter in published(result)


class EndlessTimer(echo.EchoEngine):
    def on_time_event(self, name: str, ts_event: int) -> None:
        self._clock.set_time_alert_ns("again", self._clock.timestamp_ns())


def test_timers_that_arm_each_other_without_end_are_cut_and_told() -> None:
    core = make_core(EndlessTimer)
    core.process([entry(StepClosed(1_000, "mark", 1))], 1_000)
    result = core.process([entry(echo.trade(1), echo.trade(2), sequence=1)], 2_500)
    assert signals(result) == ["even"]
    assert ["EndlessTimerError" in letter.error for letter in result.dead] == [True]
    assert core.clock.timestamp_ns() == 2_500


def test_a_command_whose_handler_fails_is_not_answered_as_done() -> None:
    class Broken(echo.EchoEngine):
        def on_record_cash_flow(self, command: Any) -> None:
            if command.reference == "b":
                raise ZeroDivisionError("division by zero")
            super().on_record_cash_flow(command)

    core = make_core(Broken)
    result = core.process([entry(echo.cash(1, "5", "a"), echo.cash(2, "6", "b"), echo.cash(3, "7", "c"))], 10)
    failed = result.replies["source:1"]
    assert isinstance(failed, CommandRefused)
    assert (failed.status, failed.code) == (500, "internal-error")
    assert "source:1" in failed.detail
    assert "ZeroDivisionError" in failed.detail
    assert result.replies["source:0"] == {"balance": "5"}
    assert result.replies["source:2"] == {"balance": "12"}


def test_a_command_nobody_handles_is_not_answered_as_done() -> None:
    class Elder(echo.EchoEngine):
        def routes(self) -> Any:
            return super().routes()[:2]

    core = make_core(Elder)
    core._inboxes.add("inbox.portfolio:high")  # as of an engine that handles another command of the same stream
    refused = core.process([entry(echo.cash(1, "5"))], 10).replies["source:0"]
    assert isinstance(refused, CommandRefused)
    assert (refused.status, refused.code) == (501, "capability-unavailable")


class Publishing(echo.EchoEngine):
    """Publishes for each trade a signal whose reason depends on the price."""

    reasons: dict[float, Any]

    def on_trade(self, event: Any) -> None:
        self._outbox.publish(
            SignalGenerated(event.ts_event, "echo", event.symbol, "buy", event.price, self.reasons[event.price])
        )


@pytest.mark.parametrize("bad", ["\ud800", object(), 2**70], ids=["surrogate", "object", "integer"])
def test_an_output_that_cannot_be_encoded_becomes_a_dead_letter_of_its_cause(bad: Any) -> None:
    class Engine(Publishing):
        reasons = {1.0: "first", 2.0: bad, 3.0: "third"}

    core = make_core(Engine)
    result = core.process([entry(echo.trade(1, price=1.0), echo.trade(2, price=2.0), echo.trade(3, price=3.0))], 10)
    assert signals(result) == ["first", "third"]
    (letter,) = [event for event in published(result) if isinstance(event, EventDeadLettered)]
    assert result.dead == [letter]
    assert letter.error.startswith("SignalGenerated of 'echo' must be encodable, was not: ")
    assert (letter.stream, letter.entry_id, letter.index, letter.event_id) == ("market:normal", "1-0", 1, "source:1")
    assert CODEC.decode_event(letter.payload) == echo.trade(2, price=2.0)
    assert core.sequence == 3


def test_outputs_larger_than_an_entry_are_split_in_order() -> None:
    text = "x" * (MAX_ENTRY_BYTES // 5)

    class Engine(Publishing):
        reasons = {float(price): f"{price}{text}" for price in range(1, 15)}

    core = make_core(Engine)
    result = core.process([entry(*(echo.trade(price, price=float(price)) for price in range(1, 15)))], 10)
    check_sizes(result.outputs)
    batches = [CODEC.decode(output.data) for output in result.outputs]
    strengths = [event.strength for batch in batches for event in batch.events]
    assert strengths == [float(price) for price in range(1, 15)]
    ids = [batch.event_id(index) for batch in batches for index in range(len(batch.events))]
    assert ids == [f"echo:{number}" for number in range(14)]
    causes = [batch.causation_id(index) for batch in batches for index in range(len(batch.events))]
    assert causes == [f"source:{number}" for number in range(14)]


def test_an_output_too_large_alone_becomes_a_dead_letter() -> None:
    class Engine(Publishing):
        reasons = {1.0: "first", 2.0: "y" * (MAX_ENTRY_BYTES + 1)}

    core = make_core(Engine)
    result = core.process([entry(echo.trade(1, price=1.0), echo.trade(2, price=2.0))], 10)
    check_sizes(result.outputs)
    assert signals(result) == ["first"]
    assert f"must fit into {MAX_EVENT_BYTES} bytes" in result.dead[0].error


def test_an_event_type_of_no_topic_becomes_a_dead_letter() -> None:
    class Private(Event, frozen=True, tag="private.v1"):
        pass

    class Engine(echo.EchoEngine):
        def on_trade(self, event: Any) -> None:
            self._outbox.publish(Private(1))

    result = make_core(Engine).process([entry(echo.trade(1))], 10)
    assert "must belong to a registered topic" in result.dead[0].error


def test_an_error_text_that_is_no_unicode_can_still_be_told() -> None:
    class Engine(echo.EchoEngine):
        def on_trade(self, event: Any) -> None:
            raise ValueError("caf\udce9")

    result = make_core(Engine).process([entry(echo.trade(1))], 10)
    assert result.dead[0].error == "ValueError: caf?"


def test_hundreds_of_large_dead_letters_can_be_committed() -> None:
    large = [echo.trade(index, symbol="A" * 40_000, price=-1.0) for index in range(200)]
    result = make_core(echo.EchoEngine).process([entry(*large), entry(*large, sequence=200)], 10)
    check_sizes(result.outputs)
    assert len([event for event in published(result) if isinstance(event, EventDeadLettered)]) == 400
