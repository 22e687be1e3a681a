"""Checks of what an order may cost and lead to: size, position, buying power.

They come after the checks of the order itself, so there are rules and a reference price, and all numbers are finite.
"""

from __future__ import annotations

from decimal import Decimal

from services.strategy.gate import Denial, GateInputs, GateLimits, OrderRequest, is_reducing, shown
from services.strategy.order_checks import reference_of, rules_of

_NS = 1_000_000_000
_ZERO = Decimal(0)


def check_max_quantity(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """One order is not too many units."""
    if request.quantity <= limits.max_quantity:
        return None
    return Denial(
        "max-quantity", shown(limits.max_quantity), shown(request.quantity), "split the order, or set RISK_MAX_QUANTITY"
    )


def check_max_notional(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """One order is not too much money."""
    limit = _larger(limits.max_notional, limits.max_notional_fraction, inputs.equity)
    value = _notional(request, inputs)
    if value <= limit:
        return None
    return Denial("max-notional", shown(limit), shown(value), "split the order, or set RISK_MAX_NOTIONAL")


def check_position_limit(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """What the portfolio may come to hold is not too much, and the strategy does not sell what it has not.

    The worst case counts: every open order on the same side fills, none on the other. An order that only reduces
    passes, because refusing it would keep the position above the limit.
    """
    if is_reducing(request, inputs.position, inputs.open_buys, inputs.open_sells):
        return None
    if not request.is_buy and not limits.allow_short:
        held = inputs.position - inputs.open_sells
        return Denial(
            "position-limit",
            f"sells at most {shown(max(held, _ZERO))} (held less open sells; short selling is off)",
            shown(request.quantity),
            "sell what the strategy holds, name the strategy that holds it, or set STRATEGY_ALLOW_SHORT",
        )
    if request.is_buy:
        after = inputs.portfolio_position + inputs.portfolio_open_buys + request.quantity
    else:
        after = inputs.portfolio_position - inputs.portfolio_open_sells - request.quantity
    limit = _larger(limits.max_position_notional, limits.max_position_fraction, inputs.equity)
    value = abs(after) * _unit_price(request, inputs) * rules_of(inputs).multiplier
    if value <= limit:
        return None
    return Denial("position-limit", shown(limit), shown(value), "buy less, or set STRATEGY_MAX_POSITION_NOTIONAL")


def check_buying_power(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """The portfolio's free cash pays for a buy, open buys and a reserve included; nothing is bought on credit."""
    if not request.is_buy:
        return None
    if inputs.cash is None or inputs.valued_at is None:
        return Denial("buying-power", "a valued portfolio", "none", f"wait for a valuation of {request.portfolio_id}")
    age = inputs.now - inputs.valued_at
    if age > limits.stale_ns:
        limit = f"a valuation at most {limits.stale_ns / _NS:g} s old"
        return Denial("buying-power", limit, f"{age / _NS:g} s", "see why the portfolio engine publishes none")
    currency = rules_of(inputs).currency
    if currency != inputs.currency:
        return Denial(
            "buying-power", f"cash in {currency}", f"cash in {inputs.currency}", "use a portfolio in that currency"
        )
    cost = _notional(request, inputs) * (1 + limits.buying_power_reserve)
    if cost <= inputs.cash:
        return None
    reserve = shown(limits.buying_power_reserve * 100)
    remedy = f"buy less, sell first, or cancel open buys; {reserve} % is reserved for costs"
    return Denial("buying-power", shown(inputs.cash), shown(cost), remedy)


def _unit_price(request: OrderRequest, inputs: GateInputs) -> Decimal:
    """The most a unit may trade at, which is what money is reckoned with: a limit buy's limit is a ceiling."""
    given = max(request.limit_price or _ZERO, request.stop_price or _ZERO)
    if request.is_buy and request.limit_price is not None:
        return request.limit_price
    return max(given, reference_of(inputs))


def _notional(request: OrderRequest, inputs: GateInputs) -> Decimal:
    return request.quantity * _unit_price(request, inputs) * rules_of(inputs).multiplier


def _larger(absolute: Decimal, fraction: Decimal, equity: Decimal | None) -> Decimal:
    return absolute if equity is None else max(absolute, fraction * equity)
