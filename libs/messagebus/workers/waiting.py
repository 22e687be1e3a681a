"""Waiting on the injected clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from libs.clock import Clock, TimeEvent, UnknownTimerError


async def wait_ns(clock: Clock, name: str, delay_ns: int) -> None:
    """Return ``delay_ns`` later by ``clock``; ``name`` is the timer's, unique at any time."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ring(_: TimeEvent) -> None:
        if not done.done():
            done.set_result(None)

    clock.set_time_alert_ns(name, clock.timestamp_ns() + delay_ns, ring, override=True)
    try:
        await done
    finally:
        with suppress(UnknownTimerError):  # it rang
            clock.cancel_timer(name)
