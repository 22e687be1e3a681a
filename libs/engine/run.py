"""The process root of ``python -m services.<engine> [--standby] [--port N]``: environment in, exit code out."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import prometheus_client
import structlog

from libs.clock import LiveClock
from libs.engine.arguments import Arguments, parse_arguments, with_port
from libs.engine.assembly import settings_of
from libs.engine.component import Component
from libs.engine.errors import EngineError, SettingsError
from libs.engine.logging import configure_logging
from libs.engine.process import Process
from libs.engine.settings import BusSettings, ProcessSettings
from libs.engine.tailing import TailService
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import Transport

#: Exit codes: a setting or a port is wrong; something died while running.
EXIT_MISCONFIGURED = 2
EXIT_FAILED = 1


def run_components(
    components: Sequence[Component] | Callable[[], Sequence[Component]],
    services: Sequence[TailService] | Callable[[], Sequence[TailService]] = (),
) -> NoReturn:
    """Run until SIGTERM or SIGINT, then end the process: 0 after an orderly end, else 1, or 2 for wrong settings.

    Args:
        components: What to run, or what makes it (so that a mistake in its settings is told like all others).
        services: Services without an engine, likewise.
    """
    try:
        arguments = parse_arguments(sys.argv[1:])
        chosen = with_port(components() if callable(components) else components, arguments.port)
        tails = list(services() if callable(services) else services)
        settings, bus = ProcessSettings(), BusSettings()
        check_standby(arguments, settings, tails)
        transport = make_transport(settings)
        names = [component.name for component in chosen] + [service.name for service in tails]
        levels = [found.log_level for found in (settings_of(component) for component in chosen) if found]
        levels += [service.settings.log_level for service in tails]
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(EXIT_MISCONFIGURED)
    # A second series for each counter, which nothing here reads.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    clock = LiveClock()
    configure_logging(clock, engine=names[0] if len(names) == 1 else "", level=levels[0] if levels else "info")
    process = Process(chosen, settings, transport, clock, services=tails, bus=bus, standby=arguments.standby)
    sys.exit(run_process(process))


def run_process(process: Process) -> int:
    """Run ``process`` in an event loop of its own, with signals; returns the exit code.

    The first SIGTERM or SIGINT begins an orderly end, a second one ends at once (nothing committed is lost).
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(process))


async def _run(process: Process) -> int:
    loop = asyncio.get_running_loop()

    def told() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        process.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    try:
        await process.run()
    except EngineError as error:
        structlog.get_logger("process").critical("process_failed", error=str(error))
        return EXIT_MISCONFIGURED if isinstance(error, SettingsError) else EXIT_FAILED
    return 0


def check_standby(arguments: Arguments, settings: ProcessSettings, services: Sequence[TailService]) -> None:
    """Refuse options that mean nothing for what this process runs.

    Raises:
        SettingsError: With what to do instead.
    """
    if services and (arguments.standby or arguments.port is not None):
        name = services[0].name
        raise SettingsError(
            f"{name} must be started without --standby and --port, was not; it keeps no state, so a second "
            f"one runs beside the first: set {name.upper()}_PORT"
        )
    if (
        arguments.standby
        and settings.redis_url is not None
        and settings.redis_url.get_secret_value().startswith("memory:")
    ):
        raise SettingsError(
            "REDIS_URL must name a server that the primary uses too, was memory://, which ends with this process"
        )


def make_transport(settings: ProcessSettings) -> Transport:
    """The bus that ``REDIS_URL`` names.

    Raises:
        SettingsError: If it is unset or malformed.
    """
    if settings.redis_url is None:
        raise SettingsError(
            "REDIS_URL must be set to run one engine alone, was unset; write e.g. REDIS_URL=redis://127.0.0.1:6379/0, "
            "or start the whole fleet with its own Redis: nautilus up"
        )
    url = settings.redis_url.get_secret_value()
    if url.startswith("memory:"):
        return MemoryTransport()
    try:
        return RedisTransport(url, settings.stream_prefix)
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
