"""The codec: what goes in comes out, and what is broken breaks alone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.messagebus import DecodeError, RecordBatch
from libs.messagebus.codec import MAX_ENTRY_BYTES
from libs.messagebus.envelope import Input, ReferringBatch
from libs.testing.bus_topics import CODEC, Halted, Noted, Ticked

sequences = st.integers(0, 2**62)
times = st.integers(0, 2**63 - 1)
texts = st.text(max_size=20)
events = st.one_of(
    st.builds(Ticked, times, texts, st.floats(allow_nan=False)),
    st.builds(Noted, times, texts),
    st.builds(Halted, times, texts),
)


@st.composite
def record_batches(draw: st.DrawFn) -> RecordBatch:
    held = draw(st.lists(events, max_size=4))
    per_event = {"min_size": len(held), "max_size": len(held)}
    return RecordBatch(
        draw(texts),
        draw(sequences),
        draw(times),
        held,
        draw(st.lists(st.builds(Input, texts, sequences, st.integers(0, 1000)), max_size=2)),
        draw(st.just([]) | st.lists(st.integers(-1, 50), **per_event)),
        draw(st.just([]) | st.lists(texts, **per_event)),
    )


batches = record_batches()


@given(batches)
def test_batches_come_back_equal(batch: RecordBatch) -> None:
    assert CODEC.decode(CODEC.encode(batch)) == batch
    salvaged, bad = CODEC.salvage(CODEC.encode(batch))
    assert (salvaged, bad) == (batch, [])


@given(events)
def test_single_events_come_back_equal(event: Ticked) -> None:
    assert CODEC.decode_event(CODEC.encode_event(event)) == event


#: Payloads that are MessagePack but no event of the registry: wrong tags, wrong types, missing fields, other shapes.
strangers = st.sampled_from(
    [
        ["test.unknown.v1", 1, "X", 1.0],
        ["test.ticked.v1", "late", "X", 1.0],
        ["test.ticked.v1", 1],
        ["test.ticked.v1", 1, "X", None],
        {"type": "test.ticked.v1"},
        [],
        None,
        7,
        "test.ticked.v1",
    ]
)


@given(st.lists(st.one_of(events, strangers), min_size=1, max_size=8), texts, sequences)
def test_salvage_keeps_exactly_the_good_events_in_their_places(
    items: list[object], producer: str, sequence: int
) -> None:
    data = msgspec.msgpack.encode([producer, sequence, 5, items])
    good = {index: item for index, item in enumerate(items) if isinstance(item, Ticked | Noted | Halted)}
    batch, bad = CODEC.salvage(data)
    assert (batch.producer, batch.sequence, batch.ts_publish) == (producer, sequence, 5)
    assert batch.events == [good.get(index) for index in range(len(items))]
    assert [each.index for each in bad] == [index for index in range(len(items)) if index not in good]
    for each in bad:
        assert msgspec.msgpack.decode(each.payload) == items[each.index]
        assert each.error
    if bad:
        with pytest.raises(DecodeError, match="no record batch of this registry"):
            CODEC.decode(data)
    else:
        assert CODEC.decode(data) == batch


@given(batches, st.data())
def test_damaged_bytes_raise_or_decode_but_never_crash(batch: RecordBatch, data: st.DataObject) -> None:
    encoded = bytearray(CODEC.encode(batch))
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(encoded[: data.draw(st.integers(0, len(encoded)))])
    for damaged in (bytes(encoded), cut):
        try:
            whole = CODEC.decode(damaged)
        except DecodeError:
            continue
        # What decodes at once must salvage to the same.
        assert repr(CODEC.salvage(damaged)) == repr((whole, []))


@given(st.binary(max_size=60))
def test_any_bytes_raise_only_decode_errors(data: bytes) -> None:
    for decode in (CODEC.decode, CODEC.salvage, CODEC.decode_event):
        try:
            decode(data)
        except DecodeError as error:
            assert str(error)  # noqa: PT017  # most inputs fail, some may decode: both are right


@pytest.mark.parametrize("text", [b"\x80", b"\xff\xfe", b"\xed\xa0\x80"], ids=["stray", "bom", "surrogate"])
def test_text_that_is_no_utf8_is_a_decode_error(text: bytes) -> None:
    good = CODEC.encode(RecordBatch("p", 0, 0, [Noted(1, "?" * len(text)), Noted(2, "fine")]))
    data = good.replace(b"?" * len(text), text)
    with pytest.raises(DecodeError):
        CODEC.decode(data)
    batch, bad = CODEC.salvage(data)
    assert (batch.events, [each.index for each in bad]) == ([None, Noted(2, "fine")], [0])
    with pytest.raises(DecodeError):
        CODEC.decode_event(CODEC.encode_event(Noted(1, "?" * len(text))).replace(b"?" * len(text), text))


@pytest.mark.parametrize(("causes", "roots"), [([0], []), ([0, 0, 0], []), ([], ["a:1"]), ([0, 0], ["a:1"])])
def test_causes_that_do_not_match_the_events_are_refused(causes: list[int], roots: list[str]) -> None:
    data = CODEC.encode(RecordBatch("p", 0, 0, [Noted(1, "a"), Noted(2, "b")], [Input("q", 0, 1)], causes, roots))
    for decode in (CODEC.decode, CODEC.salvage):
        with pytest.raises(DecodeError, match="must carry 2"):
            decode(data)


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    deep = b"\x94\xa1p\x00\x00\x91" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(DecodeError):
        CODEC.decode(deep)


def test_oversized_entries_are_refused_unread() -> None:
    with pytest.raises(DecodeError, match=f"at most {MAX_ENTRY_BYTES} bytes, was {MAX_ENTRY_BYTES + 1}"):
        CODEC.decode(bytes(MAX_ENTRY_BYTES + 1))


def test_batches_of_older_writers_decode() -> None:
    # Before causes existed a batch ended after its events; trailing fields have defaults.
    data = msgspec.msgpack.encode(["p", 3, 5, [Ticked(1, "X", 2.0)]])
    assert CODEC.decode(data) == RecordBatch("p", 3, 5, [Ticked(1, "X", 2.0)])


def test_batches_of_newer_writers_decode() -> None:
    # A later version appends fields, to the envelope and to an event; this one ignores them.
    data = msgspec.msgpack.encode(["p", 3, 5, [["test.ticked.v1", 1, "X", 2.0, "new"]], [], [], [], [], "new"])
    assert CODEC.decode(data) == RecordBatch("p", 3, 5, [Ticked(1, "X", 2.0)])


def test_references_cost_nothing_where_there_are_none_and_come_back_where_there_are() -> None:
    plain = RecordBatch("p", 3, 5, [Ticked(1, "X", 2.0), Ticked(2, "X", 3.0)])
    assert len(msgspec.msgpack.decode(CODEC.encode(plain))) == 7
    referring = ReferringBatch("p", 3, 5, plain.events, references=[["q:1", "r:2"], []])
    decoded = CODEC.decode(CODEC.encode(referring))
    assert decoded == referring
    assert [decoded.references_of(index) for index in (0, 1)] == [["q:1", "r:2"], []]
    assert CODEC.decode(CODEC.encode(plain)).references_of(0) == []


def test_references_that_do_not_match_the_events_are_refused() -> None:
    with pytest.raises(DecodeError, match="must carry 1 references or none, was 2"):
        CODEC.decode(CODEC.encode(ReferringBatch("p", 3, 5, [Ticked(1, "X", 2.0)], references=[[], []])))
