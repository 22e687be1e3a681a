"""The whole fleet in one process: ``nautilus up``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO, cast

from libs.clock import LiveClock
from libs.engine.component import Adapter
from libs.engine.errors import EngineError, SettingsError
from libs.engine.logging import configure_logging
from libs.engine.process import Process
from libs.engine.run import EXIT_MISCONFIGURED, make_transport, run_process
from libs.engine.settings import BusSettings, EngineSettings, ProcessSettings
from libs.engine.users import ensure_admin
from libs.messagebus.errors import MessageBusError
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.binary import EmbeddedRedisUnavailable, find_redis_server
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import Transport
from services.fleet.keeper import RedisKeeper
from services.fleet.live_line import LiveLine
from services.fleet.log_file import LogFile
from services.fleet.members import engine_components, reachable, tail_services
from services.marketdata.adapters.dataset import open_dataset
from services.marketdata.errors import DatasetError
from services.marketdata.settings import MarketDataSettings

LOG_NAME: Final = "nautilus.log"
WITHOUT_REDIS = (
    "no Redis server was found, so the bus is in memory and NOTHING SURVIVES A RESTART; "
    "install redis-server 7 or newer (Debian: apt-get install redis-server) and start again"
)


def run_embedded(*, speed: float | None = None, free: bool = False) -> int:
    """Run the fleet until Ctrl-C or SIGTERM; returns the exit code.

    Args:
        speed: Overrides ``MARKETDATA_SPEED``.
        free: Overrides ``MARKETDATA_LOCKSTEP``.
    """
    try:
        chosen: dict[str, Any] = {} if speed is None else {"speed": speed}
        market = MarketDataSettings(**(chosen | ({"lockstep": False} if free else {})))
        settings, bus = _process_settings(market), BusSettings()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        clock = LiveClock()
        with LogFile(settings.data_dir / LOG_NAME) as log, _transport(settings, bus) as (transport, keepers):
            configure_logging(clock, level=market.log_level, stream=cast(TextIO, log), pretty=False)
            components = engine_components({"marketdata": market})
            process = Process(
                components,
                settings,
                transport,
                clock,
                services=(services := tail_services(components)),
                bus=bus,
                extra_tasks=(line := LiveLine(sys.stdout), *keepers),
                name="fleet",
            )
            line.attach(process)
            _greet(settings.data_dir, next(service.settings for service in services if service.name == "gateway"))
            code = run_process(process)
            failure = log.last_failure()
    except (EngineError, DatasetError, MessageBusError) as error:
        print(f"nautilus up: {error}", file=sys.stderr)
        return EXIT_MISCONFIGURED
    except OSError as error:
        print(f"nautilus up: {error.filename or 'the data directory'}: {error.strerror}; make room or fix the "
              "permissions, or set NAUTILUS_DATA_DIR", file=sys.stderr)  # fmt: skip
        return EXIT_MISCONFIGURED
    if code:
        place = settings.data_dir / LOG_NAME
        print(f"\nnautilus up: {failure or 'the fleet failed'} (see {place})", file=sys.stderr)
    else:
        print("\nstopped; make up goes on where it was")
    return code


def _process_settings(market: MarketDataSettings) -> ProcessSettings:
    """The environment's, with the clock of a replay unless it says otherwise."""
    if "NAUTILUS_CLOCK_TYPE" in os.environ or not market.sources:
        return ProcessSettings()
    first = next(open_dataset(market), None)
    if first is None:
        raise SettingsError(
            f"there must be data between {market.start_date} and {market.end_date}, was none; "
            "change MARKETDATA_START_DATE, MARKETDATA_END_DATE or MARKETDATA_SOURCES"
        )
    return ProcessSettings(clock_type="test", clock_start_time=first.ts_event)


@contextmanager
def _transport(settings: ProcessSettings, bus: BusSettings) -> Iterator[tuple[Transport, Sequence[Adapter]]]:
    """The bus of ``REDIS_URL``, else a server of our own with its keeper, else memory with a plain warning."""
    if settings.redis_url is not None:
        yield make_transport(settings), ()
        return
    try:
        binary = find_redis_server()
    except EmbeddedRedisUnavailable:
        print(f"warning: {WITHOUT_REDIS}")
        yield MemoryTransport(), ()
        return
    with EmbeddedRedis(settings.data_dir / "redis", appendfsync=bus.fsync, binary=binary) as server:
        yield RedisTransport(server.url, settings.stream_prefix), (RedisKeeper(server),)


def _greet(data_dir: Path, gateway: EngineSettings) -> None:
    password = ensure_admin(data_dir)
    print(f"console   http://{reachable(gateway.host)}:{gateway.port}")
    if password is not None:
        print(f"login     admin / {password}   (shown only this once; change it after the first login)")
    print(f"log       {data_dir / LOG_NAME}      Ctrl-C stops the fleet", flush=True)
