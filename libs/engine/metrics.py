"""Every metric a host has, whatever its engine; an engine adds its own in ``services/<engine>/metrics.py``.

What happens often (batches, commits) is counted as it happens, here in :class:`HostMetrics`. What has a present
value (lag, ages, health) is read from the host at scrape time (:func:`export_vitals`), so a scrape never shows
a number older than itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from libs.engine.vitals import Vitals

_SECONDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_EVENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384)


@dataclass(frozen=True, slots=True)
class _Families:
    """The metric objects of one registry; two hosts of one process that share it differ by label."""

    events_in: Counter
    events_out: Counter
    batch_events: Histogram
    handler_seconds: Histogram
    commit_seconds: Histogram
    dead_letters: Counter

    @classmethod
    def of(cls, registry: CollectorRegistry) -> _Families:
        return cls(
            Counter("nautilus_events_in", "Events handled", ("engine", "topic"), registry=registry),
            Counter("nautilus_events_out", "Events published", ("engine", "topic"), registry=registry),
            Histogram(
                "nautilus_batch_events", "Events handled in one batch", ("engine",), registry=registry, buckets=_EVENTS
            ),
            Histogram(
                "nautilus_handler_seconds", "Time the handlers of one batch took", ("engine",), registry=registry,
                buckets=_SECONDS,
            ),
            Histogram(
                "nautilus_commit_seconds", "Time from asking for a commit to its acknowledgement", ("engine",),
                registry=registry, buckets=_SECONDS,
            ),
            Counter("nautilus_dead_letters", "Events that could not be handled", ("engine",), registry=registry),
        )  # fmt: skip


_FAMILIES: WeakKeyDictionary[CollectorRegistry, _Families] = WeakKeyDictionary()


class HostMetrics:
    """What a host counts; about 6 us a batch of one topic.

    Args:
        registry: The engine's own registry; two hosts may share one.
        engine: Value of the label ``engine``.
    """

    def __init__(self, registry: CollectorRegistry, engine: str) -> None:
        families = _FAMILIES.get(registry)
        if families is None:
            families = _FAMILIES[registry] = _Families.of(registry)
        self._engine = engine
        self._families = families
        self._batch_events = families.batch_events.labels(engine)
        self._handler_seconds = families.handler_seconds.labels(engine)
        self._commit_seconds = families.commit_seconds.labels(engine)
        self._dead_letters = families.dead_letters.labels(engine)
        self._in: dict[str, Counter] = {}
        self._out: dict[str, Counter] = {}

    def observe_batch(
        self, events_in: Mapping[str, int], events_out: Mapping[str, int], batch_events: int, handler_seconds: float
    ) -> None:
        """Count one batch: events by topic name in and out, and how long the handlers took."""
        for topic, count in events_in.items():
            counter = self._in.get(topic)
            if counter is None:
                counter = self._in[topic] = self._families.events_in.labels(self._engine, topic)
            counter.inc(count)
        for topic, count in events_out.items():
            counter = self._out.get(topic)
            if counter is None:
                counter = self._out[topic] = self._families.events_out.labels(self._engine, topic)
            counter.inc(count)
        self._batch_events.observe(batch_events)
        self._handler_seconds.observe(handler_seconds)

    def observe_commit(self, seconds: float) -> None:
        """Count one acknowledged commit."""
        self._commit_seconds.observe(seconds)

    def dead_letter(self, count: int) -> None:
        """Count events that went to the dead letters."""
        self._dead_letters.inc(count)


class VitalsCollector(Collector):
    """Present values of the hosts that share a registry, read when Prometheus asks."""

    def __init__(self) -> None:
        self._hosts: list[tuple[str, Callable[[], Vitals], Callable[[Vitals], bool]]] = []

    def add(self, engine: str, vitals: Callable[[], Vitals], is_healthy: Callable[[Vitals], bool]) -> None:
        """Export another host under the label ``engine``."""
        self._hosts.append((engine, vitals, is_healthy))

    def collect(self) -> Iterable[Metric]:
        """One sample of each gauge and host; a value that does not exist (no snapshot yet) has no sample."""
        families = {
            name: GaugeMetricFamily(f"nautilus_{name}", text, labels=("engine",)) for name, text in _GAUGES.items()
        }
        ages = GaugeMetricFamily(
            "nautilus_input_age_seconds", "Time since the last event of an input", labels=("engine", "topic")
        )
        for engine, read, is_healthy in self._hosts:
            vitals = read()
            for name, value in {
                "engine_health_status": float(is_healthy(vitals)),
                "engine_epoch": float(vitals.epoch),
                "engine_uptime_seconds": vitals.uptime_seconds,
                "halted": float(vitals.halted),
                "bus_lag_events": float(vitals.lag_entries),
                "bus_lag_seconds": vitals.lag_seconds,
                "bus_answer_age_seconds": vitals.bus_age_seconds,
                "progress_age_seconds": vitals.progress_age_seconds,
                "snapshot_age_seconds": vitals.snapshot_age_seconds,
                "event_loop_lag_seconds": vitals.loop_lag_seconds,
            }.items():
                if value is not None:
                    families[name].add_metric((engine,), value)
            for source in vitals.inputs:
                if source.age_seconds is not None:
                    ages.add_metric((engine, source.topic), source.age_seconds)
        return [*families.values(), ages]


_GAUGES = {
    "engine_health_status": "1 when all is well, else 0",
    "engine_epoch": "Fencing epoch; rises by one with each start",
    "engine_uptime_seconds": "Time since this process started the engine",
    "halted": "1 while all trading is halted",
    "bus_lag_events": "Entries waiting to be handled, as far as they were read",
    "bus_lag_seconds": "Time for which entries of a certain moment have not all been handled",
    "bus_answer_age_seconds": "Time since the bus last answered",
    "progress_age_seconds": "Time since the last commit or idle moment",
    "snapshot_age_seconds": "Age of the newest snapshot",
    "event_loop_lag_seconds": "Worst lateness of the event loop in the last 10 s",
}

_COLLECTORS: WeakKeyDictionary[CollectorRegistry, VitalsCollector] = WeakKeyDictionary()


def export_vitals(
    registry: CollectorRegistry, engine: str, vitals: Callable[[], Vitals], is_healthy: Callable[[Vitals], bool]
) -> None:
    """Let ``registry`` show the present values of a host; hosts that share one share the metric families."""
    collector = _COLLECTORS.get(registry)
    if collector is None:
        collector = _COLLECTORS[registry] = VitalsCollector()
        registry.register(collector)
    collector.add(engine, vitals, is_healthy)


class HttpMetrics:
    """Requests of one engine's surface, counted at its edge."""

    def __init__(self, registry: CollectorRegistry, engine: str) -> None:
        self._engine = engine
        self._requests = Counter(
            "nautilus_http_requests", "HTTP requests answered", ("engine", "method", "route", "status"),
            registry=registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "nautilus_http_request_seconds", "Time to answer an HTTP request", ("engine", "route"), registry=registry,
            buckets=_SECONDS,
        )  # fmt: skip

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; ``route`` is the path template, never the path, so that series stay few."""
        self._requests.labels(self._engine, method, route, str(status)).inc()
        self._seconds.labels(self._engine, route).observe(seconds)


def counters(registry: CollectorRegistry) -> dict[str, float]:
    """All samples of a registry as plain numbers by ``name{labels}``, histograms as count and sum only."""
    found: dict[str, float] = {}
    for family in registry.collect():
        for sample in family.samples:
            if sample.name.endswith(("_bucket", "_created")):
                continue
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found
