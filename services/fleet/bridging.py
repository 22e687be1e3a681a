"""Runs a bridge until it is told to stop: what ``nautilus mirror`` and ``nautilus bridge`` do."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import structlog

from libs.clock import LiveClock
from libs.contracts.topics import REGISTRY
from libs.engine.logging import configure_logging
from libs.messagebus import MessageBusError, RedisTransport
from libs.messagebus.mirror import Mirror
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.relay import Relay
from libs.messagebus.topic import Topic

EXIT_FAILED, EXIT_MISCONFIGURED = 1, 2


def topics_named(names: str) -> list[Topic[Any]]:
    """Topics of a list with commas; ``*`` and ``?`` match many.

    Raises:
        ValueError: If a name matches none; the nearest is suggested.
    """
    found: dict[str, Topic[Any]] = {}
    for pattern in filter(None, (part.strip() for part in names.split(","))):
        matching = {name: topic for name, topic in REGISTRY.by_name.items() if fnmatchcase(name, pattern)}
        if not matching:
            near = get_close_matches(pattern, REGISTRY.by_name, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "docs/topics.md lists them"
            raise ValueError(f"topics must be names of topics, was '{pattern}'; {hint}")
        found |= matching
    return list(found.values())


def cell_of(url: str) -> str:
    """A name for the fleet at ``url`` where none was given: its host, port and database."""
    label = RedisAddress.parse(url).label.partition("://")[2]
    return "-".join(part for part in "".join(c if c.isalnum() else "-" for c in label.lower()).split("-") if part)[:64]


def run_mirror(
    source_url: str,
    target_url: str,
    topics: str,
    *,
    cell: str = "",
    to_cell: str = "",
    source_prefix: str = "{nautilus}",
    target_prefix: str = "{nautilus}",
    from_newest: bool = False,
    accept_loss: bool = False,
) -> int:
    """Mirror topics of one fleet into another until SIGTERM or SIGINT; returns the exit code."""
    try:
        name = cell or cell_of(source_url)
        source = RedisTransport(source_url, source_prefix)
        wanted = topics_named(topics)
        mirror = Mirror(source, wanted, name, to_cell=to_cell, from_newest=from_newest, accept_loss=accept_loss)
        if repr(source) == repr(RedisTransport(target_url, target_prefix)):
            raise ValueError("source and target must be two fleets, was the same server and prefix; change one URL")
    except ValueError as error:
        sys.stderr.write(f"nautilus mirror: {error}\n")
        return EXIT_MISCONFIGURED
    relay = Relay(f"mirror:{name}", mirror, lambda: RedisTransport(target_url, target_prefix))
    names = ",".join(topic.name for topic in wanted)
    sys.stderr.write(f"nautilus mirror: {source!r} as cell '{name}' into {target_prefix}: {names}\n")
    code = run_until_told("mirror", relay.run, source.close)
    counted = mirror.translator
    sys.stderr.write(
        f"nautilus mirror: {counted.events} events in {relay.commits} commits, {counted.skipped} of other cells, "
        f"{counted.unreadable} unreadable, {relay.failures} attempts repeated, {relay.losses} losses repaired\n"
    )
    return code


def run_until_told(
    name: str, run: Callable[[], Coroutine[Any, Any, None]], close: Callable[[], Coroutine[Any, Any, None]]
) -> int:
    """Run a coroutine until it fails, or SIGTERM or SIGINT ends it in good order; returns the exit code."""
    configure_logging(LiveClock(), engine=name)

    async def main() -> int:
        task = asyncio.ensure_future(run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        except MessageBusError as error:
            structlog.get_logger(name).critical("bridge_failed", error=str(error))
            return EXIT_FAILED
        finally:
            await close()
        return 0

    return asyncio.run(main())
