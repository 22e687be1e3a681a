"""Waiting times between attempts: exponential, bounded, spread, and the same in every run."""

from __future__ import annotations

from hashlib import blake2b

BASE_SECONDS = 1.0
MAX_SECONDS = 60.0


def backoff_seconds(seed: str, attempt: int, base: float = BASE_SECONDS, maximum: float = MAX_SECONDS) -> float:
    """How long to wait before the next attempt.

    The bound doubles from ``base`` to ``maximum``; the wait lies between half of it and all of it, at least ``base``.
    The spread comes from a hash instead of a random number: callers with different seeds do not return to a recovering
    server in one herd, and one caller waits the same in every run.

    Args:
        seed: Name of the caller.
        attempt: Attempts that failed before this one, from 0.
        base: Seconds before the first retry.
        maximum: Most seconds between two attempts.
    """
    # 2.0 ** 1100 would overflow; long before, the bound is reached.
    bound = min(maximum, base * 2.0 ** min(attempt, 60))
    digest = blake2b(f"{seed}:{attempt}".encode(), digest_size=8).digest()
    fraction = int.from_bytes(digest, "big") / 2**64
    return max(base, bound * (0.5 + 0.5 * fraction))
