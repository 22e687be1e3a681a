"""Metrics of the websocket engine: what has a present value is read from the hub at scrape time."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.websocket.hub import Hub

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class WebsocketMetrics(Collector):
    """A collector over one hub, and the histogram the hub feeds.

    Args:
        registry: Where both are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hub: Hub | None = None
        self._latency = Histogram(
            "websocket_broadcast_latency_seconds",
            "Time from an event's arrival from the bus to the write to a client that had room",
            registry=registry,
            buckets=_SECONDS,
        )
        self._registry = registry

    def observe_latency(self, seconds: float) -> None:
        """Count one write."""
        self._latency.observe(seconds)

    def watch(self, hub: Hub) -> None:
        """Export what ``hub`` holds."""
        self._hub = hub
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The hub's figures now."""
        hub = self._hub
        if hub is None:
            return
        queued = [session.queued for session in hub.sessions.values()]
        yield CounterMetricFamily("websocket_messages_sent", "Messages written to clients", value=hub.sent)
        yield CounterMetricFamily("nautilus_websocket_events", "Events taken from the bus", value=hub.published)
        yield GaugeMetricFamily("nautilus_websocket_connections", "Clients connected", value=len(queued))
        yield GaugeMetricFamily(
            "nautilus_websocket_subscriptions",
            "Subscriptions of all clients",
            value=sum(len(session.subscriptions) for session in hub.sessions.values()),
        )
        yield GaugeMetricFamily(
            "nautilus_websocket_queue_messages", "Messages waiting for the slowest client", value=max(queued, default=0)
        )
        closed = CounterMetricFamily(
            "nautilus_websocket_closed", "Clients closed by us, by close code", labels=["code"]
        )
        for code, count in sorted(hub.closed.items()):
            closed.add_metric([str(code)], count)
        yield closed
