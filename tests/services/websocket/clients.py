"""A socket in memory and a hub around it, for tests of the protocol without a network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from libs.clock import TestClock
from libs.contracts.market import BarClosed, QuoteReceived
from libs.contracts.topics import REGISTRY
from libs.engine.auth import Guard
from libs.engine.tokens import Principal, Tokens
from libs.messagebus.envelope import EventEnvelope
from libs.messagebus.topic import Event
from services.websocket.conversation import Conversation
from services.websocket.hub import Hub
from services.websocket.session import NS, Session
from services.websocket.settings import WebsocketSettings

SECRET = "s" * 40
NOW_NS = 1_700_000_000 * NS


@dataclass
class MemorySocket:
    """Keeps what is written, as a browser would receive it."""

    is_clogged: bool = False
    data: bytearray = field(default_factory=bytearray)
    writes: int = 0
    pings: int = 0
    closed: tuple[int, str] | None = None

    def write(self, data: bytes) -> None:
        self.data += data
        self.writes += 1

    def ping(self) -> None:
        self.pings += 1

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def take(self) -> list[dict[str, Any]]:
        """Frames written since the last call, decoded by the rules of RFC 6455, 5.2."""
        found, rest = [], bytes(self.data)
        self.data.clear()
        while rest:
            assert rest[0] == 0x81, "unmasked final text frames only"
            size, at = rest[1], 2
            if size == 126:
                size, at = int.from_bytes(rest[2:4]), 4
            elif size == 127:
                size, at = int.from_bytes(rest[2:10]), 10
            found.append(json.loads(rest[at : at + size]))
            rest = rest[at + size :]
        return found


class Room:
    """A hub, its conversation and its clients, with time moved by hand."""

    def __init__(self, *, reads_open: bool = True, **settings: Any) -> None:
        self.clock = TestClock(NOW_NS)
        self.tokens = Tokens(SECRET, self.clock)
        self.dirty = 0
        self.latencies: list[float] = []
        self.resumed: list[tuple[str, str, int]] = []
        guard = Guard(self.tokens, reads_open=reads_open)
        self.hub = Hub(WebsocketSettings(port=0, **settings), REGISTRY, guard, self._on_dirty, self.latencies.append)
        self.conversation = Conversation(self.hub, lambda *begin: self.resumed.append(begin[2:]))
        self.now_ns = 0
        self._entry = 0

    def _on_dirty(self) -> None:
        self.dirty += 1

    def connect(self, principal: Principal | None = None, **state: Any) -> tuple[Session | None, MemorySocket]:
        socket = MemorySocket(**state)
        session = self.hub.open(socket, principal, self.now_ns, self.clock.timestamp_ns())
        return session, socket

    def client(self, *topics: str, **state: Any) -> tuple[Session, MemorySocket]:
        """A connected client subscribed to ``topics``, its welcome read."""
        session, socket = self.connect()
        assert session is not None
        if topics:
            self.say(session, {"type": "subscribe", "topics": list(topics)})
        socket.take()
        for name, value in state.items():
            setattr(socket, name, value)
        return session, socket

    def say(self, session: Session, frame: Any) -> None:
        payload = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        self.conversation.on_text(session, payload, self.now_ns, self.clock.timestamp_ns())

    def publish(self, *events: Event) -> None:
        """One entry of one event each, then the flush that ends a turn."""
        for event in events:
            self._entry += 1
            topic = REGISTRY.topic_of(event)
            envelope = EventEnvelope(
                f"{self._entry}-0", 0, topic.name, f"marketdata:{self._entry}", f"root:{self._entry}", "", 5, event
            )
            self.hub.publish(envelope, self.now_ns)
        self.hub.flush(self.now_ns)

    def pass_time(self, seconds: float) -> None:
        self.now_ns += int(seconds * NS)
        self.clock.advance_time(int(seconds * NS))
        self.hub.tick(self.now_ns, self.clock.timestamp_ns())


def quote(bid: float, symbol: str = "AAPL.XNAS") -> QuoteReceived:
    return QuoteReceived(1, symbol, bid, bid + 1, 1, 1, "test")


def bar(close: float, symbol: str = "AAPL.XNAS") -> BarClosed:
    return BarClosed(int(close), symbol, "1d", close, close, close, close, 1, "test")
