"""Composition root of the collateral engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.collateral.api import router
from services.collateral.engine import CollateralEngine
from services.collateral.metrics import register_metrics
from services.collateral.settings import CollateralSettings


def components(settings: CollateralSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or CollateralSettings()
    return [
        Component(
            name=CollateralEngine.name,
            make_engine=lambda clock, outbox: CollateralEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
        )
    ]


if __name__ == "__main__":
    run_components(components)
