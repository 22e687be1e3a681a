"""Leases: what a sequenced reader holds, and what others can see of it.

A lease has no expiry on the server. A server that was stopped, restarted or replaced would let every lease of a fleet
expire at once, although nobody died. Instead the holder counts *beats*, and a standby judges on its own monotonic clock
how long neither beats nor commits have moved while the bus did answer it (``libs/engine/lease.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

WATCH_SECONDS = 10
"""A standby that has not looked for this long is forgotten; nobody then writes beats, which keeps the log of an idle
fleet still."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a sequenced reader holds after :meth:`Transport.acquire`.

    Attributes:
        epoch: Fencing token; a commit under an older one is refused.
        commits: Commits of this reader so far, over all its epochs; the next commit is ``commits + 1``.
        positions: Last committed entry id by stream; streams never read are absent.
    """

    epoch: int
    commits: int
    positions: dict[str, str]


@dataclass(frozen=True, slots=True)
class LeaseView:
    """The lease of a reader as a standby sees it; two equal views mean that the holder gave no sign of life between.

    Attributes:
        epoch: Newest epoch, 0 = nobody has ever held the lease.
        beats: Renewals that a standby was told of, over all epochs.
        commits: Commits, over all epochs.
        released: Whether the holder of ``epoch`` gave the lease up in an orderly end.
    """

    epoch: int
    beats: int
    commits: int
    released: bool
