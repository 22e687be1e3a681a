"""One client: who it is, what it wants, what waits for it, how fast it may ask. No socket, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from libs.engine.tokens import Principal
from libs.messagebus.transport import entry_order
from services.websocket.frames import encode
from services.websocket.outgoing import Outgoing, QueueFull
from services.websocket.patterns import Pattern
from services.websocket.settings import WebsocketSettings

NS: Final = 1_000_000_000

#: Close codes of the dialect.
STOPPING: Final = 1001
BINARY: Final = 1003
FULL: Final = 1013
INTERNAL: Final = 4000
UNAUTHENTICATED: Final = 4001
FORBIDDEN: Final = 4003
SLOW: Final = 4008
BAD_FRAMES: Final = 4009
TOO_MANY: Final = 4029
IDLE: Final = 4040


class Socket(Protocol):
    """What a session needs of its connection."""

    @property
    def is_clogged(self) -> bool:
        """Whether the peer does not read as fast as it is written to."""
        ...

    def write(self, data: bytes) -> None:
        """Send frames, header included; never waits."""
        ...

    def ping(self) -> None:
        """Ask the peer's websocket layer for a sign of life; a browser answers by itself."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say why, then close; idempotent."""
        ...


@dataclass(slots=True)
class Subscription:
    """One pattern of one client.

    Attributes:
        is_live: False while what was missed is still being replayed.
        stream: The one it was resumed on, if it was.
        floor: Position up to which the client has everything of that stream; nothing at or before it is sent again.
    """

    pattern: Pattern
    is_live: bool = True
    stream: str = ""
    floor: tuple[tuple[int, int], int] = ((0, 0), -1)

    def wants(self, stream: str, entry_id: str, index: int) -> bool:
        """Whether an event that matches, published just now, is to be sent."""
        if not self.is_live:
            return False
        return not self.stream or stream != self.stream or (entry_order(entry_id), index) > self.floor


class Session:
    """State of one client.

    Args:
        connection_id: Unique in this process.
        socket: Where frames go.
        settings: Limits.
        principal: Who it is so far; None = a token must come first.
        now_ns: Monotonic.

    Attributes:
        subscriptions: By the pattern's text.
    """

    def __init__(
        self, connection_id: str, socket: Socket, settings: WebsocketSettings, principal: Principal | None, now_ns: int
    ) -> None:
        self.connection_id = connection_id
        self.principal = principal
        self.subscriptions: dict[str, Subscription] = {}
        self.opened_ns = self.heard_ns = self.beat_ns = now_ns
        self.sent = self.received = self.bad_frames = 0
        self.sent_bytes = 0
        self.is_closed = False
        self.waiting_since_ns = 0
        self._socket = socket
        self._settings = settings
        self._out = Outgoing(settings.queue, settings.queue_bytes)
        self._allowance = float(settings.frames_per_second)
        self._allowance_ns = now_ns

    # -- receiving --------------------------------------------------------------------------------

    def note_frame(self, now_ns: int) -> bool:
        """Count a frame from the client; False when they come too fast (the allowance is one second's worth)."""
        rate = self._settings.frames_per_second
        self.heard_ns = now_ns
        self.received += 1
        self._allowance = min(rate, self._allowance + (now_ns - self._allowance_ns) / NS * rate)
        self._allowance_ns = now_ns
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    # -- sending ----------------------------------------------------------------------------------

    def send(self, frame: Mapping[str, Any], now_ns: int) -> None:
        """Send one frame of the protocol itself, at once where the socket takes it."""
        self.offer(encode(frame), "", now_ns)
        self.flush()

    def offer(self, frame: bytes, key: str, now_ns: int) -> None:
        """Queue an encoded frame; with a ``key`` it replaces a waiting one. A full queue closes the session."""
        if self.is_closed:
            return
        if self._out.is_full:
            self.flush()
        if not len(self._out):
            self.waiting_since_ns = now_ns
        try:
            self._out.put(frame, key)
        except QueueFull as error:
            self.close(SLOW, f"too slow: {error}; reconnect and resume with from")

    def flush(self) -> None:
        """Write what waits, as far as the peer reads."""
        while len(self._out) and not self.is_closed and not self._socket.is_clogged:
            data, count = self._out.take()
            self.sent += count
            self.sent_bytes += len(data)
            self._socket.write(data)

    def ping(self) -> None:
        """Ask for a sign of life that needs no help of the client's program."""
        if not self.is_closed:
            self._socket.ping()

    @property
    def queued(self) -> int:
        """Messages waiting."""
        return len(self._out)

    @property
    def has_room(self) -> bool:
        """Whether a replay may go on: little waits and the peer reads."""
        return not self._socket.is_clogged and self.queued < min(64, self._settings.queue // 2 + 1)

    def close(self, code: int, reason: str) -> None:
        """End the session; idempotent."""
        if not self.is_closed:
            self.is_closed = True
            self._socket.close(code, reason)

    def describe(self, now_ns: int) -> dict[str, Any]:
        """For ``stats`` and ``/connections``."""
        return {
            "connection_id": self.connection_id,
            "user": self.principal.name if self.principal else None,
            "subscriptions": sorted(self.subscriptions),
            "connected_seconds": round((now_ns - self.opened_ns) / NS, 3),
            "silent_seconds": round((now_ns - self.heard_ns) / NS, 3),
            "messages_sent": self.sent,
            "bytes_sent": self.sent_bytes,
            "messages_received": self.received,
            "queued": self.queued,
            "queued_bytes": self._out.bytes,
            "conflated": self._out.conflated,
        }
