"""Composition root of the strategy process: the strategy engine and, beside it, the paper venue."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.strategy.api import router
from services.strategy.engine import StrategyEngine
from services.strategy.metrics import register_metrics
from services.strategy.paper.engine import PaperVenueEngine
from services.strategy.settings import StrategySettings


def components(settings: StrategySettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or StrategySettings()
    terms = chosen.paper_terms()
    return [
        Component(
            name=StrategyEngine.name,
            make_engine=lambda clock, outbox: StrategyEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        ),
        Component(
            name=PaperVenueEngine.name,
            make_engine=lambda clock, outbox: PaperVenueEngine(clock, outbox, terms),
            port=None,
        ),
    ]


if __name__ == "__main__":
    run_components(components)
