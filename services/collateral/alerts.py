"""When a rising margin utilisation is announced."""

from __future__ import annotations

from typing import Final

import msgspec

from services.collateral.margin import State

LEVELS: Final[tuple[State, ...]] = ("ok", "warning", "critical", "emergency")
#: What each severity asks for.
ACTIONS: Final[dict[State, str]] = {
    "warning": "reduce_positions",
    "critical": "immediate_action_required",
    "emergency": "liquidate_positions",
}


class AlertBook(msgspec.Struct):
    """What was announced for one portfolio.

    Attributes:
        announced: Level up to which the present rise has been announced.
        last_level: Level of the last alert raised.
        raised: When an alert of each level was last raised, UNIX ns of fleet time.
    """

    announced: int = 0
    last_level: int = 0
    raised: dict[State, int] = {}

    def observe(self, state: State, ts_event: int, cooldown_ns: int) -> bool:
        """Take in the state of a step.

        An alert is due when the state is above what was announced. Within the cooldown of its own severity it is held
        back, to be raised when the cooldown ends if the state still stands; but never when it is worse than the last
        one raised.

        Returns:
            Whether to raise an alert of ``state`` now.
        """
        level = LEVELS.index(state)
        self.announced = min(self.announced, level)
        if level == self.announced:
            return False
        last = self.raised.get(state)
        # A replay may seek backwards; an alert from the future holds nothing back.
        is_cooling = last is not None and 0 <= ts_event - last < cooldown_ns
        if is_cooling and level <= self.last_level:
            return False
        self.announced = self.last_level = level
        self.raised[state] = ts_event
        return True
