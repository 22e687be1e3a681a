"""Random histories of events, kills, lost replies and restarts: what is published equals an undisturbed run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Literal, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from libs.contracts.market import StepClosed
from libs.contracts.portfolio import RecordCashFlow
from libs.contracts.topics import CODEC
from libs.engine.host import Host
from libs.messagebus.errors import FencedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.topic import Event
from libs.messagebus.transport import START
from libs.testing.faulty_transport import Fault, FaultyTransport
from tests.libs.engine.echo_engine import EchoEngine, cash, trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, until_quiet
from tests.libs.engine.instant_loop import run_instantly

#: Everything the echo engine publishes; dead letters come from trades without a price and from timers that fail.
OUTPUTS = ("strategy:high", "portfolio:high", "dead_letters:normal")
METHODS = (
    "commit", "read", "save_snapshot", "acquire", "journal", "read_range", "load_snapshots", "tails", "trim", "renew",
    "watch", "take_over", "release",
)  # fmt: skip


class Put(NamedTuple):
    """Append one record batch to the stream of its events, and let everybody run for some turns of the loop."""

    events: tuple[Event, ...]
    turns: int


class Wait(NamedTuple):
    """Let time pass, enough for some retries."""

    seconds: float


class Break(NamedTuple):
    """Let the next calls of a method fail."""

    method: str
    faults: tuple[Fault | None, ...]


class End(NamedTuple):
    """End the host in one of the ways there are and start the next one; for the last two that is a standby, before."""

    how: Literal["kill", "stop", "replace", "kill beside a standby", "stop beside a standby"]


Step = Put | Wait | Break | End | Literal["snapshot"]


class FragileEngine(EchoEngine):
    """Every third timer fails after it has published and counted."""

    def on_time_event(self, name: str, ts_event: int) -> None:
        super().on_time_event(name, ts_event)
        if self._ticks % 3 == 0:
            raise ValueError("third tick")


def batches(events: st.SearchStrategy[Event]) -> st.SearchStrategy[Put]:
    return st.builds(Put, st.lists(events, min_size=1, max_size=4).map(tuple), st.sampled_from([0, 3, 10, 20]))


# Times of the market rise by up to 3 us a trade, so that the timer (1 us) is due up to three times between two trades.
trades = st.builds(
    lambda delta, symbol, price: trade(delta, symbol, price),
    st.integers(0, 3_000),
    st.sampled_from(["AAA.X", "BBB.X"]),
    st.sampled_from([10.0, 10.0, 10.0, -1.0]),
)
movements = st.builds(lambda amount: cash(1, str(amount)), st.integers(-5, 5))
steps: st.SearchStrategy[Step] = st.one_of(
    batches(trades),
    batches(movements),
    batches(st.builds(lambda delta: StepClosed(delta, "mark", 1), st.integers(0, 3_000))),
    st.builds(Wait, st.sampled_from([0.04, 0.06, 0.2, 3.0])),
    st.builds(
        Break,
        st.sampled_from(METHODS),
        st.lists(st.sampled_from(["refused", "reply_lost", None]), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(End, st.sampled_from(["kill", "stop", "replace", "kill beside a standby", "stop beside a standby"])),
    st.just("snapshot"),
)


def timed(history: list[Step]) -> list[Step]:
    """Turn the differences that were drawn into rising times of the market."""
    now, done = 1_000, []
    for step in history:
        if isinstance(step, Put) and not isinstance(step.events[0], RecordCashFlow):
            events = []
            for event in step.events:
                now += event.ts_event
                events.append(type(event)(now, *(getattr(event, name) for name in event.__struct_fields__[1:])))
            step = Put(tuple(events), step.turns)
        done.append(step)
    return done


async def run_history(history: list[Step], disturbed: bool) -> dict[str, list[tuple[Event, str, str]]]:
    """Run it and return what was published by stream, with the ids and causes of every event."""
    transport = MemoryTransport()
    faulty = FaultyTransport(transport)
    hosts: list[tuple[Host, asyncio.Task[None]]] = []

    def start(standby: bool = False) -> None:
        host = make_host(faulty if disturbed else transport, FragileEngine, follow_events=True, start_ns=1_000,
                         trims={"market:normal": 0, "inbox.portfolio:high": 0}, standby=standby)  # fmt: skip
        hosts.append((host, asyncio.create_task(host.run())))

    start()
    sequence = 0
    for step in history:
        if isinstance(step, Put):
            await put(transport, *step.events, sequence=sequence)
            sequence += len(step.events)
            for _ in range(step.turns if disturbed else 0):
                await asyncio.sleep(0)
        elif not disturbed:
            continue
        elif isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Break):
            faulty.fail(step.method, *step.faults)
        elif step == "snapshot":
            hosts[-1][0]._snapshots.want()
        elif "standby" in step.how:
            start(standby=True)
            await asyncio.sleep(2)
            await end(*hosts[-2], step.how)
        else:
            await end(*hosts[-1], step.how)
            start()
    await until_quiet(transport)
    await end(*hosts[-1], "stop")
    for _, running in hosts:  # one that was replaced and had nothing more to commit does not know it yet
        await killed(running)
    return {stream: await everything(transport, stream) for stream in OUTPUTS}


async def end(host: Host, running: asyncio.Task[None], how: str) -> None:
    if how.startswith("kill") or host.state == "starting":
        await killed(running)
    elif how.startswith("stop"):
        with suppress(FencedError):  # a standby took over while its renewals were refused
            await stopped(host, running)
    elif host.state == "standby":
        await killed(running)
    # A host that is replaced goes on and finds itself fenced out at its next commit.


async def everything(transport: MemoryTransport, stream: str) -> list[tuple[Event, str, str]]:
    """Every event with its direct and root cause; the id of an event without a cause depends on where batches end."""
    found: list[tuple[Event, str, str]] = []
    for entry in await transport.read({stream: START}, 1_000_000, 0):
        batch = CODEC.decode(entry.data)
        for index, event in enumerate(batch.events):
            cause = batch.causation_id(index)
            found.append((event, cause, batch.correlation_id(index) if cause else ""))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, min_size=5, max_size=60).map(timed))
def test_a_disturbed_run_publishes_what_an_undisturbed_one_does(history: list[Step]) -> None:
    with capture_logs():
        calm = run_instantly(run_history(history, disturbed=False))
        rough = run_instantly(run_history(history, disturbed=True))
    assert rough == calm
    booked = [event.amount for event, *_ in calm["portfolio:high"]]
    puts = [step for step in history if isinstance(step, Put)]
    asked = [event.amount for step in puts for event in step.events if isinstance(event, RecordCashFlow)]
    balance, accepted = Decimal(0), []
    for amount in asked:
        if balance + amount >= 0:
            balance += amount
            accepted.append(amount)
    assert booked == accepted
