"""Composition root of the factor engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.factor.api import router
from services.factor.engine import FactorEngine
from services.factor.metrics import register_metrics
from services.factor.settings import FactorSettings


def components(settings: FactorSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or FactorSettings()
    return [
        Component(
            name=FactorEngine.name,
            make_engine=lambda clock, outbox: FactorEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        )
    ]


if __name__ == "__main__":
    run_components(components)
