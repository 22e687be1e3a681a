"""Metrics of workers: read from their counters when they are scraped, so that a job pays nothing for them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from libs.messagebus.workers.statistics import TopicCounts, WorkerStatistics
from libs.messagebus.workers.worker import Worker

_COUNTED = (
    ("done", "Jobs done"),
    ("failed", "Attempts at jobs that raised"),
    ("retried", "Attempts that failed and are followed by another"),
    ("dead", "Jobs given up; they are in the dead letters"),
    ("cancelled", "Jobs ended because somebody asked"),
)
_OF_GROUP = (
    ("claimed", "Entries taken over from workers that gave no sign of life"),
    ("taken_away", "Entries another worker took over because this one was silent"),
    ("trimmed", "Entries trimmed away before their jobs were done"),
    ("groups_recreated", "Times the consumer group was gone and created again from the oldest entry"),
)


class WorkerMetrics(Collector):
    """Shows any number of workers of one process; register it once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register with ``registry``; workers come with :meth:`add`."""
        self._workers: list[Worker] = []
        registry.register(self)

    def add(self, worker: Worker) -> None:
        """Show ``worker`` too."""
        self._workers.append(worker)

    def collect(self) -> Iterator[Metric]:
        """Current figures; workers of one group are added up."""
        topics, streams, groups = self._sums()
        for name, text in _COUNTED:
            family = CounterMetricFamily(f"nautilus_jobs_{name}", text, labels=("group", "topic"))
            for labels, counts in sorted(topics.items()):
                family.add_metric(labels, getattr(counts, name))
            yield family
        running = GaugeMetricFamily("nautilus_jobs_in_flight", "Jobs that run now", labels=("group", "topic"))
        for labels, counts in sorted(topics.items()):
            running.add_metric(labels, counts.running)
        yield running
        pending = GaugeMetricFamily(
            "nautilus_jobs_pending_entries", "Entries given out and not finished, of all workers",
            labels=("group", "stream"),
        )  # fmt: skip
        oldest = GaugeMetricFamily(
            "nautilus_jobs_oldest_pending_seconds", "Age of the oldest unfinished entry, 0 = none",
            labels=("group", "stream"),
        )  # fmt: skip
        for labels, (entries, seconds) in sorted(streams.items()):
            pending.add_metric(labels, entries)
            oldest.add_metric(labels, seconds)
        yield pending
        yield oldest
        for name, text in _OF_GROUP:
            family = CounterMetricFamily(f"nautilus_jobs_{name}", text, labels=("group",))
            for group, total in sorted(groups.items()):
                family.add_metric((group,), getattr(total, name))
            yield family

    def _sums(
        self,
    ) -> tuple[
        dict[tuple[str, str], TopicCounts], dict[tuple[str, str], tuple[int, float]], dict[str, WorkerStatistics]
    ]:
        topics: dict[tuple[str, str], TopicCounts] = {}
        streams: dict[tuple[str, str], tuple[int, float]] = {}
        groups: dict[str, WorkerStatistics] = {}
        for worker in self._workers:
            found = worker.statistics
            for topic, counts in found.topics.items():
                total = topics.setdefault((worker.group, topic), TopicCounts())
                for name in ("done", "failed", "retried", "dead", "cancelled", "running"):
                    setattr(total, name, getattr(total, name) + getattr(counts, name))
            for stream, facts in found.streams.items():
                streams[worker.group, stream] = (facts.pending, facts.oldest_seconds or 0.0)
            group = groups.setdefault(worker.group, WorkerStatistics())
            for name, _ in _OF_GROUP:
                setattr(group, name, getattr(group, name) + getattr(found, name))
        return topics, streams, groups
