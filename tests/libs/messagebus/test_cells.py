"""Names of events across cells, and their record batches under them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.messagebus.cells import Renamer, Translator
from libs.messagebus.envelope import Input, RecordBatch, ReferringBatch
from libs.messagebus.transport import Entry
from libs.testing.bus_topics import CODEC, HALTED, NOTED, TICKED, Halted, Noted, Ticked


def translated(batch: RecordBatch, topics: Any = (TICKED, NOTED, HALTED), to_cell: str = "") -> list[RecordBatch]:
    translator = Translator(Renamer("east", to_cell), topics)
    return [CODEC.decode(data) for _, data in translator.translate(Entry("s", "1-0", CODEC.encode(batch)))]


def test_ids_causes_and_roots_carry_the_cell() -> None:
    events = [Ticked(1, "A", 1.0), Ticked(2, "B", 2.0), Ticked(3, "C", 3.0)]
    batch = RecordBatch("risk", 40, 9, events, [Input("market", 100, 2)], [1, -1, 0], ["client-ab:5", "", ""])
    (found,) = translated(batch)
    assert found.events == events
    assert (found.producer, found.ts_publish) == ("east/risk", 9)
    assert [found.event_id(i) for i in range(3)] == ["east/risk:40", "east/risk:41", "east/risk:42"]
    assert [found.causation_id(i) for i in range(3)] == ["east/market:101", "", "east/market:100"]
    assert [found.correlation_id(i) for i in range(3)] == ["east/client-ab:5", "east/risk:41", "east/market:100"]


def test_references_carry_the_cell() -> None:
    batch = ReferringBatch(
        "ml", 1, 9, [Ticked(1, "A", 1.0), Halted(2, "x")], [], [], [], [["market:1", "west/market:2"], []]
    )
    (found,) = translated(batch, [TICKED])
    assert found.references_of(0) == ["east/market:1", "west/market:2"]


def test_ids_of_other_cells_keep_their_name_and_those_of_the_target_get_theirs_back() -> None:
    batch = RecordBatch(
        "risk", 1, 9, [Ticked(1, "A", 1.0)] * 2, [Input("west/m", 7, 1), Input("north/m", 8, 1)], [0, 1]
    )
    (found,) = translated(batch, to_cell="west")
    assert [found.causation_id(i) for i in range(2)] == ["m:7", "north/m:8"]


def test_events_between_unwanted_ones_keep_their_ids() -> None:
    events = [Ticked(1, "A", 1.0), Halted(2, "no"), Ticked(3, "B", 3.0), Ticked(4, "C", 4.0), Noted(5, "no")]
    batch = RecordBatch("p", 10, 9, events, [Input("m", 0, 9)], [0, 1, 2, 3, 4])
    found = translated(batch, [TICKED])
    ids = [(one.event_id(i), one.causation_id(i), one.events[i].price) for one in found for i in range(len(one.events))]
    assert ids == [
        ("east/p:10", "east/m:0", 1.0),
        ("east/p:12", "east/m:2", 3.0),
        ("east/p:13", "east/m:3", 4.0),
    ]


def test_fields_that_only_newer_versions_know_arrive_as_they_are() -> None:
    event = ["test.ticked.v1", 1, "A", 1.0, {"new": "field"}]
    data = msgspec.msgpack.encode(["p", 0, 9, [event]])
    (output,) = Translator(Renamer("east"), [TICKED]).translate(Entry("s", "1-0", data))
    assert msgspec.msgpack.decode(output.data)[3] == [event]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\x00",
        msgspec.msgpack.encode(["p", 0, 9, [1, []]]),
        msgspec.msgpack.encode(["p", 0, 9, [["t", 1]], [], [0, 1]]),
    ],
)
def test_what_is_no_event_is_counted_and_left(data: bytes) -> None:
    translator = Translator(Renamer("east"), [TICKED])
    assert translator.translate(Entry("s", "1-0", data)) == []
    assert translator.unreadable >= 1


@pytest.mark.parametrize(("cell", "to_cell"), [("", ""), ("East", ""), ("a/b", ""), ("east", "east"), ("a", "b c")])
def test_names_that_would_not_be_told_apart_are_refused(cell: str, to_cell: str) -> None:
    with pytest.raises(ValueError, match="was '"):
        Renamer(cell, to_cell)
