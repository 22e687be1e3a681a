"""Websockets through the gateway: bytes are passed to the websocket engine and back, none are looked at.

uvicorn hands over a connection that asks for an upgrade (``libs/engine/server.py``). Each side is read only as fast as
the other takes it, so a slow client is slow for the websocket engine, which knows what to do about it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import structlog

from libs.engine.auth import TOKEN_REQUIRED_HEADER

_CONNECT_SECONDS: Final = 3.0


@dataclass(slots=True)
class Relay:
    """Where websocket connections go.

    Attributes:
        url: The websocket engine's address.
        token_required: Whether anonymous clients are refused although the engine itself would take them.
        connections: Open now.
        opened: Since the start.
    """

    url: str
    token_required: bool
    connections: int = 0
    opened: int = 0

    def upgrade(self, config: Any, server_state: Any, app_state: Any) -> asyncio.Protocol:
        """What uvicorn calls for a connection that asks for a websocket."""
        return _ClientSide(self, server_state.connections)


class _Side(asyncio.Protocol):
    """One end of a relayed connection; what it receives goes out at the other."""

    transport: asyncio.Transport | None = None
    other: _Side | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


class _ClientSide(_Side):
    def __init__(self, relay: Relay, connections: set[Any]) -> None:
        self._relay = relay
        self._connections = connections
        self._connecting: asyncio.Task[None] | None = None
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)
        self._relay.connections += 1
        self._relay.opened += 1

    def data_received(self, data: bytes) -> None:
        if self.other is not None:
            super().data_received(data)
            return
        self._early += data
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect(), name="gateway.relay")

    async def _connect(self) -> None:
        assert self.transport is not None
        self.transport.pause_reading()
        address = urlsplit(self._relay.url)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, side = await asyncio.get_running_loop().create_connection(
                    _Side, address.hostname or "", address.port or 80
                )
        except (OSError, TimeoutError) as error:
            structlog.get_logger("gateway").warning("websocket_unreachable", url=self._relay.url, error=str(error))
            self._refuse()
            return
        self.other, side.other = side, self
        if self.transport.is_closing():
            side.connection_lost(None)
            assert side.transport is not None
            side.transport.close()
            return
        head, _, rest = bytes(self._early).partition(b"\r\n\r\n")
        assert side.transport is not None
        side.transport.write(self._marked(head) + b"\r\n\r\n" + rest)
        self._early.clear()
        self.transport.resume_reading()

    def _marked(self, head: bytes) -> bytes:
        """The request head with our own header and nobody else's of that name."""
        name = TOKEN_REQUIRED_HEADER.lower().encode() + b":"
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(name)]
        if self._relay.token_required:
            lines.append(name + b" 1")
        return b"\r\n".join(lines)

    def _refuse(self) -> None:
        assert self.transport is not None
        code, text = "engine-unreachable", f"websocket does not listen at {self._relay.url}"
        body = json.dumps(
            {
                "type": f"urn:nautilus:problem:{code}", "title": "Engine unreachable", "status": 503, "detail": text,
                "instance": "/ws", "code": code, "remedy": "start it, or set ENGINE_WEBSOCKET_URL",
                "correlation_id": "",
            }
        ).encode()  # fmt: skip
        self.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 2\r\n"
            b"Connection: close\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._relay.connections -= 1
        if self._connecting is not None and not self._connecting.done():
            self._connecting.cancel()
        super().connection_lost(error)

    def shutdown(self) -> None:
        """The server stops; RFC 6455, 7.4.1: going away."""
        if self.transport is not None and self.other is not None:
            self.transport.write(bytes((0x88, 2)) + (1001).to_bytes(2))
        if self.transport is not None:
            self.transport.close()
