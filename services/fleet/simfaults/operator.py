"""The operator of a simulated fleet: sends commands when a step is done and the fleet is quiet, and loses none.

In the run that another is compared with the same commands come at the same points, which is what makes the two equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from libs.clock import Clock
from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus.errors import MessageBusError
from libs.messagebus.publisher import Publisher
from libs.messagebus.transport import Quiescence
from services.fleet.simfaults.line import Line
from services.fleet.simfaults.scenario import Action

_RETRY_SECONDS = 0.05


class Operator:
    """Sends the actions of a scenario, in order.

    Args:
        actions: Sorted by step.
        connect: Makes a line to the bus.

    Attributes:
        sent: Actions that the bus has.
    """

    def __init__(self, actions: Sequence[Action], connect: Callable[[], Line], clock: Clock) -> None:
        self.sent = 0
        self._actions = actions
        self._connect = connect
        self._clock = clock
        self._life = 0
        self._publisher: Publisher | None = None
        self._sending: asyncio.Task[None] | None = None

    def gate(self, step: int, answer: Quiescence) -> Quiescence:
        """Hold back the source while something is to be sent: ``answer`` is that the fleet is quiet after ``step``."""
        if self._sending is not None and not self._sending.done():
            return Quiescence(False, ["operator"])
        if self.sent < len(self._actions) and self._actions[self.sent].step <= step:
            self._sending = asyncio.get_running_loop().create_task(self._send())
            return Quiescence(False, ["operator"])
        return answer

    async def _send(self) -> None:
        number = self.sent
        while True:
            if self._publisher is None:
                self._publisher = Publisher(self._connect(), CODEC, REGISTRY, f"operator-{self._life}", self._clock)
                self._life += 1
            try:
                await self._publisher.publish_confirmed(self._actions[number].command)
            except MessageBusError:  # the bus lost something: what it has of ours is not known, and we begin anew
                self._publisher = None
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self.sent = max(self.sent, number + 1)
            return

    def bus_lost(self, sent: int) -> None:
        """The bus has only the first ``sent`` actions; the others are sent again, as a person would who looks."""
        if self._sending is not None:
            self._sending.cancel()
        self.sent, self._publisher = sent, None


class Bystander:
    """Who is at the operator's end of a line: a person, whom no fault kills."""

    name = "operator"
    is_dead = False

    def kill(self) -> None:
        """Nothing kills it."""

    def freeze(self, seconds: float, is_hot: bool) -> None:
        """Nothing stops it."""

    def restart(self) -> None:
        """Nothing restarts it."""
