"""The decoder fed what nobody sends: it answers with a batch or a ``DecodeError``, and makes no more of it than it may.

``NAUTILUS_SOAK=1`` feeds it a million entries; ``python -m tests.libs.messagebus.fuzz_codec`` lets atheris look on.
"""

from __future__ import annotations

import os
import tracemalloc
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus import DecodeError
from libs.messagebus.codec import MAX_ENTRY_BYTES, MAX_ENTRY_EVENTS
from tests.libs.messagebus.fuzz_codec import feed, mutated, seeds

ROUNDS = 1_000_000 if os.environ.get("NAUTILUS_SOAK") else 20_000


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    feed(data)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(anything, max_size=9))
def test_well_formed_nonsense(values: list[object]) -> None:
    feed(msgspec.msgpack.encode(values))


def test_mutations_of_real_entries_of_every_event_type() -> None:
    random, found = Random(7), {"batch": 0, "salvaged": 0, "refused": 0}
    entries = seeds()
    assert len(entries) >= len(REGISTRY.by_event)
    for _ in range(ROUNDS):
        found[feed(mutated(random.choice(entries), random))] += 1
    # A mutation that never got past the envelope, or never broke anything, would test nothing.
    assert min(found.values()) > ROUNDS // 100, found


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x94\xa1p\x00\x00\xdd" + (8_000_000).to_bytes(4, "big") + b"\xc0" * 8_000_000,
        b"\x94\xa1p\x00\x00\xdd\xff\xff\xff\xff",
        b"\x95\xa1p\x00\x00\x90\xdd" + (2_000_000).to_bytes(4, "big") + b"\x93\xa0\x00\x00" * 2_000_000,
        b"\x96\xa1p\x00\x00\x90\x90\xdd" + (8_000_000).to_bytes(4, "big") + b"\x01" * 8_000_000,
        b"\x97\xa1p\x00\x00\x90\x90\x90\xdd" + (8_000_000).to_bytes(4, "big") + b"\xa0" * 8_000_000,
        b"\x94\xdb\xff\xff\xff\xff",
        b"\x91" * 1_000_000,
        bytes(MAX_ENTRY_BYTES + 1),
    ],
    ids=["events", "announced events", "inputs", "causes", "roots", "announced text", "nested", "too large"],
)  # fmt: skip
def test_hostile_lengths_are_refused_before_anything_is_made_of_them(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        for decode in (CODEC.decode, CODEC.salvage, CODEC.decode_event):
            with pytest.raises(DecodeError):
                decode(hostile)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_the_most_events_an_entry_may_have_are_salvaged_within_bounds() -> None:
    tracemalloc.start()
    try:
        batch, bad = CODEC.salvage(msgspec.msgpack.encode(["p", 0, 0, [None] * MAX_ENTRY_EVENTS]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(batch.events) == len(bad) == MAX_ENTRY_EVENTS
    assert peak < 64 * 1024 * 1024
