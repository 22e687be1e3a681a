"""The equity curve: one point a day, in bounded memory."""

from __future__ import annotations

from services.portfolio.state import EquityPoint

#: Length of a day; days are UTC, as the day of ``pnl_day`` is.
DAY_NS = 86_400 * 1_000_000_000


def record_point(history: list[EquityPoint], point: EquityPoint, capacity: int) -> None:
    """Append ``point``, or replace the last point of the same day; thin the older half when it grows past ``capacity``.

    Thinning drops every second point of the older half, so recent years stay daily and the remote past becomes
    coarser each time (33 years of days fit into 10,000 unthinned). Which points stay depends on their number only.
    """
    if history and history[-1].ts_event // DAY_NS == point.ts_event // DAY_NS:
        history[-1] = point
        return
    history.append(point)
    if len(history) > capacity:
        half = capacity // 2
        history[:half] = history[0:half:2]
