"""The price table against a table kept in a dict, and the rules of what closes a day."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.risk.prices import PriceTable
from services.risk.state import PriceTableState
from tests.services.risk.builders import DAY

SYMBOLS = ["A", "B", "C"]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.integers(-3, 3),  # how far the day moves, back too: late prices
        st.sampled_from([1.0, 2.0, 3.5, 10.0, -1.0, 0.0]),
        st.booleans(),  # restart before it
    ),
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS, st.sets(st.sampled_from(SYMBOLS), min_size=1))
def test_joint_returns_are_those_of_a_plain_table(events: list[tuple[Any, ...]], wanted: set[str]) -> None:
    capacity, window = 6, 4
    table = PriceTable(capacity)
    model: dict[int, dict[str, float]] = {}
    today = 10
    for symbol, move, price, restart in events:
        today = max(0, today + move)
        if restart:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(table.state()), type=PriceTableState)
            table = PriceTable(capacity)
            table.restore(state)
        table.record(symbol, today * DAY, price, is_final=True, is_synthetic=False)
        if len(model) < capacity or today in model or today > min(model):
            model.setdefault(today, {})[symbol] = price
        if len(model) > capacity:
            del model[min(model)]
    symbols = sorted(wanted)
    joint = [day for day in sorted(model) if all(model[day].get(symbol, 0.0) > 0.0 for symbol in symbols)]
    joint = joint[-(window + 1) :]
    expected = [
        [model[later][symbol] / model[earlier][symbol] - 1.0 for earlier, later in pairwise(joint)]
        for symbol in symbols
    ]
    found = table.joint_returns(symbols, window)
    assert found.tolist() == expected
    for symbol in symbols:
        assert table.days_of(symbol) == sum(1 for row in model.values() if row.get(symbol, 0.0) > 0.0)


def test_a_holiday_of_one_symbol_makes_both_returns_span_it() -> None:
    table = PriceTable(10)
    for day, a, b in [(1, 100.0, 50.0), (2, 110.0, None), (3, 121.0, 60.0)]:
        table.record("A", day * DAY, a, is_final=True, is_synthetic=False)
        if b is not None:
            table.record("B", day * DAY, b, is_final=True, is_synthetic=False)
    assert table.joint_returns(["A", "B"], 5) == pytest.approx(np.array([[0.21], [0.2]]), rel=1e-12)
    assert table.joint_returns(["A"], 5) == pytest.approx(np.array([[0.1, 0.1]]), rel=1e-12)


def test_an_unknown_symbol_has_no_joint_days() -> None:
    table = PriceTable(10)
    table.record("A", DAY, 1.0, is_final=True, is_synthetic=False)
    assert table.joint_returns(["A", "Z"], 5).shape == (2, 0)
    assert table.joint_returns([], 5).shape == (0, 0)
    assert table.days_of("Z") == 0


def test_prices_within_a_day_become_its_close_when_the_next_day_begins() -> None:
    table = PriceTable(10)
    for ts, price in [(DAY, 10.0), (DAY + 5, 11.0), (2 * DAY + 1, 22.0), (2 * DAY + 2, 33.0)]:
        table.record("A", ts, price, is_final=False, is_synthetic=False)
    assert table.days_of("A") == 1, "the second day still runs"
    table.record("A", 3 * DAY, 1.0, is_final=False, is_synthetic=False)
    assert table.joint_returns(["A"], 5).tolist() == [[2.0]]


def test_a_daily_close_is_final_whatever_quotes_follow_it() -> None:
    table = PriceTable(10)
    table.record("A", DAY, 10.0, is_final=False, is_synthetic=False)
    table.record("A", DAY + 1, 12.0, is_final=True, is_synthetic=False)
    table.record("A", DAY + 2, 99.0, is_final=False, is_synthetic=False)
    table.record("A", 2 * DAY, 99.0, is_final=False, is_synthetic=False)
    table.record("A", 2 * DAY + 1, 18.0, is_final=True, is_synthetic=False)
    assert table.joint_returns(["A"], 5).tolist() == [[0.5]]


def test_many_symbols_fit() -> None:
    table = PriceTable(4)
    for day in (1, 2):
        for number in range(40):
            table.record(f"S{number:02}", day * DAY, float(day * (number + 1)), is_final=True, is_synthetic=number == 7)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(table.state()), type=PriceTableState)
    restored = PriceTable(4)
    restored.restore(state)
    symbols = [f"S{number:02}" for number in range(40)]
    assert restored.joint_returns(symbols, 3).tolist() == [[1.0]] * 40
    assert [symbol for symbol in symbols if restored.is_synthetic(symbol)] == ["S07"]
