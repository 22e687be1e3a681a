"""Commands: an event in an engine's inbox stream, answered after the commit that carried it out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.engine.errors import CommandRefused
from libs.messagebus.publisher import Publisher
from libs.messagebus.topic import Event

#: Answers kept for senders that have not asked yet; a sender asks within the same loop turn or two.
RECENT_REPLIES = 4096


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a command.

    Attributes:
        event_id: Id of the command event on the bus; also its correlation id.
        value: What the handler replied, or None.
    """

    event_id: str
    value: Any


class ReplyBook:
    """Matches committed commands with whoever waits for them, in one event loop."""

    def __init__(self) -> None:
        self._recent: OrderedDict[str, Any] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    def settle(self, replies: Mapping[str, Any]) -> None:
        """Deliver the answers of a committed batch."""
        for event_id, value in replies.items():
            waiter = self._waiting.pop(event_id, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(value)
                continue
            self._recent[event_id] = value
            if len(self._recent) > RECENT_REPLIES:
                self._recent.popitem(last=False)

    async def wait_for(self, event_id: str, timeout_seconds: float) -> Any:
        """The answer to ``event_id``.

        Raises:
            TimeoutError: If it was not committed in time; it may still be.
        """
        if event_id in self._recent:
            return self._recent.pop(event_id)
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[event_id] = waiter
        try:
            async with asyncio.timeout(timeout_seconds):
                return await waiter
        finally:
            self._waiting.pop(event_id, None)


class Commands:
    """Sends commands to the engine of this process.

    Args:
        publisher: Writes into the inbox stream.
        replies: The book the host settles after each commit.
        refusal: Why nothing can be sent now, None where it can.
    """

    def __init__(
        self,
        publisher: Publisher,
        replies: ReplyBook,
        timeout_seconds: float = 10.0,
        refusal: Callable[[], CommandRefused | None] = lambda: None,
    ) -> None:
        self._publisher = publisher
        self._replies = replies
        self._timeout_seconds = timeout_seconds
        self._refusal = refusal
        self._sending: set[asyncio.Future[str]] = set()

    async def send(self, command: Event, timeout_seconds: float | None = None) -> Reply:
        """Send a command and wait until the commit that carried it out.

        Raises:
            CommandRefused: If this host stands by (503 ``standby``, nothing was sent), if the handler refused it, or if
                no commit came in time (503 ``not-committed``; the text says that it may still be carried out).
        """
        self._check()
        timeout = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        event_id = await self._confirmed(command, timeout)
        try:
            value = await self._replies.wait_for(event_id, timeout)
        except TimeoutError:
            raise _not_committed(f"command {event_id} was accepted by the bus but not carried out", timeout) from None
        if isinstance(value, CommandRefused):
            raise value
        return Reply(event_id, value)

    async def _confirmed(self, command: Event, timeout_seconds: float) -> str:
        """Hand the command to the bus; the publisher keeps it, whether or not the caller goes on waiting."""
        sending = asyncio.ensure_future(self._publisher.publish_confirmed(command))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)
        done, _ = await asyncio.wait({sending}, timeout=timeout_seconds)
        if not done:
            raise _not_committed("the message bus has not taken the command", timeout_seconds)
        return sending.result()

    async def post(self, command: Event) -> str:
        """Send a command without waiting for it to be carried out; returns its event id once the bus has it."""
        self._check()
        return await self._publisher.publish_confirmed(command)

    def _check(self) -> None:
        refused = self._refusal()
        if refused is not None:
            raise refused


def _not_committed(what: str, timeout_seconds: float) -> CommandRefused:
    return CommandRefused(
        503,
        "not-committed",
        f"{what} within {timeout_seconds:g} s; it may still be carried out",
        "look at the engine's /status for its lag, then at its state before sending the command again",
    )


def standing_by(engine: str) -> CommandRefused:
    """The refusal of a host that stands by."""
    return CommandRefused(
        503,
        "standby",
        f"this process of {engine} stands by for its primary and carries out no commands; nothing was sent",
        "send the command to the primary, or again once /health/ready says ready here",
    )
