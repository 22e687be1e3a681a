"""Margin of a portfolio: in-class offsets, cross-asset offsets, what stands against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Final, Literal

import msgspec

from services.collateral.positions import RATES, ZERO, Holding, PositionMargin, margin_of

State = Literal["ok", "warning", "critical", "emergency"]

#: Digits in which margins are computed: prices come as doubles (17 digits) times quantities times rates, and stay
#: exact.
EXACT: Final = Context(prec=60)
#: Net margin is at least this share of the gross one, whatever the offsets.
LEAST_NET: Final = Decimal("0.50")
#: Saved on two classes that tend to move apart, as a share of the smaller one's margin.
CROSS_OFFSETS: Final[tuple[tuple[str, str, Decimal], ...]] = (
    ("equity", "bond", Decimal("0.10")),
    ("equity", "commodity", Decimal("0.05")),
)


class ClassMargin(msgspec.Struct, frozen=True):
    """One class of a portfolio: sums over its positions, and the offset rate that applies besides the largest."""

    asset_class: str
    positions: int
    gross_initial: Decimal
    gross_maintenance: Decimal
    offset_rate: Decimal


class Margin(msgspec.Struct, frozen=True):
    """Margin of a portfolio.

    Attributes:
        initial: Gross: the sum over the positions.
        offset: What in-class and cross-asset offsets save; ``initial - offset = total``.
        total: Net initial margin, the requirement.
        maintenance: Net of the same offsets; never above ``total``.
    """

    positions: Sequence[PositionMargin]
    classes: Sequence[ClassMargin]
    initial: Decimal
    offset: Decimal
    total: Decimal
    maintenance: Decimal

    def unrated(self) -> list[PositionMargin]:
        """Positions charged in full because an input was missing."""
        return [position for position in self.positions if position.method == "full"]


def calculate_margin(holdings: Iterable[Holding], *, optimize: bool, offset_scale: Decimal = Decimal(1)) -> Margin:
    """Margin of any number of positions of any classes; independent of their order.

    In a class the largest position needs its whole margin; every further one saves the class's offset rate. With
    ``optimize`` diversified equities (3 sectors or more) and bonds (durations over 3 years apart) save at the better
    rate of :func:`offset_rate`. Then classes that move apart save a share of the smaller one's margin. The net margin
    is at least half of the gross one.

    Args:
        holdings: The positions.
        optimize: Whether diversification within a class counts.
        offset_scale: Share of every offset that is granted, 0 to 1; less than 1 when correlations rise.
    """
    with localcontext(EXACT):
        positions = sorted((margin_of(one) for one in holdings), key=lambda one: one.holding.position_id)
        by_class: dict[str, list[PositionMargin]] = {name: [] for name in (*RATES, "")}
        for position in positions:
            # What is charged in full shares no offset, not even as the largest of its class.
            by_class["" if position.method == "full" else position.holding.asset_class].append(position)
        classes = [
            _class_margin(name, members, optimize, offset_scale) for name, members in by_class.items() if members
        ]
        rates = {one.asset_class: one.offset_rate for one in classes}
        initial, total = _net({name: [one.initial for one in by_class[name]] for name in rates}, rates, offset_scale)
        _, maintenance = _net(
            {name: [one.maintenance for one in by_class[name]] for name in rates}, rates, offset_scale
        )
        return Margin(positions, classes, initial, initial - total, total, maintenance)


def offset_rate(asset_class: str, members: Sequence[Holding], *, optimize: bool) -> Decimal:
    """Share of margin saved on every position of a class besides its largest.

    Optimised: equities .25, .15, .05 for 3 or more, 2, 1 sectors; bonds .20, .10, .05 for durations over 3 years, 1
        to 3,
    under 1 apart; never less than the plain rate, so that optimising never costs.
    """
    if not asset_class:
        return ZERO
    plain = RATES[asset_class].offset  # type: ignore[index]
    if not optimize:
        return plain
    if asset_class == "equity":
        sectors = len({one.sector for one in members if one.sector})
        return max(plain, Decimal("0.25") if sectors >= 3 else Decimal("0.15") if sectors == 2 else Decimal("0.05"))
    if asset_class == "bond":
        years = [one.duration for one in members if one.duration is not None]
        spread = max(years) - min(years) if years else ZERO
        return max(plain, Decimal("0.20") if spread > 3 else Decimal("0.10") if spread >= 1 else Decimal("0.05"))
    return plain


def _class_margin(name: str, members: Sequence[PositionMargin], optimize: bool, offset_scale: Decimal) -> ClassMargin:
    return ClassMargin(
        name,
        len(members),
        sum((one.initial for one in members), ZERO),
        sum((one.maintenance for one in members), ZERO),
        offset_rate(name, [one.holding for one in members], optimize=optimize) * offset_scale,
    )


def _net(
    amounts: Mapping[str, Sequence[Decimal]], rates: Mapping[str, Decimal], offset_scale: Decimal
) -> tuple[Decimal, Decimal]:
    """Gross and net of amounts by class. Net rises with every amount, so maintenance never exceeds initial margin."""
    gross = {name: sum(values, ZERO) for name, values in amounts.items()}
    net = {name: gross[name] - rates[name] * (gross[name] - max(values)) for name, values in amounts.items()}
    total = sum(net.values(), ZERO)
    for first, second, share in CROSS_OFFSETS:
        total -= share * offset_scale * min(net.get(first, ZERO), net.get(second, ZERO))
    whole = sum(gross.values(), ZERO)
    return whole, max(total, LEAST_NET * whole)


class Thresholds(msgspec.Struct, frozen=True):
    """Utilisations at which the state changes, ascending."""

    warning: Decimal
    critical: Decimal
    emergency: Decimal

    def of(self, state: State) -> Decimal:
        """The threshold of a state; 0 for ok."""
        return {"ok": ZERO, "warning": self.warning, "critical": self.critical, "emergency": self.emergency}[state]


def utilization_of(total_margin: Decimal, collateral: Decimal) -> Decimal | None:
    """``total_margin / collateral``; None when nothing stands against a margin or a debt."""
    if collateral > 0:
        return total_margin / collateral
    return ZERO if total_margin == 0 and collateral == 0 else None


def state_of(utilization: Decimal | None, thresholds: Thresholds) -> State:
    """State at a utilisation; nothing to meet the margin with is an emergency."""
    if utilization is None or utilization >= thresholds.emergency:
        return "emergency"
    if utilization >= thresholds.critical:
        return "critical"
    return "warning" if utilization >= thresholds.warning else "ok"


def required_action_amount(total_margin: Decimal, collateral: Decimal, target: Decimal) -> Decimal:
    """Collateral to add until utilisation is ``target``: ``total_margin / target - collateral``, whole cents up."""
    with localcontext(EXACT):
        missing = max(total_margin / target - collateral, ZERO)
        return missing.quantize(Decimal("0.01"), rounding="ROUND_CEILING")
