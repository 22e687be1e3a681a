"""``nautilus readers``: who reads the bus and holds back its trimming; taking one off the list that never comes back.

A reader is alive while its lease shows signs of life; one that shows none for several leases in a row may be taken off.
Whoever is wrong about that loses nothing: its lease is taken away in the same step, so a host that was only frozen
commits no more, and started again it registers itself anew.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from libs.engine.errors import EngineError, SettingsError
from libs.engine.lease import LOOKS
from libs.engine.settings import ProcessSettings
from libs.messagebus.errors import MessageBusError
from libs.messagebus.registry import ReaderFacts, registry_of
from libs.messagebus.transport import START, LeaseView, Transport, entry_order

#: Leases for which a reader must be silent before it is taken off: many more than a busy host ever misses.
SILENT_LEASES = 3


class ReaderAliveError(EngineError):
    """A reader that is to be deregistered still renews its lease."""


def run_readers(redis_url: str, data_dir: Path | None, forget: str) -> int:
    """List the readers, or deregister one; returns the exit code."""
    from services.fleet.record.bus import reading_transport
    from services.fleet.record.errors import RecordingError

    async def work(transport: Transport, lease_seconds: float) -> None:
        try:
            if forget:
                print(await deregister(transport, forget, lease_seconds))
            else:
                print("\n".join(await lines_of(transport)))
        finally:
            await transport.close()

    try:
        with reading_transport(redis_url, data_dir) as (transport, _):
            asyncio.run(work(transport, ProcessSettings().lease_seconds))
    except (ReaderAliveError, RecordingError, MessageBusError, SettingsError) as error:
        print(f"nautilus readers: {error}", file=sys.stderr)
        return 1
    return 0


async def lines_of(transport: Transport) -> list[str]:
    """A table: each reader, what it has committed, and of which streams it holds back how much."""
    lines = [f"{'reader':<14}{'epoch':>6}{'commits':>10}  reads, and is not past the newest entry of"]
    for facts in await registry_of(transport).readers():
        tails = await transport.tails(facts.streams)
        behind = sorted(
            name for name, tail in tails.items()
            if entry_order(facts.positions.get(name, START)) < entry_order(tail)
        )  # fmt: skip
        lines.append(f"{facts.name:<14}{facts.epoch:>6}{facts.commits:>10}  {_state(facts, behind)}")
    return lines


def _state(facts: ReaderFacts, behind: list[str]) -> str:
    if not facts.streams:
        return "deregistered; it holds nothing back"
    held = "" if facts.bound is not None else "; has fewer than two snapshots and holds everything back"
    return f"{len(facts.streams)} streams, {', '.join(behind) or 'none'}{held}"


async def deregister(transport: Transport, name: str, lease_seconds: float) -> str:
    """Take a reader off the list; returns a sentence that says so.

    Args:
        lease_seconds: As set for the fleet; the reader is watched for three of them.

    Raises:
        ReaderAliveError: If it is alive, or not on the list.
        FencedError: If it was started meanwhile.
    """
    registry = registry_of(transport)
    known = {facts.name: facts for facts in await registry.readers()}
    if name not in known:
        raise ReaderAliveError(f"reader must be one of {', '.join(known) or 'none'}, was '{name}'")
    if not known[name].streams:
        return f"reader '{name}' is deregistered already"
    seen = await _silent_view(transport, name, lease_seconds)
    await registry.deregister(name, seen.epoch)
    return (
        f"reader '{name}' is deregistered after {seen.commits} commits: its {len(known[name].streams)} streams are "
        "trimmed without it from now on; started again it registers itself, and refuses if it then misses something"
    )


async def _silent_view(transport: Transport, name: str, lease_seconds: float) -> LeaseView:
    """What the lease looks like, once it has not moved for long enough."""
    first = await transport.watch(name)
    looks = 0 if first.released else SILENT_LEASES * LOOKS
    for _ in range(looks):
        await asyncio.sleep(lease_seconds / LOOKS)
        now = await transport.watch(name)
        if (now.epoch, now.beats, now.commits) != (first.epoch, first.beats, first.commits):
            raise ReaderAliveError(
                f"reader '{name}' must be stopped before it is deregistered, was alive (epoch {now.epoch}, "
                f"{now.commits} commits): stop it, then ask again"
            )
        if now.released:
            return now
    return first
