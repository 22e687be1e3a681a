"""Random histories of producers and readers on every transport, against a model of plain lists.

The model stores whole streams and never forgets; it is too simple to be wrong in the ways a transport can be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.messagebus import FencedError, StateLostError, Transport
from libs.messagebus.transport import START, Commit, Output
from tests.contract.buses import KINDS, empty_bus, server_url

STREAMS = ("a", "b", "c", "d")
#: Who reads what: a chain with a branch, and one that reads what it publishes itself.
READERS = {"first": ("a",), "second": ("b", "c"), "third": ("c", "d")}

appends = st.tuples(
    st.just("append"),
    st.integers(0, 1),  # producer
    st.integers(-2, 2),  # sequence relative to the next free one: below 0 is a resend
    st.lists(st.sampled_from(STREAMS), min_size=1, max_size=3),
)
commits = st.tuples(
    st.just("commit"),
    st.sampled_from(sorted(READERS)),
    st.integers(-1, 1),  # number relative to the next: -1 is a resend, 1 a gap
    st.booleans(),  # under an older epoch
    st.integers(0, 3),  # entries consumed of each stream
    st.lists(st.sampled_from(STREAMS), max_size=2),
)
acquires = st.tuples(st.just("acquire"), st.sampled_from(sorted(READERS)))
histories = st.lists(st.one_of(appends, commits, acquires), max_size=25)


@dataclass
class ReaderModel:
    epoch: int = 0
    journal: list[bytes] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)


@dataclass
class Model:
    """Streams as lists of payloads; readers as counts of what they read."""

    streams: dict[str, list[bytes]] = field(default_factory=lambda: {name: [] for name in STREAMS})
    readers: dict[str, ReaderModel] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    written: int = 0

    def outputs(self, names: list[str]) -> list[Output]:
        self.written += 1
        return [Output(name, f"{self.written}.{index}".encode()) for index, name in enumerate(names)]

    def put(self, outputs: list[Output]) -> None:
        for name, data in outputs:
            self.streams[name].append(data)

    def waiting(self) -> list[str]:
        return sorted(
            name
            for name, streams in READERS.items()
            if name not in self.readers
            or any(self.readers[name].read.get(stream, 0) < len(self.streams[stream]) for stream in streams)
        )


async def play(history: list[tuple[Any, ...]], transport: Transport) -> None:
    model = Model()
    for action, *arguments in history:
        await {"append": append, "commit": commit, "acquire": acquire}[action](model, transport, *arguments)
        state = await transport.quiescence(sorted(READERS))
        assert (state.quiet, state.waiting_for) == (not model.waiting(), model.waiting())
    for name, payloads in model.streams.items():
        assert [entry.data for entry in await transport.read({name: START}, 1000, 0)] == payloads
    for name, reader in model.readers.items():
        journal = await transport.journal(name, 0, 1000)
        assert journal == [(number + 1, data) for number, data in enumerate(reader.journal)]


async def append(model: Model, transport: Transport, number: int, offset: int, names: list[str]) -> None:
    producer = f"p{number}"
    expected = model.sequences.get(producer, 0)
    sequence = max(0, expected + offset)
    outputs = model.outputs(names)
    fresh = sequence >= expected
    assert await transport.append(producer, sequence, len(outputs), outputs) is fresh
    if fresh:
        model.put(outputs)
        model.sequences[producer] = sequence + len(outputs)


async def acquire(model: Model, transport: Transport, name: str) -> None:
    reader = model.readers.setdefault(name, ReaderModel())
    lease = await transport.acquire(name, READERS[name])
    reader.epoch += 1
    assert (lease.epoch, lease.commits) == (reader.epoch, len(reader.journal))
    for stream, count in reader.read.items():
        entries = await transport.read({stream: START}, 1000, 0)
        assert lease.positions[stream] == entries[count - 1].entry_id


async def commit(
    model: Model, transport: Transport, name: str, offset: int, stale: bool, consumed: int, names: list[str]
) -> None:
    reader = model.readers.get(name, ReaderModel())
    number = len(reader.journal) + 1 + offset
    reached = {}
    positions = {}
    for stream in READERS[name]:
        entries = await transport.read({stream: START}, 1000, 0)
        count = min(len(entries), reader.read.get(stream, 0) + consumed)
        if count > reader.read.get(stream, 0):
            reached[stream], positions[stream] = count, entries[count - 1].entry_id
    outputs = model.outputs(names)
    journal = f"{name}#{number}/{model.written}".encode()
    attempt = transport.commit(Commit(name, reader.epoch - stale, number, positions, outputs, journal))
    if stale or name not in model.readers:
        with pytest.raises(FencedError):
            await attempt
    elif offset > 0:
        with pytest.raises(StateLostError):
            await attempt
    else:
        await attempt
        if offset == 0:
            reader.journal.append(journal)
            reader.read |= reached
            model.put(outputs)


@pytest.fixture(scope="module", params=KINDS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with server_url(request.param) as found:
        yield found


@given(history=histories)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_history_matches_the_model(history: list[tuple[Any, ...]], url: str) -> None:
    async def run() -> None:
        async with empty_bus(url) as bus:
            await play(history, bus.transport)

    asyncio.run(run())
