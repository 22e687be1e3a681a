"""Feeds, instruments and records as the HTTP surface shows them."""

from __future__ import annotations

from typing import Any

from libs.contracts.market import InstrumentDefined
from libs.engine.plain import iso, plain
from services.marketdata.book import KINDS, Latest
from services.marketdata.feeds import FeedState
from services.marketdata.progress import ReplayProgress
from services.marketdata.validation import Record


def feed_view(feed: FeedState, progress: ReplayProgress | None) -> dict[str, Any]:
    """A feed; ``progress`` is what the replay behind it observes, None for feeds that none is behind.

    ``progress`` of the answer is the share of the data set's time span that is published, 0..1.
    """
    span = feed.last_ns - feed.first_ns
    return {
        **feed.view(),
        "progress": min(1.0, max(0.0, (feed.cursor_ns - feed.first_ns) / span)) if span > 0 else None,
        "is_open": feed.is_open,
        "last_event_at": iso(feed.cursor_ns or None),
        "waiting_for": progress.waiting_for if progress else [],
        "transport_error": progress.transport_error if progress else "",
        "quota_left": None,
        "reasons": {"quota_left": "the feed reads no metered source"},
    }


def symbol_view(instrument: InstrumentDefined, latest: Latest | None, now_ns: int) -> dict[str, Any]:
    """An instrument, the kinds of price it has, and how old the newest one is in the fleet's time."""
    records = list(latest.all()) if latest else []
    newest = max((record.ts_event for record in records), default=None)
    return {
        **plain(instrument),
        "data_types": sorted(KINDS[type(record)] for record in records),
        "last_event_at": iso(newest),
        "age_seconds": _age(newest, now_ns),
    }


def record_view(record: Record, now_ns: int) -> dict[str, Any]:
    """A record with its kind and age; ages are in the fleet's time, so a price of 1990 is fresh in a replay of 1990."""
    return {
        "data_type": KINDS[type(record)],
        **plain(record),
        "as_of": iso(record.ts_event),
        "age_seconds": _age(record.ts_event, now_ns),
    }


def _age(ts_event: int | None, now_ns: int) -> float | None:
    return None if ts_event is None else max(0, now_ns - ts_event) / 1e9
