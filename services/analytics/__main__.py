"""Composition root of the analytics engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.analytics.api import router
from services.analytics.engine import AnalyticsEngine
from services.analytics.metrics import register_metrics
from services.analytics.settings import AnalyticsSettings


def components(settings: AnalyticsSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or AnalyticsSettings()
    return [
        Component(
            name=AnalyticsEngine.name,
            make_engine=lambda clock, outbox: AnalyticsEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
        )
    ]


if __name__ == "__main__":
    run_components(components)
