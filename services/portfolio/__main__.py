"""Composition root of the portfolio engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.portfolio.api import router
from services.portfolio.engine import PortfolioEngine
from services.portfolio.metrics import register_metrics
from services.portfolio.settings import PortfolioSettings


def components(settings: PortfolioSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or PortfolioSettings()
    return [
        Component(
            name=PortfolioEngine.name,
            make_engine=lambda clock, outbox: PortfolioEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        )
    ]


if __name__ == "__main__":
    run_components(components)
