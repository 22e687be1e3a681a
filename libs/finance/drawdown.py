"""Drawdown of an equity curve into which money is paid and out of which it is taken."""

from __future__ import annotations


def drawdown(equity: float, peak: float) -> float | None:
    """How far ``equity`` lies below its ``peak``, as a fraction of the peak.

    Returns:
        ``1 - equity / peak``: 0 at a new peak, 1 when all is lost, above 1 with negative equity; None without a
        positive peak, where a share of it means nothing.
    """
    if peak <= 0.0:
        return None
    return 1.0 - equity / peak


def next_peak(peak: float, previous_equity: float, equity: float, flow: float) -> float:
    """The peak to measure drawdown from at the next valuation of an account.

    A deposit is no recovery and a withdrawal is no loss, so the old peak is scaled by what the flow did to the
    account, which is the unit value (time-weighted) method of GIPS 2020, 2.A.32, with the flow taken at the
    previous valuation. Without flows this is exactly ``max(peak, equity)``.

    Args:
        peak: Peak at the previous valuation.
        previous_equity: Equity at the previous valuation.
        equity: Equity now, the flow included.
        flow: Deposits less withdrawals since the previous valuation.
    """
    if flow == 0.0:
        return max(peak, equity)
    if previous_equity > 0.0 and previous_equity + flow > 0.0:
        return max(peak * ((previous_equity + flow) / previous_equity), equity)
    # An account that was worth nothing has no unit value to scale by: the money is a new beginning.
    return max(peak + flow, equity)
