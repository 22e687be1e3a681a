"""Delta debugging: from the faults of a failing run to a list of which none can be left out.

A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering
28 (2002), the minimising half of ddmin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def shrink(items: Sequence[int], fails: Callable[[Sequence[int]], bool], budget: int = 60) -> list[int]:
    """The smallest part of ``items`` found that still fails.

    Args:
        items: Of which the whole fails.
        fails: Whether a part fails too.
        budget: Trials at most; what is left when it is used up fails, and may be larger than it must.

    Returns:
        In the order of ``items``; without one item less it no longer fails, unless the budget ended first.
    """
    kept, parts = list(items), 2
    if kept and budget and fails([]):
        return []
    budget -= 1
    while len(kept) > 1 and budget > 0:
        size = -(-len(kept) // parts)
        chunks = [kept[start : start + size] for start in range(0, len(kept), size)]
        smaller = None
        for index in range(len(chunks)):
            if budget <= 0:
                break
            budget -= 1
            rest = [item for position, chunk in enumerate(chunks) if position != index for item in chunk]
            if fails(rest):
                smaller = rest
                break
        if smaller is not None:
            kept, parts = smaller, max(2, parts - 1)
        elif parts >= len(kept):
            break
        else:
            parts = min(len(kept), 2 * parts)
    return kept
