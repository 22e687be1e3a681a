"""Commands for HTTP tests: carried out at once by an engine under test, refusals included."""

from __future__ import annotations

from libs.engine.commands import Commands, Reply
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness


class HarnessCommands(Commands):
    """Hands each command to the engine of a harness instead of the bus.

    Example::

        surface = Surface(router(harness.engine, HarnessCommands(harness)))
    """

    def __init__(self, harness: EngineHarness) -> None:
        self._harness = harness
        self._sent = 0

    async def send(self, command: Event, timeout_seconds: float | None = None) -> Reply:
        """Carry ``command`` out; raises ``CommandRefused`` as the real one does."""
        event_id = await self.post(command)
        return Reply(event_id, self._harness.reply)

    async def post(self, command: Event) -> str:
        """Carry ``command`` out without its answer."""
        self._harness.send(command)
        self._sent += 1
        return f"test:{self._sent}"
