"""The gate: every check denies with its own text and passes right at its limit; the first that refuses is named."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.strategy.checks import CHECKS
from services.strategy.gate import Denial, GateInputs, GateLimits, OrderRequest, first_denial, is_reducing
from services.strategy.instruments import TradingRules
from services.strategy.state import Halt, Mark

SECOND = 1_000_000_000
NOW = 1_000 * SECOND

LIMITS = GateLimits(
    max_quantity=Decimal(1_000),
    max_notional=Decimal(50_000),
    max_notional_fraction=Decimal("0.25"),
    max_position_notional=Decimal(80_000),
    max_position_fraction=Decimal("0.40"),
    price_collar=Decimal("0.05"),
    stale_ns=5 * SECOND,
    duplicate_window_ns=SECOND,
    buying_power_reserve=Decimal("0.01"),
    allow_short=False,
)
RULES = TradingRules("AAA.X", "equity", "USD", Decimal("0.01"), Decimal(1), Decimal(1), True, False)
D = Decimal
INPUTS = GateInputs(
    now=NOW, rules=RULES, mark=Mark(100.0, NOW, "test"), halt=None, position=D(0), open_buys=D(0), open_sells=D(0),
    portfolio_position=D(0), portfolio_open_buys=D(0), portfolio_open_sells=D(0), cash=D(100_000), equity=D(100_000),
    valued_at=NOW, currency="USD", twin_at=None, unknown_order=None,
)  # fmt: skip
BUY = OrderRequest("main", "s", "AAA.X", "buy", D(10))
SELL = replace(BUY, side="sell")
HELD = {"position": D(10), "portfolio_position": D(10)}
HALT = Halt("symbol", "AAA.X", "drawdown", "risk", 1, True, False)
WIDE = replace(LIMITS, max_notional=D(200_000), max_position_notional=D(200_000))
SHORT = replace(LIMITS, allow_short=True)
LOTS = msgspec.structs.replace(RULES, lot_size=D(100))
INDEX = msgspec.structs.replace(RULES, is_tradable=False)
FUTURE = msgspec.structs.replace(RULES, multiplier=D(50))


def limit(side: str, price: str, quantity: str = "10") -> OrderRequest:
    return replace(BUY, side=side, order_type="limit", limit_price=D(price), quantity=D(quantity))  # type: ignore[arg-type]


def stop(side: str, price: str, cap: str | None = None) -> OrderRequest:
    kind = "stop_limit" if cap else "stop"
    return replace(BUY, side=side, order_type=kind, stop_price=D(price), limit_price=D(cap) if cap else None)  # type: ignore[arg-type]


def units(quantity: str, **changes: Any) -> OrderRequest:
    return replace(BUY, quantity=D(quantity), **changes)


def judge(request: OrderRequest, inputs: dict[str, Any]) -> Denial | None:
    given = dict(inputs)
    limits = given.pop("limits", LIMITS)
    return first_denial(CHECKS, request, replace(INPUTS, **given), limits)


def test_an_ordinary_order_passes() -> None:
    assert judge(BUY, {}) is None
    assert judge(SELL, HELD) is None


#: Request and inputs that are denied, with the check, its limit and the value named.
DENIED: list[tuple[OrderRequest, dict[str, Any], str, str, str]] = [
    (BUY, {"halt": HALT}, "halted", "no halt in force", "symbol AAA.X halted by risk: drawdown"),
    (BUY, {"unknown_order": "o7"}, "halted", "no order of the symbol without an answer from its venue", "o7 has none"),
    (BUY, {"rules": None}, "instrument-unknown", "an instrument marketdata defined", "AAA.X"),
    (BUY, {"rules": INDEX}, "not-tradable", "a tradable instrument", "AAA.X"),
    (units("0"), {}, "not-finite", "0 < quantity <= 1E+15", "0"),
    (units("-5"), {}, "not-finite", "0 < quantity <= 1E+15", "-5"),
    (units("NaN"), {}, "not-finite", "0 < quantity <= 1E+15", "NaN"),
    (units("Infinity"), {}, "not-finite", "0 < quantity <= 1E+15", "Infinity"),
    (limit("buy", "NaN"), {}, "not-finite", "0 < limit_price <= 1E+15", "NaN"),
    (replace(BUY, order_type="limit"), {}, "not-finite", "limit_price given", "none"),
    (replace(BUY, order_type="stop"), {}, "not-finite", "stop_price given", "none"),
    (replace(BUY, limit_price=D(100)), {}, "not-finite", "no limit_price", "100"),
    (limit("buy", "99.005"), {}, "tick-size", "a multiple of 0.01", "99.005"),
    (stop("buy", "101.001"), {}, "tick-size", "a multiple of 0.01", "101.001"),
    (units("150"), {"rules": LOTS}, "lot-size", "a multiple of 100", "150"),
    (BUY, {"mark": None}, "stale-reference", "a price at most 5 s old", "no price"),
    (BUY, {"mark": Mark(100.0, NOW - 6 * SECOND, "test")}, "stale-reference", "a price at most 5 s old", "6 s"),
    (limit("buy", "105.01"), {}, "price-collar", "at most 105 (5 % from 100)", "105.01"),
    (limit("sell", "94.99"), HELD, "price-collar", "at least 95 (5 % from 100)", "94.99"),
    (stop("buy", "94.99"), {}, "price-collar", "at least 95 (5 % from 100)", "94.99"),
    (stop("sell", "105.01"), HELD, "price-collar", "at most 105 (5 % from 100)", "105.01"),
    (stop("buy", "120", "126.01"), {}, "price-collar", "at most 126 (5 % from 120)", "126.01"),
    (units("1001"), {}, "max-quantity", "1000", "1001"),
    (units("501"), {}, "max-notional", "50000", "50100"),
    (limit("buy", "104", "481"), {}, "max-notional", "50000", "50024"),
    (units("11"), {"rules": FUTURE}, "max-notional", "50000", "55000"),
    (SELL, {}, "position-limit", "sells at most 0 (held less open sells; short selling is off)", "10"),
    (SELL, HELD | {"open_sells": D(1)}, "position-limit",
     "sells at most 9 (held less open sells; short selling is off)", "10"),
    (units("401"), {"portfolio_position": D(300), "portfolio_open_buys": D(100)}, "position-limit", "80000", "80100"),
    (units("401", side="sell"), {"portfolio_position": D(-300), "portfolio_open_sells": D(100), "limits": SHORT},
     "position-limit", "80000", "80100"),
    (BUY, {"cash": None, "equity": None, "valued_at": None, "currency": None}, "buying-power", "a valued portfolio",
     "none"),
    (BUY, {"valued_at": NOW - 6 * SECOND}, "buying-power", "a valuation at most 5 s old", "6 s"),
    (BUY, {"currency": "EUR"}, "buying-power", "cash in USD", "cash in EUR"),
    (units("100"), {"cash": D("10099.99")}, "buying-power", "10099.99", "10100"),
    (BUY, {"twin_at": NOW - SECOND + 1}, "duplicate-order", "1 s between equal orders", "1 s"),
    (units("11", side="sell", reduce_only=True), HELD | {"limits": SHORT}, "reduce-only", "10", "11"),
    (replace(BUY, reduce_only=True), HELD, "reduce-only", "0", "10"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "inputs", "check", "at", "value"), DENIED)
def test_a_check_denies_beyond_its_limit_and_says_so(
    request_: OrderRequest, inputs: dict[str, Any], check: str, at: str, value: str
) -> None:
    denial = judge(request_, inputs)
    assert denial is not None
    assert (denial.check, denial.limit, denial.value) == (check, at, value)
    assert len(denial.remedy) > 10
    assert not denial.remedy.endswith(".")


#: Right at the limit, or on the side that is not dangerous.
PASSED: list[tuple[OrderRequest, dict[str, Any]]] = [
    (BUY, {"mark": Mark(100.0, NOW - 5 * SECOND, "test")}),
    (limit("buy", "105"), {}),
    (limit("buy", "1"), {}),
    (limit("sell", "95"), HELD),
    (limit("sell", "190"), HELD),
    (stop("buy", "95"), {}),
    (stop("sell", "80"), HELD),
    (stop("sell", "105"), HELD),
    (stop("buy", "120", "126"), {}),
    (units("1000"), {"rules": LOTS, "limits": WIDE, "cash": D(200_000)}),
    (units("500"), {}),
    (units("1000"), {"equity": D(400_000), "cash": D(400_000)}),  # a quarter of it is more than the absolute limit
    (units("10"), {"rules": FUTURE}),
    (units("400"), {"portfolio_position": D(300), "portfolio_open_buys": D(100)}),
    (SELL, HELD | {"portfolio_position": D(5_000)}),  # reducing is never refused for size
    (units("100"), {"cash": D(10_100)}),
    (SELL, HELD | {"cash": None, "equity": None, "valued_at": None, "currency": None}),
    (BUY, {"twin_at": NOW - SECOND}),
    (replace(SELL, reduce_only=True), HELD),
    (units("10", reduce_only=True), {"position": D(-10), "portfolio_position": D(-10)}),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "inputs"), PASSED)
def test_a_check_passes_at_its_limit(request_: OrderRequest, inputs: dict[str, Any]) -> None:
    assert judge(request_, inputs) is None


def test_every_check_is_exercised_by_a_denial() -> None:
    named = {check for _, _, check, _, _ in DENIED}
    assert len(named) == len(CHECKS)


def test_the_first_check_that_refuses_is_named() -> None:
    # Wrong in every respect; each repair uncovers the next check of the catalogue.
    request = replace(BUY, quantity=D("-1.5"), order_type="limit", limit_price=D("200.001"), reduce_only=True)
    inputs: dict[str, Any] = {"halt": HALT, "rules": None, "mark": None, "cash": D(0), "twin_at": NOW}
    inputs["portfolio_position"] = D(799)
    seen: list[str] = []
    repairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"halt": None}, {}), ({"rules": INDEX}, {}), ({"rules": RULES}, {}), ({}, {"quantity": D("1000.5")}),
        ({}, {"limit_price": D(200)}), ({}, {"quantity": D(1_001)}), ({"mark": Mark(100.0, NOW, "t")}, {}),
        ({}, {"limit_price": D(101)}), ({}, {"quantity": D(1_000)}), ({}, {"quantity": D(2)}),
        ({"portfolio_position": D(0)}, {}), ({"cash": D(1_000)}, {}), ({"twin_at": None}, {}),
        ({}, {"reduce_only": False}),
    ]  # fmt: skip
    for inputs_change, request_change in repairs:
        denial = judge(request, inputs)
        assert denial is not None
        seen.append(denial.check)
        inputs |= inputs_change
        request = replace(request, **request_change)
    assert seen == [
        "halted", "instrument-unknown", "not-tradable", "not-finite", "tick-size", "lot-size", "stale-reference",
        "price-collar", "max-quantity", "max-notional", "position-limit", "buying-power", "duplicate-order",
        "reduce-only",
    ]  # fmt: skip
    assert judge(request, inputs) is None


def test_reducing_counts_what_is_open_already() -> None:
    assert is_reducing(SELL, D(10), D(0), D(0))
    assert not is_reducing(SELL, D(10), D(0), D(1))
    assert is_reducing(BUY, D(-15), D(5), D(0))
    assert not is_reducing(BUY, D(-15), D(6), D(0))
    assert not is_reducing(units("NaN"), D(10), D(0), D(0))
