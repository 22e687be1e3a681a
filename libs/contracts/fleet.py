"""The members of the fleet: names and ports, in one place.

``READERS`` are the sequenced readers a lockstep source waits for; a process may host more than
one (the paper venue lives beside strategy).
"""

from __future__ import annotations

from typing import Final

#: Engine name to HTTP port; equal inside and outside a container.
PORTS: Final[dict[str, int]] = {
    "gateway": 8001,
    "analytics": 8100,
    "risk": 8200,
    "factor": 8300,
    "ml": 8400,
    "features": 8500,
    "websocket": 8600,
    "strategy": 8700,
    "marketdata": 8800,
    "portfolio": 8900,
    "collateral": 9000,
}

#: The ten engines, in the order they are started and listed.
ENGINES: Final[tuple[str, ...]] = (
    "marketdata",
    "features",
    "factor",
    "ml",
    "strategy",
    "portfolio",
    "risk",
    "collateral",
    "analytics",
    "websocket",
)

#: Name of the paper venue's host, inside the strategy process.
PAPER_VENUE: Final = "paper"

#: Every sequenced reader of a complete fleet.
READERS: Final[tuple[str, ...]] = (*(name for name in ENGINES if name != "websocket"), PAPER_VENUE)

#: The portfolio that exists from the first start.
DEFAULT_PORTFOLIO: Final = "main"
