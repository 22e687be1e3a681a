"""Who wrote a journal entry or a snapshot: the versions of the code and of the strategies it had loaded."""

from __future__ import annotations

from typing import Any, NamedTuple


class Writer(NamedTuple):
    """Two writers that are equal behave equally, so a replay by one must give what the other published.

    Attributes:
        code: See :func:`libs.version.version_of`.
        strategies: Name and version of each loaded strategy, sorted; "" for none.
    """

    code: str
    strategies: str = ""

    def __str__(self) -> str:
        """For a sentence: ``0.1.0+3c94943c8e/py3.11 with moving_average_cross 1a2b3c4d``."""
        return f"{self.code} with {self.strategies}" if self.strategies else self.code


def strategies_of(engine: Any) -> str:
    """What an engine says in ``strategy_versions``, "" for one that has no strategies."""
    return getattr(engine, "strategy_versions", "")
