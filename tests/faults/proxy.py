"""A network that can be broken: a TCP proxy in a thread of the test, between anybody and one server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from libs.testing.ports import free_ports

_CHUNK = 65_536
_SLOW_CHUNK = 2_048


class Network:
    """Forwards to a server on this machine until it is told to do it badly.

    Attributes:
        port: Where clients connect to.
    """

    def __init__(self, server_port: int) -> None:
        self.port = free_ports(("proxy",))["proxy"]
        self._server_port = server_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network")
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._swallows = False
        self._delay_seconds = 0.0
        self._is_slow = False

    # -- what can go wrong ------------------------------------------------------------------------

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._call(self._cut)

    def freeze(self) -> None:
        """Half-open: connections stay and are accepted, nothing arrives any more in either direction, ever."""
        self._call(lambda: setattr(self, "_swallows", True))

    def delay(self, seconds: float = 0.03) -> None:
        """Hold everything back this long, in both directions."""
        self._call(lambda: setattr(self, "_delay_seconds", seconds))

    def slow(self) -> None:
        """Pass on what the server says in crumbs: to the server the client is a slow reader."""
        self._call(lambda: setattr(self, "_is_slow", True))

    def mend(self) -> None:
        """A good network again. What was swallowed stays swallowed: the connections that lost something are reset."""
        self._call(self._mend)

    # -- internals --------------------------------------------------------------------------------

    def _call(self, change: Callable[[], Any]) -> None:
        done = threading.Event()

        def run() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(30), "the network's thread must answer"

    def start(self) -> None:
        self._thread.start()
        self._call(self._mend)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _cut(self) -> None:
        self._open.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    def _mend(self) -> None:
        if self._swallows:
            self._reset()
        self._swallows = self._is_slow = False
        self._delay_seconds = 0.0
        self._open.set()
        if self._server is None:
            task = self._loop.create_task(self._listen())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(to_client)
        try:
            server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers.add(to_server)
            try:
                there = self._loop.create_task(self._pump(client, to_server, False))
                back = self._loop.create_task(self._pump(server, to_client, True))
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
            finally:
                self._writers.discard(to_server)
                to_server.transport.abort()
        except OSError:
            pass  # the server itself is away: the client is reset, as it would be without a proxy
        finally:
            self._writers.discard(to_client)
            self._tasks.discard(task)
            to_client.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_reply: bool) -> None:
        with suppress(OSError):
            while data := await source.read(_SLOW_CHUNK if self._is_slow and is_reply else _CHUNK):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                if self._is_slow and is_reply:
                    await asyncio.sleep(0.01)
                if not self._swallows:
                    sink.write(data)
                    await sink.drain()


@contextmanager
def network(server_port: int) -> Iterator[Network]:
    """A network in good order."""
    between = Network(server_port)
    between.start()
    try:
        yield between
    finally:
        between.end()
