"""Ids of events, against a model that writes every id out."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from libs.engine.outputs import OutputEncoder
from libs.messagebus import RecordBatch
from libs.messagebus.envelope import Input
from libs.testing.bus_topics import CODEC, REGISTRY, Ticked


@dataclass
class Written:
    """What the model knows of one event: its ids in full."""

    event_id: str
    cause: str
    root: str


def as_batch(producer: str, sequence: int, count: int) -> RecordBatch:
    return RecordBatch(producer, sequence, 0, [Ticked(0, "X", 0.0)] * count)


runs = st.lists(
    st.tuples(st.sampled_from(["feed", "ml", "a:b"]), st.integers(0, 10**12), st.integers(0, 5)), max_size=4
)


@given(runs, st.data(), st.integers(0, 10**12))
def test_causation_follows_the_flat_index(inputs: list[tuple[str, int, int]], data: st.DataObject, base: int) -> None:
    flat = [f"{producer}:{sequence + i}" for producer, sequence, count in inputs for i in range(count)]
    causes = data.draw(st.lists(st.integers(-1, len(flat) - 1), min_size=1, max_size=6))
    batch = RecordBatch("me", base, 0, [None] * len(causes), [Input(*run) for run in inputs], causes)
    for index, cause in enumerate(causes):
        assert batch.event_id(index) == f"me:{base + index}"
        assert batch.causation_id(index) == (flat[cause] if cause >= 0 else "")
        assert batch.correlation_id(index) == (flat[cause] if cause >= 0 else f"me:{base + index}")


@given(st.data())
def test_every_event_of_a_chain_of_engines_leads_back_to_its_root(data: st.DataObject) -> None:
    """Engines feed each other over five rounds; each event names its cause, and the root behind all causes."""
    known: dict[str, Written] = {}
    batches = [as_batch("feed", 0, 3)]
    for index in range(3):
        known[f"feed:{index}"] = Written(f"feed:{index}", "", f"feed:{index}")
    sequence = 0
    for step in range(5):
        inputs = data.draw(st.lists(st.sampled_from(batches), min_size=1, max_size=3))
        flat = [batch.event_id(i) for batch in inputs for i in range(len(batch.events))]
        causes = data.draw(st.lists(st.integers(-1, len(flat) - 1), min_size=1, max_size=5))
        published = [Ticked(step, "X", float(i)) for i in range(len(causes))]
        outputs, _ = OutputEncoder("engine", CODEC, REGISTRY).encode(published, causes, inputs, sequence, step)
        batch = CODEC.decode(outputs[0].data)
        for index, cause in enumerate(causes):
            own = f"engine:{sequence + index}"
            source = known[flat[cause]] if cause >= 0 else None
            expected = Written(own, source.event_id if source else "", source.root if source else own)
            known[own] = expected
            assert Written(batch.event_id(index), batch.causation_id(index), batch.correlation_id(index)) == expected
        sequence += len(causes)
        batches.append(batch)


def test_a_batch_without_causes_is_all_roots() -> None:
    batch = as_batch("feed-1", 10, 2)
    assert [batch.causation_id(i) for i in range(2)] == ["", ""]
    assert [batch.correlation_id(i) for i in range(2)] == ["feed-1:10", "feed-1:11"]
