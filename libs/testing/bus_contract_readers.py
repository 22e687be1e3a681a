"""What every transport does for sequenced readers: commits, fencing, quiescence, journals, snapshots, trimming."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.errors import EntryTooLargeError, FencedError, StateLostError, TrimmedError
from libs.messagebus.transport import START, Commit, Output, StoredSnapshot, Transport
from libs.testing.bus_contract import STREAM_CASES, BusUnderTest, Case, all_of, expect, put
from libs.testing.bus_contract_leases import LEASE_CASES


def step(reader: str, epoch: int, number: int, positions: Mapping[str, str] | None = None, *outputs: Output) -> Commit:
    """A commit whose journal entry names it."""
    return Commit(reader, epoch, number, positions or {}, outputs, f"{reader}#{number}".encode())


async def snapshot_at_tails(transport: Transport, reader: str, number: int, streams: list[str]) -> None:
    """A snapshot that says the reader is done with everything there is."""
    data = StoredSnapshot(number, f"{reader}@{number}".encode())
    await transport.save_snapshot(reader, 1, data, await transport.tails(streams))


# -- commits --------------------------------------------------------------------------------------


async def commit_lands_whole(bus: BusUnderTest) -> None:
    """Outputs, journal and positions of a commit are there afterwards, in order."""
    await put(bus.transport, "in", b"a", b"b")
    tail = (await bus.transport.tails(["in"]))["in"]
    assert (await bus.transport.acquire("r", ["in"])).positions == {}
    outputs = Output("out", b"1"), Output("more", b"2"), Output("out", b"3")
    await bus.transport.commit(step("r", 1, 1, {"in": tail}, *outputs))
    await bus.transport.commit(step("r", 1, 2))
    assert await all_of(bus.other, "out") == [b"1", b"3"]
    assert await all_of(bus.other, "more") == [b"2"]
    assert await bus.other.positions("r") == {"in": tail}
    assert await bus.other.journal("r", 0, 10) == [(1, b"r#1"), (2, b"r#2")]
    lease = await bus.other.acquire("r", ["in"])
    assert (lease.epoch, lease.commits, lease.positions) == (2, 2, {"in": tail})


async def commit_lands_once(bus: BusUnderTest) -> None:
    """A commit sent again, by whichever client, changes nothing."""
    await bus.transport.acquire("r", ["in"])
    for client in (bus.transport, bus.other, bus.transport):
        await client.commit(step("r", 1, 1, {"in": "5-0"}, Output("out", b"x")))
    await bus.transport.commit(step("r", 1, 2, {"in": "6-0"}, Output("out", b"y")))
    await bus.transport.commit(step("r", 1, 1, {"in": "5-0"}, Output("out", b"x")))
    assert await all_of(bus.transport, "out") == [b"x", b"y"]
    assert await bus.transport.journal("r", 0, 10) == [(1, b"r#1"), (2, b"r#2")]
    assert await bus.transport.positions("r") == {"in": "6-0"}


async def refused_commit_leaves_no_trace(bus: BusUnderTest) -> None:
    """A gap in the numbers (the server lost commits) and a too large output land nothing; the number stays free."""
    await bus.transport.acquire("r", ["in"])
    gap = step("r", 1, 3, {"in": "5-0"}, Output("out", b"x"))
    error = await expect(StateLostError, bus.transport.commit(gap))
    assert "'r'" in str(error)
    assert "number 1, was 3" in str(error)
    large = step("r", 1, 1, {"in": "5-0"}, Output("out", b"x"), Output("out", bytes(MAX_ENTRY_BYTES + 1)))
    await expect(EntryTooLargeError, bus.transport.commit(large))
    assert await bus.transport.positions("r") == {}
    assert await bus.transport.journal("r", 0, 10) == []
    assert await all_of(bus.transport, "out") == []
    await bus.transport.commit(step("r", 1, 1, {"in": "5-0"}))
    assert await bus.transport.positions("r") == {"in": "5-0"}


async def newest_epoch_fences_older_ones_out(bus: BusUnderTest) -> None:
    """After another acquire the older holder can commit and snapshot nothing; an unknown reader never could."""
    first = await bus.transport.acquire("r", ["in"])
    await bus.transport.commit(step("r", first.epoch, 1, {"in": "1-0"}))
    second = await bus.other.acquire("r", ["in"])
    assert second.epoch > first.epoch
    assert (second.commits, second.positions) == (1, {"in": "1-0"})
    stale = step("r", first.epoch, 2, {"in": "2-0"}, Output("out", b"x"))
    error = await expect(FencedError, bus.transport.commit(stale))
    assert f"'r' must be {second.epoch}, was {first.epoch}" in str(error)
    image = StoredSnapshot(1, b"s")
    await expect(FencedError, bus.transport.save_snapshot("r", first.epoch, image, {}))
    await expect(FencedError, bus.transport.commit(step("nobody", 0, 1)))
    assert await all_of(bus.transport, "out") == []
    assert await bus.transport.load_snapshots("r") == []
    assert await bus.transport.positions("r") == {"in": "1-0"}
    await bus.other.commit(step("r", second.epoch, 2, {"in": "2-0"}))


async def quiescence_is_exact_and_transitive(bus: BusUnderTest) -> None:
    """Quiet exactly when every reader has committed past all it reads, what the others published included."""
    transport = bus.transport
    assert (await transport.quiescence([])).quiet
    assert (await transport.quiescence(["b", "a"])).waiting_for == ["a", "b"]  # not registered
    await transport.acquire("a", ["in"])
    await transport.acquire("b", ["mid", "side"])
    assert (await transport.quiescence(["a", "b"])).quiet  # nothing was ever published

    await put(transport, "in", b"event")
    assert (await bus.other.quiescence(["a", "b"])).waiting_for == ["a"]
    consumed = await transport.tails(["in"])
    await transport.commit(step("a", 1, 1, consumed, Output("mid", b"derived"), Output("unread", b"x")))
    state = await bus.other.quiescence(["a", "b"])
    assert (state.quiet, state.waiting_for) == (False, ["b"])  # one atomic step: never a moment that looks quiet
    await transport.commit(step("b", 1, 1, await transport.tails(["mid"]), Output("side", b"to itself")))
    assert (await transport.quiescence(["a", "b"])).waiting_for == ["b"]
    assert (await transport.quiescence(["a"])).quiet
    await transport.commit(step("b", 1, 2, await transport.tails(["side"])))
    assert (await bus.other.quiescence(["a", "b"])).quiet


async def journal_comes_in_pages(bus: BusUnderTest) -> None:
    """Entries after a number, oldest first, at most as many as asked; none for a reader nobody knows."""
    await bus.transport.acquire("r", [])
    for number in range(1, 13):
        await bus.transport.commit(step("r", 1, number))
    assert [number for number, _ in await bus.transport.journal("r", 3, 4)] == [4, 5, 6, 7]
    assert await bus.transport.journal("r", 10, 100) == [(11, b"r#11"), (12, b"r#12")]
    assert await bus.transport.journal("r", 12, 100) == []
    assert await bus.transport.journal("nobody", 0, 100) == []
    assert await bus.transport.positions("nobody") == {}


# -- snapshots and trimming -----------------------------------------------------------------------


async def two_snapshots_are_kept(bus: BusUnderTest) -> None:
    """Newest first; saving one again replaces it; one older than the newest means lost state."""
    transport = bus.transport
    await transport.acquire("r", ["in"])
    assert await transport.load_snapshots("r") == []
    images = {number: StoredSnapshot(number, bytes([number]) * 100_000) for number in (3, 5, 9)}
    for number in (3, 5, 5, 9, 9):
        await transport.save_snapshot("r", 1, images[number], {})
    assert await bus.other.load_snapshots("r") == [images[9], images[5]]
    mended = StoredSnapshot(9, b"mended")
    await transport.save_snapshot("r", 1, mended, {})
    await expect(StateLostError, transport.save_snapshot("r", 1, images[3], {}))
    assert await bus.other.load_snapshots("r") == [mended, images[5]]


async def trimming_stops_at_the_lowest_older_snapshot(bus: BusUnderTest) -> None:
    """What any reader may still restart from stays, however small the retention; journals go with it."""
    transport = bus.transport
    for reader in ("slow", "fast"):
        await transport.acquire(reader, ["s"])
    await put(transport, "s", *(bytes([i]) for i in range(10)))
    entries = await transport.read({"s": START}, 20, 0)
    for number in range(1, 5):
        await transport.commit(step("fast", 1, number))
    await snapshot_at_tails(transport, "fast", 1, ["s"])
    assert await transport.trim({"s": 0}) == 0  # were its only snapshot damaged, "fast" would start at the beginning
    await snapshot_at_tails(transport, "fast", 2, ["s"])
    assert await transport.trim({"s": 0}) == 1  # a journal entry; "slow" has no snapshot and could start anywhere
    for number, reached in ((1, entries[3]), (2, entries[7])):
        await transport.save_snapshot("slow", 1, StoredSnapshot(number, b""), {"s": reached.entry_id})
    assert await transport.trim({"s": 0, "none": 0}) == 4
    assert await transport.read({"s": entries[3].entry_id}, 20, 0) == entries[4:]
    await snapshot_at_tails(transport, "fast", 3, ["s"])
    assert [number for number, _ in await transport.journal("fast", 0, 9)] == [2, 3, 4]
    await snapshot_at_tails(transport, "fast", 4, ["s"])
    assert await transport.trim({}) == 2
    assert await transport.journal("fast", 0, 9) == [(4, b"fast#4")]


async def trimming_keeps_the_retention(bus: BusUnderTest) -> None:
    """A stream without readers keeps its newest entries; also when far more than one chunk goes."""
    payloads = [number.to_bytes(2, "big") for number in range(700)]
    await put(bus.transport, "s", *payloads)
    tail = await bus.transport.tails(["s"])
    assert await bus.transport.trim({"s": 1000}) == 0
    assert await bus.transport.trim({"s": 65}) == 635
    assert await bus.transport.trim({"s": 65}) == 0
    kept = await bus.transport.read_range("s", START, tail["s"], 1000)
    assert [entry.data for entry in kept] == payloads[-65:]
    assert await bus.transport.trim({"s": 0}) == 65
    assert await bus.transport.tails(["s"]) == tail  # an empty stream still knows where it ended
    await bus.transport.acquire("r", ["s"])
    assert (await bus.transport.quiescence(["r"])).waiting_for == ["r"]


async def reading_what_was_trimmed_is_an_error(bus: BusUnderTest) -> None:
    """A position before the trimmed part is refused, blocked or not, alone or among others; at its end it is fine."""
    await put(bus.transport, "s", b"0", b"1", b"2", b"3")
    await put(bus.transport, "t", b"t")
    entries = await bus.transport.read({"s": START}, 10, 0)
    assert await bus.transport.trim({"s": 2, "t": 5}) == 2
    for block_ms in (0, 10):
        error = await expect(TrimmedError, bus.other.read({"t": START, "s": entries[0].entry_id}, 10, block_ms))
        assert f"'s' was trimmed up to entry {entries[1].entry_id}" in str(error)
    await expect(TrimmedError, bus.other.read({"s": START}, 10, 0))
    assert await bus.other.read({"s": entries[1].entry_id}, 10, 0) == entries[2:]


CASES: Final[tuple[Case, ...]] = (
    *STREAM_CASES,
    *LEASE_CASES,
    commit_lands_whole,
    commit_lands_once,
    refused_commit_leaves_no_trace,
    newest_epoch_fences_older_ones_out,
    quiescence_is_exact_and_transitive,
    journal_comes_in_pages,
    two_snapshots_are_kept,
    trimming_stops_at_the_lowest_older_snapshot,
    trimming_keeps_the_retention,
    reading_what_was_trimmed_is_an_error,
)
