"""State layouts: told apart, migrated by registered steps, refused otherwise with the version that wrote them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.clock import TestClock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.core import EngineCore
from libs.engine.engine import Outbox
from libs.engine.errors import LayoutError
from libs.engine.migrations import Migration, describe, layout_of, read_state
from libs.engine.snapshot import restore_image, take_image
from libs.engine.state_codec import encode_state
from services.fleet.members import engine_components
from tests.libs.engine.echo_engine import EchoEngine, EchoState


class First(msgspec.Struct):
    counts: dict[str, int]


class Second(msgspec.Struct):
    counts: dict[str, int]
    total: int


class Third(msgspec.Struct):
    counts: dict[tuple[str, str], Decimal]
    total: int


def add_total(state: dict[str, Any]) -> dict[str, Any]:
    return state | {"total": sum(state["counts"].values())}


def by_venue(state: dict[str, Any]) -> dict[str, Any]:
    return state | {"counts": {tuple(key.split(".")): str(count) for key, count in state["counts"].items()}}


ONE, TWO, THREE = layout_of(First), layout_of(Second), layout_of(Third)
STEPS = (Migration(TWO, THREE, by_venue), Migration(ONE, TWO, add_total))


def test_a_state_goes_through_every_step() -> None:
    data = encode_state(First({"A.X": 2, "B.Y": 3}))
    assert read_state(data, ONE, Third, STEPS) == Third({("A", "X"): Decimal(2), ("B", "Y"): Decimal(3)}, 5)


def test_the_shortest_way_is_taken_and_a_circle_ends() -> None:
    back, direct = Migration(TWO, ONE, dict), Migration(ONE, THREE, lambda state: {"counts": {}, "total": -1})
    data = encode_state(First({}))
    assert read_state(data, ONE, Third, (back, *STEPS, direct)).total == -1
    with pytest.raises(LayoutError, match=f"layout {ONE}, this code has {THREE} and knows no way there"):
        read_state(data, ONE, Third, (Migration(ONE, TWO, add_total), back))


def test_a_step_that_fails_or_gives_something_else_is_refused() -> None:
    data = encode_state(First({"A": 1}))
    for change in (lambda state: state["nothing"], lambda state: state | {"total": "many"}, lambda state: state.total):
        with pytest.raises(LayoutError, match=f"migrating its state from {ONE} to {TWO} failed"):
            read_state(data, ONE, Second, (Migration(ONE, TWO, change),))


class Renamed(msgspec.Struct):
    counts: dict[str, int]


class Reordered(msgspec.Struct):
    total: int
    counts: dict[str, int]


class Nested(msgspec.Struct):
    inner: First


class Tree(msgspec.Struct):
    children: list["Tree"] = []  # noqa: UP037


def test_only_what_is_on_the_wire_makes_a_layout() -> None:
    assert layout_of(Renamed) == ONE
    assert layout_of(Reordered) == TWO
    assert describe(Tree) == "{children:ListType(^1)}"
    for tail in (True, False):
        first = msgspec.defstruct("S", [("a", int), ("b", str)], array_like=tail)
        second = msgspec.defstruct("S", [("b", str), ("a", int)], array_like=tail)
        assert (layout_of(first) == layout_of(second)) is (not tail)


@pytest.mark.parametrize("kind", [str, float, int | None, list[int], dict[str, float], tuple[int, int], First, bytes])
def test_every_change_of_a_type_shows(kind: Any) -> None:
    names = {layout_of(msgspec.defstruct("S", [("a", one)])) for one in (int, kind, list[kind], dict[str, kind])}
    assert len(names) == 4


def test_a_change_deep_inside_shows() -> None:
    class Outer(msgspec.Struct):
        inner: dict[str, list[First | None]]

    class Changed(msgspec.Struct):
        inner: dict[str, list[Second | None]]

    assert layout_of(Outer) != layout_of(Changed) != layout_of(Nested)


def test_the_layout_of_every_engine_can_be_told() -> None:
    engines = [component.make_engine(TestClock(0), Outbox()) for component in engine_components()]
    assert len({layout_of(engine.state_type) for engine in engines}) == len(engines)


def core_of(engine: type[EchoEngine], code: str) -> EngineCore:
    clock, outbox = TestClock(0), Outbox()
    core = EngineCore(engine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=True)
    core.code = code
    return core


class Wider(msgspec.Struct):
    counts: dict[str, int]
    ticks: int
    balance: Decimal
    currency: str


class Upgraded(EchoEngine):
    state_type = Wider  # type: ignore[assignment]
    migrations: tuple[Migration, ...] = ()

    def restore(self, state: Any) -> None:
        super().restore(EchoState(state.counts, state.ticks, state.balance))
        self.currency = state.currency


class Migrating(Upgraded):
    migrations = (Migration(layout_of(EchoState), layout_of(Wider), lambda state: state | {"currency": "USD"}),)


def test_an_upgraded_engine_reads_the_snapshot_of_the_one_before() -> None:
    old, new = core_of(EchoEngine, "1.0.0+aa"), core_of(Migrating, "2.0.0+bb")
    old.sequence, old.engine._counts["AAA.X"] = 7, 3  # type: ignore[attr-defined]
    image = restore_image(new, take_image(old, 4, {"market:normal": "4-0"}))
    assert (image.number, image.positions, image.writer.code) == (4, {"market:normal": "4-0"}, "1.0.0+aa")
    assert (new.sequence, new.engine._counts, new.engine.currency) == (7, {"AAA.X": 3}, "USD")  # type: ignore[attr-defined]


def test_without_a_migration_it_is_refused_with_the_version_that_wrote_it() -> None:
    old, new = core_of(EchoEngine, "1.0.0+aa"), core_of(Upgraded, "2.0.0+bb")
    with pytest.raises(LayoutError, match=r"snapshot 4 of 'echo'.*written by version 1\.0\.0\+aa, this is 2\.0\.0\+bb"):
        restore_image(new, take_image(old, 4, {}))
