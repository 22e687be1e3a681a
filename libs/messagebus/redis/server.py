"""A Redis server of our own, for running the fleet on one machine without installing anything.

Files in the directory it is given::

    owner.lock    locked by the process that started the server
    server.lock   locked by the server itself (it inherits the descriptor), so the lock lives exactly as long as it does
    server.json   its process id and port
    redis.log     its log; beside it the append-only file

A launcher that was killed leaves its server running: ``server.lock`` is held, ``owner.lock`` is free. The next launcher
ends that server, which writes all its data, and starts its own on them. Two live launchers on one directory are
refused: two servers on one append-only file destroy it, and Redis itself does not notice.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import msgspec

from libs.clock.live import monotonic_ns
from libs.messagebus.redis.binary import EmbeddedRedisUnavailable, RedisBinary, find_redis_server
from libs.messagebus.redis.configuration import Fsync, ServerConfiguration, check_directory
from libs.messagebus.redis.locks import free_port, take_lock, wait_for_lock
from libs.messagebus.redis.probe import ServerFacts, ask_server

START_TIMEOUT_NS = 60_000_000_000
"""Reading back an append-only file of some gigabytes takes tens of seconds."""

STOP_TIMEOUT_NS = 30_000_000_000


class _ServerNote(msgspec.Struct, frozen=True):
    pid: int
    port: int


class EmbeddedRedis:
    """One server on a directory; use as a context manager or call :meth:`start` and :meth:`stop`.

    Attributes:
        port: TCP port on 127.0.0.1 while it runs.
        pid: Its process id while it runs, else 0.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        appendfsync: Fsync = "everysec",
        appendonly: bool = True,
        port: int = 0,
        maxmemory_mb: int = 0,
        password: str = "",
        binary: RedisBinary | None = None,
    ) -> None:
        """Describe a server; nothing runs yet.

        Args:
            directory: Where its data lie, its own; created if missing.
            appendfsync: ``always``: nothing acknowledged is ever lost; ``everysec``: up to a second on power loss;
                ``no``: whenever the system writes. A crash of the process alone loses nothing under any of them.
            appendonly: Whether data survive a restart at all.
            port: TCP port; 0 = a free one, never 6379 (which may be somebody's own server).
            maxmemory_mb: Memory limit in MiB; 0 = none. Full memory refuses writes, it never evicts.
            password: What clients must log in with; ``""`` = nothing (it listens on 127.0.0.1 only).
            binary: By default what :func:`find_redis_server` finds.
        """
        self.directory = Path(directory).absolute()
        self.port = port
        self.pid = 0
        self._fixed_port = port
        self._password = password
        self._binary = binary
        self._configuration = ServerConfiguration(self.directory, appendonly, appendfsync, maxmemory_mb, password)
        self._process: subprocess.Popen[bytes] | None = None
        self._owner: int | None = None

    @property
    def url(self) -> str:
        """URL of the running server; it holds the password, if there is one."""
        login = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}/0"

    @property
    def has_ended(self) -> bool:
        """Whether it ended without having been told to."""
        return self._process is not None and self._process.poll() is not None

    def __repr__(self) -> str:
        """Name the directory and port; no password."""
        return f"EmbeddedRedis({str(self.directory)!r}, port={self.port})"

    def __enter__(self) -> EmbeddedRedis:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server; returns when it answers. One that a killed launcher left running is ended first.

        Raises:
            EmbeddedRedisUnavailable: If it cannot run; one sentence says why and what to do.
        """
        if self._owner is not None:
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._owner = take_lock(self.directory / "owner.lock")
        except OSError as error:
            raise EmbeddedRedisUnavailable(
                f"directory {self.directory} must be writable, was not: {error.strerror}; choose another one"
            ) from error
        if self._owner is None:
            raise EmbeddedRedisUnavailable(
                f"directory {self.directory} must belong to one running fleet, was in use by another; "
                "stop that one or choose another directory"
            )
        try:
            server_lock = take_lock(self.directory / "server.lock")
            if server_lock is None:
                server_lock = self._end_leftover()
            try:
                self._spawn(server_lock)
            finally:
                os.close(server_lock)  # the server holds its own copy
        except BaseException:
            self._release()
            raise

    def stop(self) -> None:
        """Stop the server and wait until it has written its data; idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Stop the server as a crash would (SIGKILL); for fault tests. :meth:`start` runs it again on the same port."""
        if not self._fixed_port:
            self._fixed_port = self.port
        self._end(signal.SIGKILL)

    # -- internals --------------------------------------------------------------------------------

    def _end_leftover(self) -> int:
        """End the server of a killed launcher and return its lock."""
        try:
            note = msgspec.json.decode((self.directory / "server.json").read_bytes(), type=_ServerNote)
        except (OSError, msgspec.MsgspecError):
            note = _ServerNote(0, 0)
        facts = ask_server(note.port, self._password) if note.port else None
        if facts is not None and facts.pid == note.pid:
            # The lock says that a server runs here, and the answer that this process is the one: safe to signal.
            os.kill(note.pid, signal.SIGTERM)
            if (lock := wait_for_lock(self.directory / "server.lock", STOP_TIMEOUT_NS)) is not None:
                return lock
        raise EmbeddedRedisUnavailable(
            f"the Redis server left on {self.directory} must end, was still running (process {note.pid or 'unknown'}); "
            "end that process and start again"
        )

    def _spawn(self, server_lock: int) -> None:
        binary = self._binary or find_redis_server()
        check_directory(self.directory, binary)
        for _ in range(5):
            self.port = self._fixed_port or free_port()
            facts = self._launch(binary, server_lock)
            if facts is not None:
                self.pid = facts.pid
                note = self.directory / "server.json.new"
                note.write_bytes(msgspec.json.encode(_ServerNote(facts.pid, self.port)))
                note.replace(self.directory / "server.json")
                return
            if self._fixed_port or "Address already in use" not in self._last_words():
                break
        raise EmbeddedRedisUnavailable(
            f"redis-server on {self.directory} must start, was ended by: {self._last_words() or 'no log'}; "
            "see redis.log there"
        )

    def _launch(self, binary: RedisBinary, server_lock: int) -> ServerFacts | None:
        """Run the server until it answers; None when it ended first."""
        (self.directory / "redis.log").unlink(missing_ok=True)
        # The configuration goes through standard input: arguments show in every process list, passwords included.
        # A session of its own: Ctrl-C in the terminal must reach the fleet, which still has to flush, and not this.
        self._process = subprocess.Popen(
            [binary.path, "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(server_lock,),
        )
        assert self._process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(self._configuration.text(self.port).encode())
                self._process.stdin.close()
            give_up = monotonic_ns() + START_TIMEOUT_NS
            while monotonic_ns() < give_up:
                facts = ask_server(self.port, self._password, timeout_s=0.2)
                if facts is not None and facts.pid == self._process.pid:
                    return facts
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.01)
                    return None
        except BaseException:  # Ctrl-C while it reads its data: a server nobody knows of must not stay behind
            self._process.kill()
            self._process.wait()
            raise
        self._process.kill()
        self._process.wait()
        return None

    def _last_words(self) -> str:
        """The newest warning of the log."""
        try:
            lines = (self.directory / "redis.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.split(" # ", 1)[1].strip() for line in reversed(lines) if " # " in line), "")

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(by)
        try:
            self._process.wait(STOP_TIMEOUT_NS / 1e9)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        # A child that rewrites the append-only file shares the lock and may outlive a killed server for a moment.
        if (lock := wait_for_lock(self.directory / "server.lock", STOP_TIMEOUT_NS)) is not None:
            os.close(lock)
        self._release()

    def _release(self) -> None:
        if self._owner is not None:
            os.close(self._owner)
        self._owner = None
        self._process = None
        self.pid = 0
