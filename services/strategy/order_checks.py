"""Checks of the order itself: may it trade now, are its numbers sound, is it not a slip.

Each passes at its limit and denies beyond it. Later checks rely on what earlier ones established: from
``check_stale_reference`` on there are rules and a reference price, and all numbers are finite.
"""

from __future__ import annotations

from decimal import Decimal

from services.strategy.gate import Denial, GateInputs, GateLimits, OrderRequest, is_reducing, shown
from services.strategy.instruments import TradingRules, exact, is_multiple

_NS = 1_000_000_000

#: Beyond this a number is a slip, and exact arithmetic on it would not stay exact.
_LARGEST = Decimal(10) ** 15


def check_halted(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """No halt covers the order, or it only reduces and the halt allows that; no order of the symbol is unknown."""
    halt = inputs.halt
    if halt is None and inputs.unknown_order is not None:
        return Denial(
            "halted",
            "no order of the symbol without an answer from its venue",
            f"{inputs.unknown_order} has none",
            "see the venue's health and wait for its answer, or cancel that order",
        )
    if halt is None:
        return None
    where = halt.scope if not halt.target else f"{halt.scope} {halt.target}"
    return Denial(
        "halted",
        "no halt in force" if not halt.allow_reducing else "reducing orders only",
        f"{where} halted by {halt.actor}: {halt.reason}",
        "lift the halt with POST /control/resume, or wait until who halted does",
    )


def check_instrument_known(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """The instrument was defined by marketdata."""
    if inputs.rules is not None:
        return None
    return Denial(
        "instrument-unknown", "an instrument marketdata defined", request.symbol, "check the symbol, SYMBOL.VENUE"
    )


def check_tradable(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """The instrument is no index or other reference."""
    if rules_of(inputs).is_tradable:
        return None
    return Denial(
        "not-tradable", "a tradable instrument", request.symbol, "trade an instrument that follows it; indices are not"
    )


def check_finite(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """Quantity and the prices its type needs are there, positive and finite, and no others are."""
    numbers: list[tuple[str, Decimal | None, bool]] = [
        ("quantity", request.quantity, True),
        ("limit_price", request.limit_price, request.order_type in ("limit", "stop_limit")),
        ("stop_price", request.stop_price, request.order_type in ("stop", "stop_limit")),
    ]
    for name, value, is_needed in numbers:
        if value is None:
            if is_needed:
                return Denial("not-finite", f"{name} given", "none", f"a {request.order_type} order needs a {name}")
        elif not is_needed:
            return Denial("not-finite", f"no {name}", str(value), f"omit it; a {request.order_type} order has none")
        elif not value.is_finite() or not 0 < value <= _LARGEST:
            return Denial("not-finite", f"0 < {name} <= 1E+15", str(value), f"send a positive finite {name}")
    return None


def check_tick_size(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """Prices lie on the instrument's grid."""
    tick = rules_of(inputs).tick_size
    for price in (request.limit_price, request.stop_price):
        if price is not None and not is_multiple(price, tick):
            return Denial("tick-size", f"a multiple of {tick}", str(price), f"round to a multiple of {tick}")
    return None


def check_lot_size(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """The quantity is whole lots."""
    lot = rules_of(inputs).lot_size
    if is_multiple(request.quantity, lot):
        return None
    return Denial("lot-size", f"a multiple of {lot}", str(request.quantity), f"round down to a multiple of {lot}")


def check_stale_reference(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """There is a reference price and it is fresh enough."""
    limit = f"a price at most {limits.stale_ns / _NS:g} s old"
    if inputs.mark is None:
        return Denial("stale-reference", limit, "no price", f"wait for a price of {request.symbol}")
    age = inputs.now - inputs.mark.ts_event
    if age <= limits.stale_ns:
        return None
    remedy = f"see why {request.symbol} has no prices, or set RISK_STALE_SECONDS"
    return Denial("stale-reference", limit, f"{age / _NS:g} s", remedy)


def check_price_collar(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """No price is so far on its dangerous side that it must be a slip.

    Dangerous is a limit that pays far more than the market (or takes far less), and a stop that the market passed
    long ago, so that it would trigger at once. A limit of a stop-limit is measured against its stop. A passive price
    may be as far away as it likes: it cannot trade there.
    """
    reference = reference_of(inputs)
    anchor = request.stop_price or reference
    if request.limit_price is not None:
        denial = _collar(request.limit_price, anchor, limits.price_collar, is_ceiling=request.is_buy)
        if denial is not None:
            return denial
    if request.stop_price is not None:
        return _collar(request.stop_price, reference, limits.price_collar, is_ceiling=not request.is_buy)
    return None


def _collar(price: Decimal, anchor: Decimal, collar: Decimal, *, is_ceiling: bool) -> Denial | None:
    bound = anchor * (1 + collar if is_ceiling else 1 - collar)
    if price <= bound if is_ceiling else price >= bound:
        return None
    word = "at most" if is_ceiling else "at least"
    return Denial(
        "price-collar",
        f"{word} {shown(bound)} ({shown(collar * 100)} % from {shown(anchor)})",
        shown(price),
        "move the price toward the market, or set RISK_PRICE_COLLAR",
    )


def check_duplicate(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """An equal order was not placed a moment ago."""
    if inputs.twin_at is None or inputs.now - inputs.twin_at >= limits.duplicate_window_ns:
        return None
    return Denial(
        "duplicate-order",
        f"{limits.duplicate_window_ns / _NS:g} s between equal orders",
        f"{(inputs.now - inputs.twin_at) / _NS:g} s",
        "send one order of the whole quantity, or wait",
    )


def check_reduce_only(request: OrderRequest, inputs: GateInputs, limits: GateLimits) -> Denial | None:
    """An order that says it only reduces does."""
    if not request.reduce_only or is_reducing(request, inputs.position, inputs.open_buys, inputs.open_sells):
        return None
    most = -inputs.position - inputs.open_buys if request.is_buy else inputs.position - inputs.open_sells
    return Denial(
        "reduce-only", shown(max(most, Decimal(0))), shown(request.quantity), "lower the quantity or drop reduce_only"
    )


def rules_of(inputs: GateInputs) -> TradingRules:
    """The instrument's rules.

    Raises:
        AssertionError: If ``check_instrument_known`` was not made first.
    """
    assert inputs.rules is not None, "check_instrument_known comes first"
    return inputs.rules


def reference_of(inputs: GateInputs) -> Decimal:
    """The reference price.

    Raises:
        AssertionError: If ``check_stale_reference`` was not made first.
    """
    assert inputs.mark is not None, "check_stale_reference comes first"
    return exact(inputs.mark.price)
