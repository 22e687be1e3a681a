"""Websocket connections on the HTTP port: uvicorn hands over what asks for an upgrade, picows speaks the protocol.

One port serves ``/ws`` and the HTTP surface. uvicorn parses the request, sees the upgrade and gives the connection to
:class:`Door`; from then on bytes pass through it to picows. Frames to clients are written to the socket as they are,
since a server's frames carry no mask and all receivers share the same bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, cast

import picows
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stub leaves out what its server is made of

from libs.clock import Clock
from libs.clock.live import monotonic_ns
from libs.engine.auth import TOKEN_REQUIRED_HEADER
from libs.engine.problems import Problem
from libs.engine.tokens import Principal
from services.websocket import session as codes
from services.websocket.conversation import Conversation
from services.websocket.frames import SUBPROTOCOL, Subscribe, wire
from services.websocket.hub import Hub
from services.websocket.patterns import patterns_of_path
from services.websocket.session import Session

#: Bytes the kernel and the event loop may hold for a client before it counts as clogged.
HIGH_WATER: Final = 256 * 1024
#: Beyond our own limit, so that a frame over it is answered with 4009; picows itself closes with 1009.
_PICOWS_FRAME_BYTES: Final = 2 * 1024 * 1024
_CLOSE_SECONDS: Final = 2.0
_CLOSE_OPCODE: Final = 0x8
_PONG_OPCODE: Final = 0xA
_PING: Final = wire(b"", 0x9)

_log = logging.getLogger("picows.server")
_log.setLevel(logging.WARNING)


class Client(picows.WSListener):
    """One connection: picows calls it, a session is behind it, and it is that session's socket."""

    def __init__(
        self,
        door: Doorway,
        principal: Principal | None,
        refusal: str,
        patterns: tuple[str, ...],
        token_required: bool,
    ) -> None:
        super().__init__()
        self._door = door
        self._token_required = token_required
        self._principal = principal
        self._refusal = refusal
        self._patterns = patterns
        self._session: Session | None = None
        self._transport: picows.WSTransport | None = None
        self._fragments = bytearray()
        self._is_clogged = False
        self._is_closing = False

    # -- the session's socket ---------------------------------------------------------------------

    @property
    def is_clogged(self) -> bool:
        """See :class:`~services.websocket.session.Socket`."""
        return self._is_clogged

    def write(self, data: bytes) -> None:
        """See :class:`~services.websocket.session.Socket`."""
        if self._transport is not None and not self._is_closing:
            self._transport.underlying_transport.write(data)

    def close(self, code: int, reason: str) -> None:
        """See :class:`~services.websocket.session.Socket`."""
        if self._transport is None or self._is_closing:
            return
        text = reason.encode()[:123].decode(errors="ignore").encode()
        self._transport.underlying_transport.write(wire(code.to_bytes(2) + text, _CLOSE_OPCODE))
        self._is_closing = True
        # A peer that does not answer the close frame, or does not even read, is not waited for.
        asyncio.get_running_loop().call_later(_CLOSE_SECONDS, self._transport.disconnect, False)

    def ping(self) -> None:
        """See :class:`~services.websocket.session.Socket`."""
        self.write(_PING)

    # -- picows -----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Take the client in, or tell it why not."""
        self._transport = transport
        transport.underlying_transport.set_write_buffer_limits(high=HIGH_WATER)
        if self._refusal:
            self.close(codes.UNAUTHENTICATED, self._refusal)
            return
        door = self._door
        now, server_time = monotonic_ns(), door.clock.timestamp_ns()
        self._session = door.hub.open(self, self._principal, now, server_time, self._token_required)
        if self._session is not None and self._patterns and self._session.principal is not None:
            door.conversation.subscribe(self._session, Subscribe(list(self._patterns)), monotonic_ns())

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Handle one frame of any kind."""
        kind = frame.msg_type
        if kind == picows.WSMsgType.CLOSE:
            self._on_close(frame)
        elif self._session is None or self._is_closing:
            return
        elif kind == picows.WSMsgType.PONG:
            self._session.heard_ns = monotonic_ns()
        elif kind == picows.WSMsgType.PING:
            self._session.heard_ns = monotonic_ns()
            self.write(wire(frame.get_payload_as_bytes(), _PONG_OPCODE))
        elif kind == picows.WSMsgType.BINARY:
            self._door.hub.close(self._session, codes.BINARY, "frames must be text")
        else:
            self._on_text(self._session, frame)

    def _on_text(self, session: Session, frame: picows.WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if not frame.fin or self._fragments:
            self._fragments += payload
            if frame.fin or len(self._fragments) > self._door.hub.settings.frame_bytes:
                payload = bytes(self._fragments)
                self._fragments.clear()
            else:
                return
        door = self._door
        door.conversation.on_text(session, payload, monotonic_ns(), door.clock.timestamp_ns())
        if session.principal is not None and self._patterns and not session.subscriptions and not session.is_closed:
            # A path with topics of its own, opened before the token came.
            door.conversation.subscribe(session, Subscribe(list(self._patterns)), monotonic_ns())
            self._patterns = ()

    def _on_close(self, frame: picows.WSFrame) -> None:
        assert self._transport is not None
        if not self._is_closing:
            code = frame.get_payload_as_bytes()[:2] or b"\x03\xe8"
            self._transport.underlying_transport.write(wire(code, _CLOSE_OPCODE))
            self._is_closing = True
        self._transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """The connection is gone."""
        self._is_closing = True
        if self._session is not None:
            self._session.is_closed = True
            self._door.hub.forget(self._session)

    def pause_writing(self) -> None:
        """The peer reads more slowly than it is written to."""
        self._is_clogged = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._is_clogged = False
        if self._session is not None:
            self._session.flush()


class Doorway:
    """Where connections come in: whose origin is allowed, who they are, what they asked for."""

    def __init__(self, hub: Hub, conversation: Conversation, clock: Clock) -> None:
        self.hub = hub
        self.conversation = conversation
        self.clock = clock

    def receive(self, request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        """Answer one upgrade request."""
        patterns = patterns_of_path(request.path.decode("latin-1"))
        origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
        if patterns is None:
            return _refuse(404, "there is no such path; connect to /ws")
        # Browsers let any page open a connection to this machine; only the header says which page it is.
        if origin and origin.partition("://")[2] != host and origin not in self.hub.settings.allowed_origins:
            return _refuse(403, "pages of that origin may not connect; see WEBSOCKET_ALLOWED_ORIGINS")
        principal, refusal = None, ""
        try:
            principal = self.hub.guard.identify(request.headers.get("Authorization", ""))
        except Problem as problem:
            refusal = f"{problem.code}: {problem.detail}"
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        extra = {"Sec-WebSocket-Protocol": SUBPROTOCOL} if SUBPROTOCOL in offered else None
        response = picows.WSUpgradeResponse.create_101_response(extra)
        # A gateway that people reach from outside asks for a token although we, behind it, listen on loopback only.
        token_required = TOKEN_REQUIRED_HEADER in request.headers
        client = Client(self, principal, refusal, patterns, token_required)
        return picows.WSUpgradeResponseWithListener(response, client)

    def upgrade(self, config: Any, server_state: Any, app_state: Any) -> Door:
        """What uvicorn calls for a connection that asks for a websocket."""
        return Door(self, server_state.connections)


class Door(asyncio.Protocol):
    """Passes the bytes of one connection to picows.

    Args:
        doorway: Answers the upgrade request.
        connections: uvicorn's open connections; it shuts them down when it stops.
    """

    def __init__(self, doorway: Doorway, connections: set[Any]) -> None:
        self._doorway = doorway
        self._connections = connections
        self._inner = _picows_protocol(doorway.receive)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is ours."""
        self._connections.add(self)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Copy into picows's buffer, as often as it takes."""
        rest = memoryview(data)
        while rest:
            room = self._inner.get_buffer(len(rest))
            size = min(len(room), len(rest))
            room[:size] = rest[:size]
            self._inner.buffer_updated(size)
            rest = rest[size:]

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def eof_received(self) -> bool:
        """Pass on."""
        return cast(bool, self._inner.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on."""
        self._connections.discard(self)
        self._inner.connection_lost(error)

    def shutdown(self) -> None:
        """The server stops: say so to the client."""
        listener = self._inner.listener
        if isinstance(listener, Client):
            listener.close(codes.STOPPING, "the server is stopping; reconnect")
        self._connections.discard(self)


def _picows_protocol(receive: Callable[[picows.WSUpgradeRequest], Any]) -> Any:
    """A server-side protocol object, as ``picows.ws_create_server`` makes for each connection it accepts."""
    return WSProtocol(
        None, None, False, receive, _log, True, 5.0, False, 10.0, 10.0,
        picows.WSAutoPingStrategy.PING_WHEN_IDLE, False, _PICOWS_FRAME_BYTES, None, 4_096,
    )  # fmt: skip


def _refuse(status: int, text: str) -> picows.WSUpgradeResponseWithListener:
    response = picows.WSUpgradeResponse.create_error_response(status, text.encode())
    return picows.WSUpgradeResponseWithListener(response, None)
