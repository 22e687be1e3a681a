"""Halts: which are in force, and the way to ask for one or lift it from any engine's surface.

Risk alone decides; every process reads its decisions. A request is answered when risk has committed past it and the
decision is in force here, so a 200 means that trading is halted and not that somebody was asked to.
"""

from __future__ import annotations

import asyncio

from libs.contracts import topics
from libs.contracts.risk import HaltChanged, HaltTrading, ResumeTrading
from libs.engine.errors import CommandRefused
from libs.engine.vitals import Halt
from libs.messagebus.errors import TransportError
from libs.messagebus.publisher import Publisher
from libs.messagebus.transport import START, Transport

_SCOPES = ("all", "portfolio", "strategy", "symbol")
_POLL_SECONDS = 0.02
#: Name of the reader that carries out halts.
_DESK = "risk"


class HaltWatch:
    """The halts in force, as risk has published them; :class:`~libs.engine.watch.BusWatch` feeds it."""

    def __init__(self) -> None:
        self._halts: dict[tuple[str, str], Halt] = {}

    def note(self, event: HaltChanged) -> None:
        """Risk has halted or released something."""
        key = (event.scope, event.target)
        if event.halted:
            self._halts[key] = Halt(event.scope, event.target, event.reason, event.actor)
        else:
            self._halts.pop(key, None)

    def in_force(self) -> tuple[Halt, ...]:
        """Sorted, the most comprehensive first."""
        return tuple(sorted(self._halts.values(), key=lambda halt: (_SCOPES.index(halt.scope), halt.target)))

    def holds(self, scope: str, target: str) -> bool:
        """Whether exactly this halt is in force."""
        return (scope, target) in self._halts


class HaltDesk:
    """Sends halts and releases to risk and waits until they are in force.

    Args:
        timeout_seconds: For the bus, risk and the way back together.
        reading_seconds: For the way back alone, once risk has committed.
    """

    def __init__(
        self,
        publisher: Publisher,
        transport: Transport,
        watch: HaltWatch,
        timeout_seconds: float = 5.0,
        reading_seconds: float = 1.0,
    ) -> None:
        self._publisher = publisher
        self._transport = transport
        self._watch = watch
        self._timeout_seconds = timeout_seconds
        self._looks = max(1, int(reading_seconds / _POLL_SECONDS))

    async def send(self, command: HaltTrading | ResumeTrading) -> str:
        """Halt or release; returns the id of the command event.

        Raises:
            CommandRefused: 503 ``not-ready`` if the bus or risk did not answer in time (it may still be carried
                out), 409 ``halt-refused`` if risk handled the command and left things as they were.
        """
        wanted = isinstance(command, HaltTrading)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                event_id = await self._publisher.publish_confirmed(command)
                await self._until_committed()
                # Risk's decision was appended with that commit; only the reading of it is still to come.
                for _ in range(self._looks):
                    if self._watch.holds(command.scope, command.target) == wanted:
                        return event_id
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise CommandRefused(
                503,
                "not-ready",
                f"risk did not carry out the command within {self._timeout_seconds:g} s; it may still do so",
                "look at /health of risk; send the command again, a second copy does no harm",
            ) from None
        verb = "halt" if wanted else "release"
        raise CommandRefused(
            409,
            "halt-refused",
            f"risk handled the command and did not {verb} {command.scope} {command.target}".rstrip(),
            "look at /risk/halts and the log of risk",
        )

    async def _until_committed(self) -> None:
        stream = topics.HALT_TRADING.stream
        newest = _order((await self._transport.tails([stream]))[stream])
        while True:
            try:
                positions = await self._transport.positions(_DESK)
                if _order(positions.get(stream, START)) >= newest:
                    return
            except TransportError:
                pass  # it is asked again until the time is up
            await asyncio.sleep(_POLL_SECONDS)


def _order(entry_id: str) -> tuple[int, int]:
    first, _, second = entry_id.partition("-")
    return int(first), int(second)
