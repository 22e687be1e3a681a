"""One HTTP server beside the other tasks of a process: it takes no signals and never ends the process by itself."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from asyncio import Protocol
from collections.abc import Callable, Iterator
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from libs.engine.errors import EngineError

#: Time open requests have to finish once the server stops.
_GRACE_SECONDS = 2
_BACKLOG = 512


class PortUnavailable(EngineError):
    """The HTTP port cannot be opened; the text names it, the engine and the setting."""


def open_port(engine: str, host: str, port: int) -> socket.socket:
    """Bind the HTTP port of ``engine`` before anything else starts.

    Raises:
        PortUnavailable: If it is taken, needs privileges, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # A port of connections that linger after a restart is free; one that somebody listens on is not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        prefix = engine.upper()
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} of engine '{engine}' must be free, was in use on {host}"
            raise PortUnavailable(f"{text}; stop the other process or set {prefix}_PORT") from None
        reason = error.strerror or (os.strerror(error.errno) if error.errno else str(error))
        raise PortUnavailable(
            f"engine '{engine}' must be able to listen on {host}:{port}, was refused ({reason}); "
            f"set {prefix}_HOST and {prefix}_PORT"
        ) from None
    return listener


class HttpServer:
    """Serves one application on one bound socket.

    Args:
        engine: Whose surface it is.
        app: The application.
        listener: Bound and listening.
        upgrade: Makes the protocol that takes a connection over when a client asks for a websocket; called with
            uvicorn's ``config``, ``server_state`` and ``app_state``. None refuses such requests.

    Attributes:
        port: The port it listens on, also when 0 was asked for.
    """

    def __init__(
        self, engine: str, app: ASGIApp, listener: socket.socket, upgrade: Callable[..., Protocol] | None = None
    ) -> None:
        self.name = f"{engine}.http"
        self.port: int = listener.getsockname()[1]
        self._engine = engine
        self._listener = listener
        # uvicorn calls what it is given here and asks nothing else of it; its type says class.
        upgrade_class: Any = upgrade or "none"
        self._server = _Server(
            uvicorn.Config(
                app, http="auto", ws=upgrade_class, lifespan="off", access_log=False, log_config=None,
                server_header=False, date_header=True, timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )  # fmt: skip

    async def run(self) -> None:
        """Serve until :meth:`stop`."""
        host = self._listener.getsockname()[0]
        structlog.get_logger("http").info("listening", engine=self._engine, address=f"http://{host}:{self.port}")
        await self._server.serve([self._listener])

    def stop(self) -> None:
        """Take no more requests and return from :meth:`run` when the open ones are answered."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process root alone handles signals: with several servers each would undo the other's handlers."""
        yield
