"""Composition root of the features engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.features.api import router
from services.features.engine import FeaturesEngine
from services.features.metrics import register_metrics
from services.features.settings import FeaturesSettings


def components(settings: FeaturesSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or FeaturesSettings()
    return [
        Component(
            name=FeaturesEngine.name,
            make_engine=lambda clock, outbox: FeaturesEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        )
    ]


if __name__ == "__main__":
    run_components(components)
