"""What every transport does, as cases: one suite for memory and for real servers.

A case is an ``async`` function of a :class:`BusUnderTest` whose bus is empty. Cases of sequenced readers (commits,
fencing, snapshots, trimming) are in :mod:`libs.testing.bus_contract_readers`; its ``CASES`` has both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.errors import EntryTooLargeError, TransportError
from libs.messagebus.transport import START, Entry, Output, Transport, entry_order

PATIENCE_MS = 20_000
"""How long a case waits for what must happen; it never waits this long for what happens."""


@dataclass(frozen=True, slots=True)
class BusUnderTest:
    """A bus and what a case needs to know about it.

    Attributes:
        transport: A connected transport.
        other: A second client of the same bus (for memory the same object).
        wait_until_blocked: Returns when this many readers are blocked inside ``read``.
    """

    transport: Transport
    other: Transport
    wait_until_blocked: Callable[[int], Awaitable[None]]


Case = Callable[[BusUnderTest], Awaitable[None]]


async def expect(error: type[Exception], operation: Awaitable[object]) -> Exception:
    """Run an operation that must fail, and return its error."""
    try:
        await operation
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} must be raised, was nothing")


async def put(transport: Transport, stream: str, *payloads: bytes, producer: str = "") -> None:
    """Append payloads, each its own entry, under a producer of their own."""
    outputs = [Output(stream, payload) for payload in payloads]
    assert await transport.append(producer or f"put-{stream}-{payloads[0].hex()}", 0, len(outputs), outputs)


async def all_of(transport: Transport, stream: str) -> list[bytes]:
    """Payloads of a whole stream, read page by page."""
    position, payloads = START, []
    while entries := await transport.read({stream: position}, 7, 0):
        payloads += [entry.data for entry in entries]
        position = entries[-1].entry_id
    return payloads


# -- streams --------------------------------------------------------------------------------------


async def entry_ids_grow_and_order_holds(bus: BusUnderTest) -> None:
    """A stream keeps the order of appends, over calls and pages, with strictly growing ids."""
    for number in range(40):
        outputs = [Output("s", bytes([number, part])) for part in range(number % 3 + 1)]
        assert await bus.transport.append("p", number * 10, 10, outputs)
    written = [bytes([number, part]) for number in range(40) for part in range(number % 3 + 1)]
    assert await all_of(bus.other, "s") == written
    entries = await bus.transport.read({"s": START}, 1000, 0)
    orders = [entry_order(entry.entry_id) for entry in entries]
    assert orders == sorted(set(orders))
    assert all(order > entry_order(START) for order in orders)


async def read_returns_streams_as_given_and_count_of_each(bus: BusUnderTest) -> None:
    """Several streams in one read: in the order asked, at most ``count`` of each, missing ones skipped."""
    for name in ("a", "b", "c"):
        await put(bus.transport, name, *(f"{name}{i}".encode() for i in range(3)))
    found = await bus.transport.read({"c": START, "none": START, "a": START, "b": START}, 2, 0)
    assert [(entry.stream, entry.data) for entry in found] == [
        ("c", b"c0"), ("c", b"c1"), ("a", b"a0"), ("a", b"a1"), ("b", b"b0"), ("b", b"b1"),
    ]  # fmt: skip
    later = await bus.transport.read({"c": found[1].entry_id, "a": found[2].entry_id}, 2, 0)
    assert [entry.data for entry in later] == [b"c2", b"a1", b"a2"]


async def append_lands_once(bus: BusUnderTest) -> None:
    """A batch sent again, by whichever client, is recognised by (producer, sequence); producers do not mix."""
    outputs = [Output("s", b"first"), Output("t", b"second")]
    assert await bus.transport.append("p", 0, 5, outputs) is True
    assert await bus.transport.append("p", 0, 5, outputs) is False
    assert await bus.other.append("p", 4, 1, outputs) is False
    assert await bus.other.append("p", 5, 1, [Output("s", b"next")]) is True
    assert await bus.transport.append("q", 0, 1, [Output("s", b"another producer")]) is True
    assert await all_of(bus.transport, "s") == [b"first", b"next", b"another producer"]
    assert await all_of(bus.transport, "t") == [b"second"]


async def append_is_all_or_none(bus: BusUnderTest) -> None:
    """A refused output takes its whole call with it, and its sequence stays free."""
    too_large = Output("t", bytes(MAX_ENTRY_BYTES + 1))
    await expect(EntryTooLargeError, bus.transport.append("p", 0, 2, [Output("s", b"fine"), too_large]))
    assert await bus.transport.tails(["s", "t"]) == {"s": START, "t": START}
    assert await bus.transport.append("p", 0, 1, [Output("s", b"fine")]) is True


async def large_entries_keep_every_byte(bus: BusUnderTest) -> None:
    """Entries up to the limit come back as they were."""
    payload = bytes(range(256)) * (MAX_ENTRY_BYTES // 256)
    await put(bus.transport, "s", payload, b"", b"\r\n$3\r\nend\x00", producer="p")
    assert await all_of(bus.other, "s") == [payload, b"", b"\r\n$3\r\nend\x00"]


async def read_without_blocking_returns_at_once(bus: BusUnderTest) -> None:
    """Nothing there, nothing waited for; also past the end, and for no stream at all."""
    assert await bus.transport.read({"s": START, "t": START}, 10, 0) == []
    await put(bus.transport, "s", b"x")
    tail = (await bus.transport.tails(["s"]))["s"]
    assert await bus.transport.read({"s": tail}, 10, 0) == []
    assert await bus.transport.read({}, 10, 0) == []


async def blocked_read_ends_after_its_time(bus: BusUnderTest) -> None:
    """A blocking read that finds nothing comes back empty."""
    assert await bus.transport.read({"s": START}, 10, 10) == []


async def blocked_read_wakes_for_each_of_its_streams(bus: BusUnderTest) -> None:
    """Blocked on four streams, an entry in any one of them ends the wait with that entry."""
    positions = dict.fromkeys(("a", "b", "c", "d"), START)
    for name in ("c", "a", "d", "b", "a"):
        reading = asyncio.create_task(bus.transport.read(positions, 10, PATIENCE_MS))
        await bus.wait_until_blocked(1)
        payload = f"{name}{positions[name]}".encode()
        await put(bus.other, name, payload)
        found = await reading
        assert [(entry.stream, entry.data) for entry in found] == [(name, payload)]
        positions[name] = found[0].entry_id


async def readers_of_one_transport_block_apart(bus: BusUnderTest) -> None:
    """Two blocked reads of one client (urgent and normal lanes) do not hold each other, nor writes, back."""
    urgent = asyncio.create_task(bus.transport.read({"urgent": START, "high": START}, 10, PATIENCE_MS))
    normal = asyncio.create_task(bus.transport.read({"normal": START, "low": START}, 10, PATIENCE_MS))
    await bus.wait_until_blocked(2)
    await put(bus.transport, "urgent", b"u")
    assert [entry.data for entry in await urgent] == [b"u"]
    assert not normal.done()
    await put(bus.transport, "low", b"l")
    assert [entry.data for entry in await normal] == [b"l"]


async def cancelled_read_leaves_the_transport_usable(bus: BusUnderTest) -> None:
    """A cancelled blocking read takes nothing away and delays nobody."""
    reading = asyncio.create_task(bus.transport.read({"silent": START}, 10, PATIENCE_MS))
    await bus.wait_until_blocked(1)
    reading.cancel()
    await expect(asyncio.CancelledError, reading)  # type: ignore[arg-type]  # not an Exception, on purpose
    await put(bus.transport, "s", b"x")
    async with asyncio.timeout(PATIENCE_MS / 10_000):
        assert [entry.data for entry in await bus.transport.read({"s": START}, 10, PATIENCE_MS)] == [b"x"]


async def all_readers_see_one_order(bus: BusUnderTest) -> None:
    """Concurrent producers interleave in one order, the same for all readers, each producer's own order kept."""
    producers, each = 6, 25

    async def produce(number: int) -> None:
        client = bus.transport if number % 2 else bus.other
        for sequence in range(each):
            await client.append(f"p{number}", sequence, 1, [Output("s", bytes([number, sequence]))])

    async def consume(client: Transport) -> list[Entry]:
        seen: list[Entry] = []
        while len(seen) < producers * each:
            seen += await client.read({"s": seen[-1].entry_id if seen else START}, 8, PATIENCE_MS)
        return seen

    readers = [asyncio.create_task(consume(client)) for client in (bus.transport, bus.other, bus.transport)]
    await asyncio.gather(*(produce(number) for number in range(producers)))
    first, *others = await asyncio.gather(*readers)
    assert all(other == first for other in others)
    for number in range(producers):
        assert [entry.data[1] for entry in first if entry.data[0] == number] == list(range(each))


async def ranges_and_tails_say_what_is_there(bus: BusUnderTest) -> None:
    """``read_range`` includes both ends and honours its count; ``tails`` names the newest entries."""
    await put(bus.transport, "s", *(bytes([i]) for i in range(6)))
    entries = await bus.transport.read({"s": START}, 10, 0)
    first, last = entries[1].entry_id, entries[4].entry_id
    assert await bus.transport.read_range("s", first, last, 10) == entries[1:5]
    assert await bus.transport.read_range("s", first, last, 2) == entries[1:3]
    assert await bus.transport.read_range("none", first, last, 2) == []
    assert await bus.transport.tails(["none", "s"]) == {"none": START, "s": entries[-1].entry_id}
    assert await bus.transport.tails([]) == {}


async def closed_transport_refuses(bus: BusUnderTest) -> None:
    """After ``close``, which may be called twice, every call says so; a blocked read ends."""
    await bus.transport.ping()
    reading = asyncio.create_task(bus.transport.read({"s": START}, 10, PATIENCE_MS))
    await bus.wait_until_blocked(1)
    await bus.transport.close()
    await bus.transport.close()
    await expect(TransportError, reading)
    await expect(TransportError, bus.transport.ping())
    await expect(TransportError, bus.transport.append("p", 0, 1, [Output("s", b"x")]))
    await expect(TransportError, bus.transport.read({"s": START}, 1, 0))


STREAM_CASES: tuple[Case, ...] = (
    entry_ids_grow_and_order_holds,
    read_returns_streams_as_given_and_count_of_each,
    append_lands_once,
    append_is_all_or_none,
    large_entries_keep_every_byte,
    read_without_blocking_returns_at_once,
    blocked_read_ends_after_its_time,
    blocked_read_wakes_for_each_of_its_streams,
    readers_of_one_transport_block_apart,
    cancelled_read_leaves_the_transport_usable,
    all_readers_see_one_order,
    ranges_and_tails_say_what_is_there,
    closed_transport_refuses,
)
