"""Stress scenarios against hand-computed tables; what is not evaluated never passes."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from services.collateral.positions import Greeks, Holding
from services.collateral.scenarios import SCENARIOS, Scenario
from services.collateral.stress import StressResult, overall, run_scenario
from tests.services.collateral.builders import THRESHOLDS, holding


def run(name: str, collateral: str, *holdings: Holding) -> StressResult:
    scenario = SCENARIOS[name]  # type: ignore[index]
    return run_scenario(scenario, holdings, Decimal(collateral), THRESHOLDS, optimize=False)


# scenario, class, value, collateral -> pnl, margin, outcome
@pytest.mark.parametrize(
    ("name", "asset_class", "worth", "collateral", "pnl", "margin", "outcome"),
    [
        ("equity_crash", "equity", "100000", "100000", "-30000", "17500", "pass"),
        ("equity_crash", "equity", "100000", "47500", "-30000", "17500", "pass"),
        ("equity_crash", "equity", "100000", "47499.99", "-30000", "17500", "fail"),
        ("equity_crash", "equity", "-100000", "1", "30000", "17500", "pass"),
        ("equity_crash", "fx", "100000", "2000", "0", "2000", "pass"),
        ("covid_2020", "commodity", "100000", "100000", "-56000", "13200", "pass"),
        ("covid_2020", "crypto", "100000", "60000", "-33000", "33500", "fail"),
        ("gfc_2008", "equity", "100000", "60000", "-57000", "10750", "fail"),
        ("commodity_spike", "commodity", "-100000", "50000", "-40000", "42000", "fail"),
        ("crypto_crash", "crypto", "100000", "100000", "-77000", "11500", "pass"),
        # A currency pair is shocked both ways: the long and the short lose alike.
        ("fx_shock", "fx", "100000", "20000", "-15000", "1700", "pass"),
        ("fx_shock", "fx", "-100000", "20000", "-15000", "2300", "pass"),
    ],
)
def test_shocks(name: str, asset_class: str, worth: str, collateral: str, pnl: str, margin: str, outcome: str) -> None:
    result = run(name, collateral, holding("p", asset_class, worth))
    assert (result.pnl, result.margin, result.outcome) == (Decimal(pnl), Decimal(margin), outcome)
    assert result.collateral == Decimal(collateral) + Decimal(pnl)
    assert result.excess == result.collateral - result.margin


def test_a_bond_moves_by_its_duration() -> None:
    # 7 years times 200 basis points: -14 %; margin rate .12.
    result = run("rate_shock", "100000", holding("b", "bond", "100000", duration="7"))
    assert (result.pnl, result.margin) == (Decimal(-14_000), Decimal(10_320))


def test_volatility_raises_the_rate() -> None:
    # Volatility .40 * 1.5 = .60: 70,000 * .25 * (1 + 1.5 * .30).
    result = run("equity_crash", "100000", holding("p", "equity", "100000", volatility="0.40"))
    assert result.margin == Decimal(25_375)


def test_rising_correlations_take_offsets_away() -> None:
    # 17,500 whole, 17,500 less 20 % * .80.
    result = run("equity_crash", "200000", holding("a", "equity", "100000"), holding("b", "equity", "-100000"))
    assert (result.pnl, result.margin) == (Decimal(0), Decimal(32_200))


def test_a_margin_that_trebles_fails_whatever_stands_against_it() -> None:
    scenario = Scenario("equity_crash", "test", {"equity": Decimal(2)})
    result = run_scenario(scenario, [holding("p", "equity", "100")], Decimal(10_000), THRESHOLDS, optimize=False)
    assert (result.outcome, result.increase, result.reason) == ("fail", Decimal(2), "margin rises by 200 % or more")


def option(quantity: str, gamma: str = "0.02") -> Holding:
    greeks = Greeks(Decimal("0.5"), Decimal(gamma), Decimal(10), Decimal(100), Decimal("0.20"))
    sign = 1 if Decimal(quantity) > 0 else -1
    return Holding("o", "o", "derivative", Decimal(quantity), Decimal(300) * sign, greeks=greeks)


def test_a_derivative_moves_by_its_greeks() -> None:
    # 100 units: .5 * -30 + .5 * .02 * 900 + 10 * .10 = -5 each; they were worth 300 and cannot fall below nothing.
    assert run("equity_crash", "1000", option("-100")).pnl == Decimal(300)
    assert run("equity_crash", "1000", option("10")).pnl == Decimal(-50)
    # The moved option: delta .5 - .02 * 30 = -.1 at 70, volatility .30; worst is up 10.5 with volatility down:
    # 10 * (-1.05 + .5 * .02 * 110.25 - 10 * .075) = -6.975, or unmoved with volatility down: -7.5.
    assert run("equity_crash", "1000", option("10")).margin == Decimal("7.50")


@pytest.mark.parametrize(
    ("name", "position", "reason"),
    [
        ("gfc_2008", holding("p", "crypto", "1"), "position 'p': crypto did not trade in this period"),
        ("rate_shock", holding("p", "bond", "1"), "position 'p': a bond moves by its duration, which is not known"),
        ("equity_crash", holding("p", "derivative", "1"),
         "position 'p': a derivative moves by its Greeks, which are not all known"),
        ("rate_shock", holding("p", "", "1"), "position 'p': its asset class is not in the margin model"),
        ("rate_shock", msgspec.structs.replace(holding("p", "fx", "1"), problem="its price is old"),
         "position 'p': its price is old"),
        ("rate_shock", holding("p", "fx", "0"), "there is no margin today to compare with"),
    ],
)  # fmt: skip
def test_what_cannot_be_evaluated_says_why(name: str, position: Holding, reason: str) -> None:
    result = run(name, "1000000", position)
    assert (result.outcome, result.reason) == ("not_evaluated", reason)


def test_nothing_to_stress_is_not_a_pass() -> None:
    assert run("equity_crash", "1000").outcome == "not_evaluated"


def test_a_derivative_untouched_by_the_scenario_needs_no_greeks() -> None:
    assert run("crypto_crash", "1000", holding("p", "derivative", "100")).outcome == "pass"


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [
        ([], "not_evaluated"),
        (["pass", "pass"], "pass"),
        (["pass", "not_evaluated"], "not_evaluated"),
        (["not_evaluated", "fail", "pass"], "fail"),
    ],
)
def test_the_whole_passes_only_if_everything_passed(outcomes: list[str], whole: str) -> None:
    results = [StressResult("rate_shock", outcome) for outcome in outcomes]  # type: ignore[arg-type]
    assert overall(results) == whole
