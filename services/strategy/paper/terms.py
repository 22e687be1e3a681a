"""What the paper venue charges and how much of the market it lets an order take."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

CommissionSchedule = Literal["per_share", "basis_points", "none"]


@dataclass(frozen=True, slots=True)
class PaperTerms:
    """Terms of the venue.

    Attributes:
        slippage_bps: Against the trader on every aggressive execution, in basis points of the price.
        impact_coefficient: Y of the square-root law; 0 switches it off.
        participation: Largest share of a bar's volume that all orders together may take.
        commission: Schedule; see :func:`services.strategy.paper.costs.total_commission`.
    """

    slippage_bps: Decimal
    impact_coefficient: float
    participation: Decimal
    commission: CommissionSchedule
    commission_per_share: Decimal
    commission_bps: Decimal
    commission_minimum: Decimal
    commission_maximum_fraction: Decimal
