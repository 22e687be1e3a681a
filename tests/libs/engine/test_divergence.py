"""A replay that differs: which output, caused by what, and both of them side by side; on memory and real servers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from libs.contracts.market import StepClosed, TradeReceived
from libs.contracts.orders import SignalGenerated
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.divergence import recorded_outputs
from libs.engine.errors import DeterminismError
from libs.engine.journal import decode_journal, encode_journal
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import Transport
from tests.contract.buses import KINDS, Kind, empty_bus, server_url
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.hosting import killed, make_host, put, until_quiet


class Changed(EchoEngine):
    """One symbol's second signal is of another strength."""

    def on_trade(self, event: TradeReceived) -> None:
        super().on_trade(event)
        if self._outbox.events and event.symbol == "BBB.X" and self._counts[event.symbol] == 4:
            self._outbox.events[-1] = SignalGenerated(event.ts_event, "echo", event.symbol, "buy", 4.5, "even")


class Silent(EchoEngine):
    def on_trade(self, event: TradeReceived) -> None:
        self._counts[event.symbol] = self._counts.get(event.symbol, 0) + 1


class Talkative(EchoEngine):
    def on_trade(self, event: TradeReceived) -> None:
        super().on_trade(event)
        if self._counts[event.symbol] == 4:
            self._outbox.publish(SignalGenerated(event.ts_event, "echo", event.symbol, "sell", 7.0, "more"))


async def told(transport: Transport, engine: type[EchoEngine]) -> str:
    """Two symbols, four trades each in one batch, then a recovery by ``engine``."""
    running = asyncio.create_task(make_host(transport).run())
    first = [trade(index, symbol) for index in range(2) for symbol in ("AAA.X", "BBB.X")]
    await put(transport, *first, sequence=0)
    await until_quiet(transport)  # type: ignore[arg-type]
    await put(transport, *first, StepClosed(9_000, "mark", 1), sequence=4)
    await until_quiet(transport)  # type: ignore[arg-type]
    await killed(running)
    with pytest.raises(DeterminismError) as raised:
        await make_host(transport, engine).run()
    return str(raised.value)


def text_of(kind: Kind, engine: type[EchoEngine]) -> str:
    async def main(url: str) -> str:
        async with empty_bus(url) as bus:
            return await told(bus.transport, engine)

    with server_url(kind) as url:
        return asyncio.run(main(url))


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_differing_output_is_shown_with_its_cause(kind: Kind) -> None:
    text = text_of(kind, Changed)
    assert "commit 3 of 'echo' must publish again what it published" in text
    assert "different first in output 2 of 2, event echo:4 on 'strategy:high'" in text
    assert "published on event source:7 at " in text
    assert "TradeReceived(ts_event=1, symbol='BBB.X'" in text
    assert (
        "published was SignalGenerated(ts_event=1, strategy_id='echo', symbol='BBB.X', side='buy', strength=4.0" in text
    )
    assert (
        "replayed is SignalGenerated(ts_event=1, strategy_id='echo', symbol='BBB.X', side='buy', strength=4.5" in text
    )


def test_an_output_that_is_missing_or_too_many_is_shown() -> None:
    missing = text_of("memory", Silent)
    assert "commit 2 of 'echo'" in missing
    assert "output 1 of 2, event echo:1 on 'strategy:high'" in missing
    assert "replayed is nothing" in missing
    more = text_of("memory", Talkative)
    assert "output 2 of 2" in more
    assert "side='sell', strength=7.0" in more


def on_memory(change: Any) -> str:
    """Recover after ``change`` was done to what the memory transport holds."""

    async def main() -> str:
        transport = MemoryTransport()
        running = asyncio.create_task(make_host(transport).run())
        for index in range(4):
            await put(transport, trade(index), sequence=index)
            await until_quiet(transport)
        await killed(running)
        engine = change(transport)
        with pytest.raises(DeterminismError) as raised:
            await make_host(transport, engine).run()
        return str(raised.value)

    return asyncio.run(main())


def test_outputs_that_were_trimmed_are_not_guessed() -> None:
    def change(transport: MemoryTransport) -> type[EchoEngine]:
        stream = transport._streams["strategy:high"]
        stream.first += len(stream.entries)
        stream.entries.clear()
        return Silent

    text = on_memory(change)
    assert "commit 3 of 'echo'" in text
    assert "was 0 events with hash" in text
    assert "1 of those are trimmed away" in text


def test_a_changed_journal_is_told_from_a_changed_engine() -> None:
    def change(transport: MemoryTransport) -> type[EchoEngine]:
        journal = transport._readers["echo"].journal
        entry = decode_journal(journal[2][1])
        journal[2] = (3, encode_journal(msgspec.structs.replace(entry, output_hash=b"changed!")))
        return EchoEngine

    assert "equal to what lies on the streams and not to the hash 6368616e67656421 of the journal" in on_memory(change)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_found_by_their_numbers(kind: Kind) -> None:
    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            running = asyncio.create_task(make_host(bus.transport).run())
            for index in range(0, 1_200, 4):
                await put(bus.transport, *(trade(index + each) for each in range(4)), sequence=index)
            await until_quiet(bus.transport)  # type: ignore[arg-type]
            await killed(running)
            for numbers in (range(1), range(1, 4), range(300, 307), range(599, 601), range(601, 606)):
                found = await recorded_outputs(bus.other, CODEC, REGISTRY, "echo", numbers)
                assert list(found) == [number for number in numbers if number <= 600]
                assert [one.event_id for one in found.values()] == [f"echo:{number}" for number in found]

    with server_url(kind) as url:
        asyncio.run(main(url))
