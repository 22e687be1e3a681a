"""Stress tests: positions revalued under a scenario, margin and collateral computed again.

Bonds move by duration (first order), derivatives by delta, gamma and vega (second order in the price): far from
today's price both are approximations, and a long option is never worth less than nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Final, Literal

import msgspec

from services.collateral.margin import EXACT, State, Thresholds, calculate_margin, state_of, utilization_of
from services.collateral.positions import ZERO, Holding
from services.collateral.scenarios import Scenario, ScenarioName

Outcome = Literal["pass", "fail", "not_evaluated"]

#: A scenario fails when margin rises by this factor or more.
MOST_INCREASE: Final = Decimal(2)


class StressResult(msgspec.Struct, frozen=True):
    """What a scenario does to a portfolio; money None where it was not evaluated.

    Attributes:
        pnl: Change in value of the positions, and of what stands against the margin.
        increase: Stressed margin over margin today, less 1; None without a margin today.
    """

    scenario: ScenarioName
    outcome: Outcome
    reason: str = ""
    pnl: Decimal | None = None
    margin: Decimal | None = None
    collateral: Decimal | None = None
    excess: Decimal | None = None
    increase: Decimal | None = None
    state: State | None = None


def run_scenario(
    scenario: Scenario, holdings: Sequence[Holding], collateral: Decimal, thresholds: Thresholds, *, optimize: bool
) -> StressResult:
    """Run one scenario: pass = excess of 0 or more and a margin that rises by less than 200 %.

    Of a scenario that goes both ways the result with the smaller excess counts.
    """
    result = _run(scenario, holdings, collateral, thresholds, optimize)
    if not scenario.both_ways or result.excess is None:
        return result
    other = msgspec.structs.replace(scenario, prices={name: -move for name, move in scenario.prices.items()})
    opposite = _run(other, holdings, collateral, thresholds, optimize)
    return result if opposite.excess is None or result.excess <= opposite.excess else opposite


def _run(
    scenario: Scenario, holdings: Sequence[Holding], collateral: Decimal, thresholds: Thresholds, optimize: bool
) -> StressResult:
    if not holdings:
        return StressResult(scenario.name, "not_evaluated", "there is no position to stress")
    with localcontext(EXACT):
        stressed: list[Holding] = []
        for holding in holdings:
            moved = _stressed(scenario, holding)
            if isinstance(moved, str):
                return StressResult(scenario.name, "not_evaluated", f"position '{holding.position_id}': {moved}")
            stressed.append(moved)
        before = calculate_margin(holdings, optimize=optimize)
        after = calculate_margin(stressed, optimize=optimize, offset_scale=1 - scenario.correlation)
        pnl = sum((new.market_value - old.market_value for new, old in zip(stressed, holdings, strict=True)), ZERO)
        backing = collateral + pnl
        excess = backing - after.total
        increase = after.total / before.total - 1 if before.total > 0 else None
        outcome, reason = _judged(excess, increase)
        return StressResult(
            scenario.name,
            outcome,
            reason,
            pnl,
            after.total,
            backing,
            excess,
            increase,
            state_of(utilization_of(after.total, backing), thresholds),
        )


def overall(results: Sequence[StressResult]) -> Outcome:
    """Pass only if every scenario passed; no result at all never passes."""
    outcomes = {result.outcome for result in results}
    if "fail" in outcomes:
        return "fail"
    return "pass" if outcomes == {"pass"} else "not_evaluated"


def _judged(excess: Decimal, increase: Decimal | None) -> tuple[Outcome, str]:
    if excess < 0:
        return "fail", "the stressed collateral does not cover the stressed margin"
    if increase is None:
        return "not_evaluated", "there is no margin today to compare with"
    return ("fail", "margin rises by 200 % or more") if increase >= MOST_INCREASE else ("pass", "")


def _stressed(scenario: Scenario, holding: Holding) -> Holding | str:
    """The holding after the shocks, or why it cannot be shocked."""
    name = holding.asset_class
    if not name or holding.problem:
        return holding.problem or "its asset class is not in the margin model"
    if name in scenario.unobserved:
        return f"{name} did not trade in this period"
    volatility = holding.implied_volatility
    raised = None if volatility is None else volatility * (1 + scenario.volatility)
    if name == "derivative":
        return _stressed_derivative(scenario, holding, raised)
    if name == "bond":
        if holding.duration is None:
            return "a bond moves by its duration, which is not known"
        move = -holding.duration * scenario.yield_change
    else:
        move = scenario.prices.get(name, ZERO)
    # A price cannot fall below zero, however long the duration.
    value = holding.market_value * max(1 + move, ZERO)
    return msgspec.structs.replace(holding, market_value=value, implied_volatility=raised)


def _stressed_derivative(scenario: Scenario, holding: Holding, raised: Decimal | None) -> Holding | str:
    move = scenario.prices.get("equity", ZERO)
    if move == 0 and scenario.volatility == 0:
        return holding
    greeks = holding.greeks
    if greeks is None:
        return "a derivative moves by its Greeks, which are not all known"
    change = holding.quantity * holding.multiplier * greeks.change(move, scenario.volatility)
    after = msgspec.structs.replace(
        greeks,
        delta=greeks.delta + greeks.gamma * greeks.underlying_price * move,
        underlying_price=greeks.underlying_price * (1 + move),
        implied_volatility=greeks.implied_volatility * (1 + scenario.volatility),
    )
    value = holding.market_value + change
    value = max(value, ZERO) if holding.quantity > 0 else min(value, ZERO)
    return msgspec.structs.replace(holding, market_value=value, implied_volatility=raised, greeks=after)
