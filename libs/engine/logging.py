"""Logs: structlog, JSON where no person watches, one line an event, secrets masked, repeats collapsed.

Standard-library loggers (uvicorn, asyncio) pass through the same chain.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from libs.clock import Clock
from libs.engine.plain import iso
from libs.engine.setting_mistakes import MASK

#: Equal lines within this time are written once; the next one written says how many were not.
REPEAT_NS = 5_000_000_000
#: Different lines remembered; past it the oldest are forgotten, which at worst writes a repeat.
_REMEMBERED = 1_000

_SECRET_KEY = re.compile(r"password|passwd|secret|token|api_?key|authorization|credential", re.IGNORECASE)
_USER_INFO = re.compile(r"(\w+://)[^\s/@]*:[^\s@]*@")
_SECRET_PARAMETER = re.compile(r"([?&](?:api_?key|token|password|secret|c)=)[^&\s\"']+", re.IGNORECASE)


class Stamp:
    """Puts the live clock's time on each line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        """Add ``timestamp`` (ISO 8601 UTC)."""
        line["timestamp"] = iso(self._clock.timestamp_ns())
        return line


class Repeats:
    """Drops a line equal to one written less than five seconds ago; the next one carries ``repeated``.

    Equal means: same level, event, engine and error. Other fields may differ, as a counter or an id does.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[tuple[str, ...], list[int]] = {}

    def __call__(self, logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        """Pass the line on or drop it."""
        key = (method, *(str(line.get(name, "")) for name in ("event", "engine", "error")))
        now = self._clock.timestamp_ns()
        seen = self._written.pop(key, None)
        if seen is not None and now - seen[0] < REPEAT_NS:
            seen[1] += 1
            self._written[key] = seen
            raise structlog.DropEvent
        if seen is not None and seen[1]:
            line["repeated"] = seen[1]
        self._written[key] = [now, 0]
        if len(self._written) > _REMEMBERED:
            self._written.pop(next(iter(self._written)))
        return line


def mask_secrets(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Hide values under telling names, and passwords and keys inside URLs."""
    for name, value in line.items():
        line[name] = MASK if _SECRET_KEY.search(name) and value else _scrub(value)
    return line


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        if "=" not in value and "://" not in value:
            return value
        return _SECRET_PARAMETER.sub(rf"\1{MASK}", _USER_INFO.sub(rf"\1{MASK}@", value))
    if isinstance(value, dict):
        return {name: MASK if _SECRET_KEY.search(str(name)) and item else _scrub(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub(item) for item in value]
    return value


class _Bridge(logging.Handler):
    """Hands the standard library's records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger(record.name).log(record.levelno, record.getMessage(), logger=record.name, **fields)


def _bind_engine(engine: str) -> Processor:
    def bind(logger: WrappedLogger, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line.setdefault("engine", engine)
        return line

    return bind


def configure_logging(
    clock: Clock, *, engine: str = "", level: str = "info", stream: TextIO | None = None, pretty: bool | None = None
) -> None:
    """Set up all logging of the process; called once by a process root.

    Args:
        clock: Stamps the lines.
        engine: Put on lines that name no engine of their own.
        level: Lines below it are not written.
        stream: Where to write; standard error by default.
        pretty: For people instead of JSON; by default where ``stream`` is a terminal.
    """
    target = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        *([_bind_engine(engine)] if engine else []),
        Repeats(clock),
        Stamp(clock),
    ]
    # Plain tracebacks: the rich ones print local variables, and those hold secrets.
    last: list[Processor] = [structlog.processors.format_exc_info, mask_secrets]
    if target.isatty() if pretty is None else pretty:
        last.append(
            structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback)
        )
    else:
        last.append(structlog.processors.JSONRenderer(default=str))
    structlog.configure(
        processors=[*common, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_Bridge()], level=number, force=True)
    logging.captureWarnings(True)
    # Who listens where is logged by us, with the engine's name.
    for name in ("uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
