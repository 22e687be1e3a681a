"""Which engine answers which path of the public interface: one table, read from the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.contracts.fleet import ENGINES

PREFIX: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Target:
    """An engine and the path on its own surface."""

    engine: str
    path: str


@dataclass(frozen=True, slots=True)
class Alias:
    """Paths at or below ``prefix`` (under ``/api/v1/``) go to ``engine`` with ``onto`` in its place."""

    prefix: str
    engine: str
    onto: str


#: The first whose prefix fits counts.
ALIASES: Final[tuple[Alias, ...]] = (
    Alias("analytics", "analytics", "/analytics"),
    Alias("performance", "analytics", "/analytics/performance"),
    Alias("execution", "analytics", "/analytics/execution"),
    Alias("volatility", "analytics", "/api/v1/volatility"),
    Alias("risk", "risk", "/risk"),
    Alias("collateral", "collateral", "/api/v1/collateral"),
    Alias("portfolio", "portfolio", ""),
    Alias("factor-engine", "factor", ""),
    Alias("factors", "factor", "/factors"),
    Alias("ml/models", "ml", "/models"),
    Alias("ml", "ml", "/ml"),
    Alias("features", "features", "/features"),
    Alias("strategies", "strategy", "/strategies"),
    Alias("orders", "strategy", "/orders"),
    Alias("feeds", "marketdata", "/feeds"),
    Alias("symbols", "marketdata", "/symbols"),
    Alias("sources", "marketdata", "/sources"),
    Alias("data", "marketdata", "/data"),
)


def target_of(path: str) -> Target | None:
    """Where a path under ``/api/v1`` goes; None where no engine answers it.

    A path with ``..`` or an empty segment inside goes nowhere: what is checked here must be what the engine sees.
    """
    if not path.startswith(f"{PREFIX}/"):
        return None
    rest = path.removeprefix(f"{PREFIX}/")
    if any(segment in ("", ".", "..") for segment in rest.rstrip("/").split("/")):
        return None
    first, _, below = rest.partition("/")
    if first == "engines":
        engine, _, own = below.partition("/")
        return Target(engine, f"/{own}") if engine in ENGINES and own else None
    for alias in ALIASES:
        if rest == alias.prefix or rest.startswith(f"{alias.prefix}/"):
            target = alias.onto + rest.removeprefix(alias.prefix)
            return Target(alias.engine, target) if target else None
    return None
