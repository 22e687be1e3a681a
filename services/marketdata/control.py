"""Steering a replay: pause, resume, seek, speed; checked first, applied last."""

from __future__ import annotations

from math import isfinite

from libs.contracts.market import ControlFeed
from libs.engine.errors import CommandRefused
from services.marketdata.feeds import ENDED, FeedState
from services.marketdata.stamps import iso_of

#: Above this a pace means nothing; 0 says "as fast as the readers keep up".
MAX_SPEED = 1_000_000.0


def apply_control(feed: FeedState, command: ControlFeed, timeline_ns: int) -> str:
    """Apply ``command`` to ``feed``.

    Returns:
        What changed, in words, or ``""`` when the feed was that way already.

    Raises:
        CommandRefused: If the feed cannot be steered, has ended, or the value cannot be.
    """
    if not feed.is_replay:
        raise CommandRefused(
            409, "not-steerable", f"feed '{feed.feed}' replays nothing, so it cannot {command.action}", "see GET /feeds"
        )
    if feed.state in ENDED:
        raise CommandRefused(
            409, "feed-ended", f"feed '{feed.feed}' is {feed.state}, so it cannot {command.action}",
            "restart the engine with more data, or begin anew with another NAUTILUS_DATA_DIR",
        )  # fmt: skip
    if command.action == "seek":
        return _seek(feed, command, timeline_ns)
    if command.action == "speed":
        return _pace(feed, command)
    wanted = command.action == "pause"
    if feed.is_paused == wanted:
        return ""
    feed.is_paused = wanted
    return _by(command, "paused" if wanted else "resumed")


def _seek(feed: FeedState, command: ControlFeed, timeline_ns: int) -> str:
    if command.to_ns <= timeline_ns:
        raise CommandRefused(
            409, "time-backwards",
            f"to_ns must be after {timeline_ns} ({iso_of(timeline_ns)}), for time never goes backward, "
            f"was {command.to_ns}",
            "begin anew with another NAUTILUS_DATA_DIR and MARKETDATA_START_DATE",
        )  # fmt: skip
    if command.to_ns > feed.last_ns:
        raise CommandRefused(
            422, "out-of-range",
            f"to_ns must be at most {feed.last_ns} ({iso_of(feed.last_ns)}), where the data ends, was {command.to_ns}",
            "choose a time before the end",
        )  # fmt: skip
    feed.seek_to_ns = command.to_ns
    return _by(command, f"goes on from {iso_of(command.to_ns)}; what lies before is left out")


def _pace(feed: FeedState, command: ControlFeed) -> str:
    if not (isfinite(command.speed) and 0.0 <= command.speed <= MAX_SPEED):
        raise CommandRefused(
            422, "out-of-range", f"speed must lie between 0 and {MAX_SPEED:g} steps a second, was {command.speed!r}",
            "use 0 for as fast as the readers keep up",
        )  # fmt: skip
    if command.speed == feed.speed:
        return ""
    feed.speed = command.speed
    return _by(command, f"speed {command.speed:g} steps a second" if command.speed else "as fast as readers keep up")


def _by(command: ControlFeed, what: str) -> str:
    return f"{what} (by {command.actor}{': ' + command.reason if command.reason else ''})"
