"""Composition root of the risk engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.risk.api import router
from services.risk.engine import RiskEngine
from services.risk.metrics import register_metrics
from services.risk.settings import RiskSettings


def components(settings: RiskSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or RiskSettings()
    return [
        Component(
            name=RiskEngine.name,
            make_engine=lambda clock, outbox: RiskEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        )
    ]


if __name__ == "__main__":
    run_components(components)
