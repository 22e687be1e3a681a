"""Reading ahead for a replay gives what reading range by range gives, on every bus, in fewer questions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.engine.journal import JournalEntry, Range, ranges_of
from libs.engine.replay_inputs import ReplayInputs
from libs.messagebus.errors import TrimmedError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.transport import START, Entry, Output, Transport
from libs.testing.faulty_transport import FaultyTransport
from tests.contract.buses import KINDS, Kind, empty_bus, server_url

T = TypeVar("T")


async def once(operation: Callable[[], Awaitable[T]]) -> T:
    return await operation()


async def fill(transport: Transport, sizes: dict[str, list[int]]) -> dict[str, list[Entry]]:
    """Append entries of these sizes; returns what lies on each stream."""
    for name, lengths in sizes.items():
        outputs = [Output(name, bytes([index % 256]) * length) for index, length in enumerate(lengths)]
        for start in range(0, len(outputs), 100):
            part = outputs[start : start + 100]
            await transport.append(f"p{name}", start, len(part), part)
    return {name: await transport.read({name: START}, 100_000, 0) for name in sizes}


def journal_of(batches: list[list[Entry]]) -> list[tuple[int, JournalEntry]]:
    return [
        (number, JournalEntry(0, ranges_of(entries), 0, b"", 0, "")) for number, entries in enumerate(batches, start=2)
    ]


async def replayed(transport: Transport, journal: list[tuple[int, JournalEntry]], page: int = 5) -> list[list[Entry]]:
    """Every batch's entries, announced page by page as recovery does."""
    inputs, found = ReplayInputs("r", transport, once), []
    try:
        for start in range(0, len(journal), page):
            inputs.announce(entry for _, entry in journal[start : start + page])
            for number, entry in journal[start : start + page]:
                batch: list[Entry] = []
                for span in entry.ranges:
                    batch += await inputs.take(number, span)
                found.append(batch)
    finally:
        await inputs.close()
    return found


def batches_of(streams: dict[str, list[Entry]], cuts: list[tuple[int, int]]) -> list[list[Entry]]:
    """Batches that read so many entries of stream a, then of b, until both are read."""
    left = {name: list(entries) for name, entries in streams.items()}
    batches = []
    while any(left.values()):
        for counts in cuts:
            batch = []
            for name, count in zip(sorted(left), counts, strict=True):
                batch += left[name][:count]
                del left[name][:count]
            if batch:
                batches.append(batch)
    return batches


@given(
    st.lists(st.integers(1, 40), max_size=60), st.lists(st.integers(1, 40), max_size=60),
    st.lists(st.tuples(st.integers(1, 7), st.integers(0, 9)), min_size=1, max_size=4).filter(
        lambda cuts: any(second for _, second in cuts)
    ),
    st.integers(1, 9),
)  # fmt: skip
def test_every_batch_has_its_entries_again(
    first: list[int], second: list[int], cuts: list[tuple[int, int]], page: int
) -> None:
    async def main() -> None:
        transport = MemoryTransport()
        batches = batches_of(await fill(transport, {"a": first, "b": second}), cuts)
        assert await replayed(transport, journal_of(batches), page) == batches

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_large_and_small_entries_on_every_bus(kind: Kind) -> None:
    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            sizes = {"a": [10] * 700 + [600_000, 10, 2_000_000, 10] + [5_000] * 300, "b": [100] * 50}
            batches = batches_of(await fill(bus.transport, sizes), [(3, 1), (40, 0)])
            counting = FaultyTransport(bus.other)
            assert await replayed(counting, journal_of(batches), page=256) == batches
            assert counting.calls["read_range"] < len(batches)

    with server_url(kind) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_that_leaves_out_entries_is_followed(kind: Kind) -> None:
    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            entries = (await fill(bus.transport, {"a": [8] * 90}))["a"]
            batches = [entries[0:3], entries[10:12], entries[12:60], entries[61:90]]
            assert await replayed(bus.transport, journal_of(batches)) == batches

    with server_url(kind) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_trimmed_is_not_guessed(kind: Kind) -> None:
    async def main(url: str) -> None:
        async with empty_bus(url) as bus:
            entries = (await fill(bus.transport, {"a": [8] * 300}))["a"]
            journal = journal_of([entries[:100], entries[100:200], entries[200:]])
            assert await bus.transport.trim({"a": 150}) == 150
            for which, missing in ((journal[:1], "was 0"), (journal[1:2], "was 50")):
                with pytest.raises(
                    TrimmedError, match=rf"needs 100 entries of 'a' from .*{missing}; the stream was tr"
                ):
                    await replayed(bus.transport, which)
            assert await replayed(bus.transport, journal[2:]) == [entries[200:]]

    with server_url(kind) as url:
        asyncio.run(main(url))


def test_entries_of_other_ids_are_refused() -> None:
    async def main() -> None:
        transport = MemoryTransport()
        await fill(transport, {"a": [8] * 9})
        for span in (Range("a", "2-0", "4-0", 2), Range("a", "2-0", "4-0", 4), Range("a", "8-0", "12-0", 5)):
            with pytest.raises(TrimmedError):
                await replayed(transport, [(7, JournalEntry(0, [span], 0, b"", 0, ""))])

    asyncio.run(main())


def test_nothing_is_left_running_after_an_error() -> None:
    async def main() -> set[asyncio.Task[Any]]:
        transport = FaultyTransport(MemoryTransport())
        entries = (await fill(transport, {"a": [8] * 500}))["a"]
        transport.fail("read_range", None, "refused")
        with pytest.raises(Exception, match="refused"):
            await replayed(transport, journal_of([entries[:250], entries[250:]]))
        return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]

    assert asyncio.run(main()) == set()
