"""Margin of portfolios: hand-computed tables, and what must hold for any number of positions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.collateral.margin import (
    Margin,
    calculate_margin,
    offset_rate,
    required_action_amount,
    state_of,
    utilization_of,
)
from services.collateral.positions import RATES, Holding
from tests.services.collateral.builders import THRESHOLDS, holding


def plain(*holdings: Holding) -> Margin:
    return calculate_margin(holdings, optimize=False)


def figures(margin: Margin) -> tuple[Decimal, ...]:
    return margin.initial, margin.offset, margin.total, margin.maintenance


def expect(*values: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(value) for value in values)


def test_no_position_needs_no_margin() -> None:
    assert figures(plain()) == expect("0", "0", "0", "0")


def test_one_position_saves_nothing() -> None:
    assert figures(plain(holding("a", "equity", 100_000))) == expect("25000", "0", "25000", "15000")


def test_every_further_position_of_a_class_saves_the_offset_rate() -> None:
    # 25,000 whole; (12,500 + 5,000) * .20 saved. Maintenance 15,000 + 10,500 * .80.
    margin = plain(holding("a", "equity", 100_000), holding("b", "equity", -50_000), holding("c", "equity", 20_000))
    assert figures(margin) == expect("42500", "3500", "39000", "23400")


def test_equities_and_bonds_save_a_tenth_of_the_smaller() -> None:
    # 25,000 and 12,000 (duration 7): 1,200 saved; maintenance 15,000 and 7,200: 720.
    margin = plain(holding("a", "equity", 100_000), holding("b", "bond", 100_000, duration="7"))
    assert figures(margin) == expect("37000", "1200", "35800", "21480")


def test_equities_and_commodities_save_a_twentieth_of_the_smaller() -> None:
    # 25,000 and 30,000: 1,250 saved; maintenance 15,000 and 20,000: 750.
    margin = plain(holding("a", "equity", 100_000), holding("b", "commodity", 100_000))
    assert figures(margin) == expect("55000", "1250", "53750", "34250")


def test_classes_without_a_relation_save_nothing() -> None:
    margin = plain(*[holding(name, name, 100_000) for name in ("fx", "derivative", "crypto")])
    assert figures(margin) == expect("67000", "0", "67000", "46500")


def test_what_is_charged_in_full_saves_nothing_and_is_listed() -> None:
    margin = plain(holding("a", "equity", 1_000), holding("b", "bond", 1_000), holding("c", "", -1_000))
    assert margin.total == Decimal(2_250)
    assert [one.holding.position_id for one in margin.unrated()] == ["b", "c"]


@pytest.mark.parametrize(
    ("sectors", "rate"),
    [([""], "0.20"), (["tech"], "0.20"), (["tech", "bank"], "0.20"), (["tech", "bank", "oil"], "0.25"),
     (["tech", "tech", ""], "0.20")],
)  # fmt: skip
def test_three_sectors_save_a_quarter(sectors: list[str], rate: str) -> None:
    members = [holding(str(number), "equity", 1, sector=sector) for number, sector in enumerate(sectors)]
    assert offset_rate("equity", members, optimize=True) == Decimal(rate)
    assert offset_rate("equity", members, optimize=False) == Decimal("0.20")


@pytest.mark.parametrize(("durations", "rate"), [(["5"], "0.15"), (["2", "5"], "0.15"), (["2", "5.1"], "0.20")])
def test_bonds_over_three_years_apart_save_a_fifth(durations: list[str], rate: str) -> None:
    members = [holding(years, "bond", 1, duration=years) for years in durations]
    assert offset_rate("bond", members, optimize=True) == Decimal(rate)


# -- what holds for any portfolio -----------------------------------------------------------------

worths = st.decimals(-20_000_000, 20_000_000, places=2)
decimals = st.decimals(0, 3, places=3)


@st.composite
def holdings(draw: st.DrawFn, asset_class: str | None = None, most: int = 12) -> list[Holding]:
    count = draw(st.integers(0, most))
    return [
        holding(
            f"p{number:02}",
            asset_class or draw(st.sampled_from([*RATES, ""])),
            str(draw(worths)),
            sector=draw(st.sampled_from(["", "tech", "bank", "oil"])),
            duration=str(draw(decimals)),
            volatility=str(draw(decimals)),
        )
        for number in range(count)
    ]


@settings(deadline=None, max_examples=50)
@given(holdings(), st.booleans())
def test_margin_stays_within_its_bounds(positions: list[Holding], optimize: bool) -> None:
    margin = calculate_margin(positions, optimize=optimize)
    notional = sum((abs(one.market_value) for one in positions), Decimal(0))
    assert 0 <= margin.maintenance <= margin.total <= margin.initial <= notional
    assert margin.total >= margin.initial / 2
    assert margin.initial - margin.offset == margin.total
    assert margin.total >= max((one.initial for one in margin.positions), default=Decimal(0)) * Decimal("0.85")
    for one in margin.positions:
        assert 0 <= one.maintenance <= one.initial <= one.notional


@settings(deadline=None, max_examples=50)
@given(holdings(), st.data(), st.booleans())
def test_the_order_of_positions_does_not_matter(positions: list[Holding], data: st.DataObject, optimize: bool) -> None:
    shuffled = data.draw(st.permutations(positions))
    assert calculate_margin(shuffled, optimize=optimize) == calculate_margin(positions, optimize=optimize)


@settings(deadline=None, max_examples=50)
@given(holdings())
def test_optimising_never_costs(positions: list[Holding]) -> None:
    assert calculate_margin(positions, optimize=True).total <= plain(*positions).total


@settings(deadline=None, max_examples=50)
@given(holdings(), worths, st.sampled_from([*RATES, ""]))
def test_another_position_never_lowers_the_margin(positions: list[Holding], worth: Decimal, name: str) -> None:
    more = plain(*positions, holding("z", name, str(worth), duration="4"))
    less = plain(*positions)
    assert more.total >= less.total
    assert more.maintenance >= less.maintenance


@pytest.mark.parametrize("name", sorted(RATES))
@settings(deadline=None, max_examples=20)
@given(data=st.data())
def test_any_number_of_positions_of_one_class(name: str, data: st.DataObject) -> None:
    positions = data.draw(holdings(name, most=25))
    margin = plain(*positions)
    amounts = sorted(one.initial for one in margin.positions)
    further = sum(amounts[:-1], Decimal(0))
    assert margin.offset == further * RATES[name].offset  # type: ignore[index]


@settings(deadline=None, max_examples=50)
@given(worths, decimals, decimals)
def test_more_volatility_never_lowers_the_margin(worth: Decimal, low: Decimal, high: Decimal) -> None:
    low, high = sorted((low, high))
    for name in RATES:
        first = plain(holding("p", name, str(worth), volatility=str(low), duration="1"))
        second = plain(holding("p", name, str(worth), volatility=str(high), duration="1"))
        assert second.total >= first.total
        assert second.maintenance >= first.maintenance


@settings(deadline=None, max_examples=50)
@given(holdings(), st.decimals(0, 1, places=2))
def test_granting_less_of_the_offsets_never_lowers_the_margin(positions: list[Holding], scale: Decimal) -> None:
    scaled = calculate_margin(positions, optimize=True, offset_scale=scale)
    assert calculate_margin(positions, optimize=True).total <= scaled.total <= scaled.initial


# -- utilisation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin", "collateral", "utilization", "state"),
    [
        ("0", "0", "0", "ok"),
        ("0", "100", "0", "ok"),
        ("79.99", "100", "0.7999", "ok"),
        ("80", "100", "0.8", "warning"),
        ("90", "100", "0.9", "critical"),
        ("95", "100", "0.95", "emergency"),
        ("500", "100", "5", "emergency"),
        ("1", "0", None, "emergency"),
        ("1", "-5", None, "emergency"),
        ("0", "-5", None, "emergency"),
    ],
)
def test_utilisation_and_state(margin: str, collateral: str, utilization: str | None, state: str) -> None:
    found = utilization_of(Decimal(margin), Decimal(collateral))
    assert found == (None if utilization is None else Decimal(utilization))
    assert state_of(found, THRESHOLDS) == state


@settings(deadline=None, max_examples=50)
@given(st.decimals(0, 10**9, places=4), st.decimals(-(10**9), 10**9, places=4))
def test_the_required_amount_brings_utilisation_to_the_target(margin: Decimal, collateral: Decimal) -> None:
    target = Decimal("0.80")
    amount = required_action_amount(margin, collateral, target)
    assert amount >= 0
    backing = collateral + amount
    assert margin <= target * backing
    if amount > Decimal("0.01"):
        assert margin > target * (backing - Decimal("0.01"))
