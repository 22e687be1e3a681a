"""The checks of the gate, in the order they are made."""

from __future__ import annotations

from typing import Final

from services.strategy import money_checks, order_checks
from services.strategy.gate import Check

#: The order matters: the first that refuses is the one that is named.
CHECKS: Final[tuple[Check, ...]] = (
    order_checks.check_halted,
    order_checks.check_instrument_known,
    order_checks.check_tradable,
    order_checks.check_finite,
    order_checks.check_tick_size,
    order_checks.check_lot_size,
    order_checks.check_stale_reference,
    order_checks.check_price_collar,
    money_checks.check_max_quantity,
    money_checks.check_max_notional,
    money_checks.check_position_limit,
    money_checks.check_buying_power,
    order_checks.check_duplicate,
    order_checks.check_reduce_only,
)
