"""Composition root of the ml engine."""

from __future__ import annotations

from libs.engine.component import Component
from libs.engine.run import run_components
from services.ml.api import router
from services.ml.engine import MlEngine
from services.ml.metrics import register_metrics
from services.ml.settings import MlSettings


def components(settings: MlSettings | None = None) -> list[Component]:
    """What this process runs."""
    chosen = settings or MlSettings()
    return [
        Component(
            name=MlEngine.name,
            make_engine=lambda clock, outbox: MlEngine(clock, outbox, chosen),
            port=chosen.port,
            router=router,
            metrics=register_metrics,
            settings=chosen,
        )
    ]


if __name__ == "__main__":
    run_components(components)
