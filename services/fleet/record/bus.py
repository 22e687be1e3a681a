"""The bus a command reads from: a server that is named, that of a running fleet, or a stopped fleet's data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from libs.engine.setting_mistakes import mask_url
from libs.engine.settings import ProcessSettings
from libs.messagebus.redis.binary import EmbeddedRedisUnavailable
from libs.messagebus.redis.probe import ask_server
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from services.fleet.record.errors import RecordingError


@contextmanager
def reading_transport(redis_url: str, data_dir: Path | None) -> Iterator[tuple[RedisTransport, str]]:
    """A transport to read from, and its name without secrets.

    Args:
        redis_url: The server; ``""`` = ``REDIS_URL``, unless ``data_dir`` is given.
        data_dir: Data directory of an embedded fleet: its server if it runs, else one started on its data for as long
            as this is open. None = that of the settings.

    Raises:
        RecordingError: If there is none.
    """
    settings = ProcessSettings()
    told = settings.redis_url.get_secret_value() if settings.redis_url is not None and data_dir is None else ""
    url = redis_url or told
    if url:
        try:
            yield RedisTransport(url, settings.stream_prefix), mask_url(url)
        except ValueError as error:
            raise RecordingError(f"--redis: {error}") from error
        return
    directory = (data_dir or settings.data_dir) / "redis"
    if not directory.is_dir():
        raise RecordingError(
            f"there must be a fleet's bus under {directory}, was none; name it with --redis URL or --data-dir DIRECTORY"
        )
    running = _running(directory)
    if running:
        yield RedisTransport(running, settings.stream_prefix), f"the running fleet in {data_dir or settings.data_dir}"
        return
    try:
        with EmbeddedRedis(directory) as server:
            yield (
                RedisTransport(server.url, settings.stream_prefix),
                f"the stopped fleet in {data_dir or settings.data_dir}",
            )
    except EmbeddedRedisUnavailable as error:
        raise RecordingError(str(error)) from error


def _running(directory: Path) -> str:
    """URL of the server that serves ``directory`` now, ``""`` where none does."""
    try:
        note = msgspec.json.decode((directory / "server.json").read_bytes(), type=dict[str, int])
    except (OSError, msgspec.MsgspecError):
        return ""
    port, pid = note.get("port", 0), note.get("pid", 0)
    facts = ask_server(port, "") if port else None
    if facts is None or facts.pid != pid:
        return ""
    return f"redis://127.0.0.1:{port}/0"
