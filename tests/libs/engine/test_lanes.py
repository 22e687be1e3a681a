"""Reading by priority: who is served first, who never starves, and how much is read ahead."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from libs.engine.lanes import BATCH_BYTES, LANE_BYTES, PriorityReader
from libs.messagebus.errors import TransportError, TrimmedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.priority import QUANTA, Priority
from libs.messagebus.transport import Entry, Output, Transport
from libs.testing.faulty_transport import FaultyTransport
from tests.libs.engine.instant_loop import run_instantly

STREAMS = {f"s:{priority.label}": priority for priority in Priority}
Use = Callable[[PriorityReader], Awaitable[None]]


def fill(transport: MemoryTransport, stream: str, count: int, size: int = 10) -> None:
    for _ in range(count):
        number = transport._streams[stream].last if stream in transport._streams else 0
        transport.append_nowait(stream, number, 1, [Output(stream, number.to_bytes(8, "big").ljust(size, b"."))])


def reading(transport: Transport, use: Use, streams: dict[str, Priority] = STREAMS) -> list[TransportError]:
    """Use a reader while it reads; returns what it could not read."""
    errors: list[TransportError] = []

    async def main() -> None:
        reader = PriorityReader(transport, streams, {}, errors.append)
        task = asyncio.create_task(reader.run())
        await settle()
        try:
            await use(reader)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run_instantly(main())
    return errors


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def counts(batch: list[Entry]) -> dict[str, int]:
    return dict(Counter(entry.stream.partition(":")[2] for entry in batch))


def test_urgent_comes_first_and_all_get_their_quantum() -> None:
    transport = MemoryTransport()
    for stream in reversed(STREAMS):
        fill(transport, stream, 1_000)

    async def use(reader: PriorityReader) -> None:
        for _ in range(3):
            batch = reader.take()
            assert [STREAMS[entry.stream] for entry in batch] == sorted(STREAMS[entry.stream] for entry in batch)
            assert counts(batch) == {priority.label: quantum for priority, quantum in QUANTA.items()}
            await settle()

    reading(transport, use)


def test_low_never_starves_and_keeps_its_order_while_the_others_are_saturated() -> None:
    transport = MemoryTransport()
    fill(transport, "s:low", 100)

    async def use(reader: PriorityReader) -> None:
        seen: list[Entry] = []
        for _ in range(10):
            for stream in ("s:urgent", "s:high", "s:normal"):
                fill(transport, stream, 1_000, 2_000)
            await settle()
            seen += [entry for entry in reader.take() if entry.stream == "s:low"]
        assert [int.from_bytes(entry.data[:8], "big") for entry in seen] == list(range(100))

    reading(transport, use)


@pytest.mark.parametrize("size", [100, 1_000, 10_000, 100_000])
@pytest.mark.parametrize(("lower", "higher"), [("low", "normal"), ("high", "urgent"), ("normal", "high")])
def test_nobody_waits_behind_a_less_urgent_backlog(lower: str, higher: str, size: int) -> None:
    transport = MemoryTransport()
    fill(transport, f"s:{lower}", max(1_500, min(8_000, 4_000_000 // size)), size)

    async def use(reader: PriorityReader) -> None:
        for _ in range(10):
            assert counts(reader.take()).keys() == {lower}
            await settle()
        fill(transport, f"s:{higher}", 1)
        await settle()
        assert reader.take()[0].stream == f"s:{higher}"

    reading(transport, use)


def test_one_batch_takes_a_bounded_number_of_bytes_of_each_priority() -> None:
    transport = MemoryTransport()
    for stream in STREAMS:
        fill(transport, stream, 50, BATCH_BYTES // 4)

    async def use(reader: PriorityReader) -> None:
        assert set(counts(reader.take()).values()) == {4}

    reading(transport, use)


def test_an_entry_larger_than_the_budget_is_taken_alone() -> None:
    transport = MemoryTransport()
    fill(transport, "s:normal", 3, BATCH_BYTES * 3)

    async def use(reader: PriorityReader) -> None:
        for _ in range(3):
            assert counts(reader.take()) == {"normal": 1}

    reading(transport, use)


def test_a_lane_stops_reading_at_its_bound_and_goes_on_when_there_is_room() -> None:
    transport = MemoryTransport()
    fill(transport, "s:normal", 5_000, 5_000)
    fill(transport, "s:urgent", 5_000, 5_000)

    async def use(reader: PriorityReader) -> None:
        numbers: list[int] = []
        while batch := reader.take():
            queued = sum(len(entry.data) for queue in reader._queues.values() for entry in queue)
            assert queued < 2 * 2 * LANE_BYTES  # two lanes are used, each with at most one read past its bound
            numbers += [int.from_bytes(entry.data[:8], "big") for entry in batch if entry.stream == "s:normal"]
            await settle()
        assert numbers == list(range(5_000))

    reading(transport, use)


def test_a_transport_error_is_told_and_the_read_repeated() -> None:
    transport = MemoryTransport()
    faulty = FaultyTransport(transport)
    faulty.fail("read", *["refused", "reply_lost"] * 5)
    fill(transport, "s:normal", 3)
    fill(transport, "s:urgent", 3)
    seen: list[Entry] = []

    async def use(reader: PriorityReader) -> None:
        while len(seen) < 6:
            await reader.arrived.wait()
            seen.extend(reader.take())
        await asyncio.sleep(60)
        assert not reader.queued

    assert len(reading(faulty, use)) == 10
    assert [entry.entry_id for entry in seen if entry.stream == "s:normal"] == ["1-0", "2-0", "3-0"]
    assert [entry.entry_id for entry in seen if entry.stream == "s:urgent"] == ["1-0", "2-0", "3-0"]


def test_a_trimmed_position_ends_the_reader_with_that_error() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        fill(transport, "s:low", 5)
        await transport.trim({"s:low": 2})
        reader = PriorityReader(transport, STREAMS, {"s:low": "2-0"}, lambda error: None)
        with pytest.raises(TrimmedError, match="trimmed up to entry 3-0, was read from 2-0"):
            await reader.run()

    run_instantly(main())


def test_a_reader_without_streams_waits_until_it_is_cancelled() -> None:
    async def use(reader: PriorityReader) -> None:
        await asyncio.sleep(3_600)
        assert reader.take() == []

    async def main() -> None:
        reader = PriorityReader(MemoryTransport(), {}, {}, lambda error: None)
        running = asyncio.create_task(reader.run())
        await use(reader)
        assert not running.done()
        running.cancel()

    run_instantly(main())
