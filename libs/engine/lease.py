"""The lease of a sequenced engine: its holder renews it, and a standby judges when it is over.

Nothing expires anywhere by the time of a server. A standby measures on its own monotonic counter for how long the bus
*answered it* and showed no sign of life of the holder, so a bus that is away, restarted, frozen or slow ends nobody's
lease: silence counts only between two looks that came close together. What a takeover costs at worst, when the holder
was alive after all, is a restart of that holder: its next renewal or commit is refused (fencing), and what it had not
committed does not exist. Correctness never depends on the judgement made here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from libs.messagebus.errors import TransportError
from libs.messagebus.transport import LeaseView, Transport

#: Renewals within one lease, so that two may be lost or late.
RENEWALS = 4
#: Looks of a standby within one lease.
LOOKS = 10
#: Two looks further apart than this share of a lease vouch for nothing between them.
_CLOSE = 0.5
#: Leases for which a standby waits that has not yet seen its primary alive since it began, or since the bus was away:
#: both are then likely to be on their way, and the primary may have the longer one.
UNSEEN_LEASES = 10

Retrying = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class LeaseKeeper:
    """Renews the lease of one host.

    Args:
        lease_seconds: After which a standby takes a silent host for dead. It must be longer than anything that keeps
            the event loop from running, or the host loses its lease to a standby while it works.
        on_transport_error: Told about each renewal the bus did not take; it is tried again at the next.

    Attributes:
        watched: Whether a standby watches.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        lease_seconds: float,
        on_transport_error: Callable[[TransportError], None],
    ) -> None:
        self.watched = False
        self._name = name
        self._transport = transport
        self._interval = lease_seconds / RENEWALS
        self._on_transport_error = on_transport_error

    async def keep(self, epoch: int) -> None:
        """Renew until cancelled; an idle host that was fenced out learns of it here.

        It never backs off: after an outage the bus must hear of its holders before any standby loses patience.

        Raises:
            FencedError: If another host of this engine took over.
        """
        while True:
            try:
                self.watched = await self._transport.renew(self._name, epoch)
            except TransportError as error:
                self._on_transport_error(error)
            await asyncio.sleep(self._interval)

    async def release(self, epoch: int, retrying: Retrying) -> None:
        """Give the lease up: the host commits no more, and a standby need not wait.

        Raises:
            FencedError: If another host of this engine has it already.
        """
        await retrying(lambda: self._transport.release(self._name, epoch))


class LeaseWatch:
    """Judges from what a standby sees whether the lease is over; times are seconds of one monotonic clock."""

    def __init__(self, lease_seconds: float) -> None:
        self._lease_seconds = lease_seconds
        self._view: LeaseView | None = None
        self._since = 0.0
        self._looked = 0.0
        self._seen_alive = False

    def saw(self, view: LeaseView, now: float) -> None:
        """The bus has answered a look."""
        before = self._view
        if before is None or not _goes_on(before, view):
            self._since, self._seen_alive = now, False
        elif _signs(view) != _signs(before):
            self._since, self._seen_alive = now, True
        elif now - self._looked > self._lease_seconds * _CLOSE:
            self._since = now
        self._view, self._looked = view, now

    def interrupted(self) -> None:
        """The bus did not answer: what was seen before says nothing about what comes after."""
        self._view = None

    @property
    def patience_seconds(self) -> float:
        """How long the holder may be silent."""
        if not self._seen_alive:
            return self._lease_seconds * UNSEEN_LEASES
        return 0.0 if self._view is not None and self._view.released else self._lease_seconds

    def silent_seconds(self, now: float) -> float:
        """For how long the holder has been seen to be silent."""
        return 0.0 if self._view is None else now - self._since

    def is_over(self, now: float) -> bool:
        """Whether a standby should take over."""
        return self._view is not None and self.silent_seconds(now) >= self.patience_seconds


def _signs(view: LeaseView) -> tuple[int, int, int]:
    return view.epoch, view.beats, view.commits


def _goes_on(before: LeaseView, view: LeaseView) -> bool:
    """Whether the server has forgotten nothing between two looks; if it has, what it shows is no sign of life."""
    return all(new >= old for old, new in zip(_signs(before), _signs(view), strict=True))
