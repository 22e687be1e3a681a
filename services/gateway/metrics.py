"""Metrics of the gateway's hop to the engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from libs.clock.live import monotonic_ns
from services.gateway.breaker import Breaker

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STATES = {"closed": 0.0, "half_open": 1.0, "open": 2.0}


class GatewayMetrics(Collector):
    """Counts requests to engines; reads breakers and engines' health at scrape time.

    Args:
        registry: Where it is registered.
        breakers: By engine.
        healthy: Whether each engine was well at the last look.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        breakers: Mapping[str, Breaker],
        healthy: Callable[[], Mapping[str, bool]],
    ) -> None:
        self._breakers = breakers
        self._healthy = healthy
        self._requests = Counter(
            "nautilus_gateway_upstream_requests",
            "Requests sent on to an engine, by what came of them (status, refused, slow, broken, circuit-open)",
            ["upstream", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "nautilus_gateway_upstream_seconds",
            "Time until an engine began to answer",
            ["upstream"],
            registry=registry,
            buckets=_SECONDS,
        )
        registry.register(self)

    def observe(self, engine: str, outcome: str, seconds: float | None = None) -> None:
        """Count one request."""
        self._requests.labels(engine, outcome).inc()
        if seconds is not None:
            self._seconds.labels(engine).observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Breakers and health now."""
        states = GaugeMetricFamily(
            "nautilus_gateway_breaker_state", "0 closed, 1 half open, 2 open", labels=["upstream"]
        )
        now = monotonic_ns()
        for engine, breaker in sorted(self._breakers.items()):
            states.add_metric([engine], _STATES[breaker.state(now)])
        yield states
        health = GaugeMetricFamily(
            "nautilus_gateway_engine_healthy", "1 where an engine was well at the last look", labels=["upstream"]
        )
        for engine, well in sorted(self._healthy().items()):
            health.add_metric([engine], float(well))
        yield health
