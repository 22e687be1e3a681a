"""``nautilus record``, ``replay`` and ``trace``: arguments in, text and exit codes out."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from libs.clock import LiveClock
from libs.contracts.fleet import READERS
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.assembly import settings_of
from libs.engine.component import Component
from libs.engine.errors import SettingsError
from libs.engine.settings import effective
from libs.messagebus.errors import MessageBusError
from libs.trace.errors import TraceError
from libs.trace.locate import EventSource, Locator
from libs.trace.walk import TraceNode, Tracer
from libs.version import CODE_VERSION
from services.fleet.members import engine_components
from services.fleet.record.bus import reading_transport
from services.fleet.record.container import ContainerWriter, Header
from services.fleet.record.errors import RecordingError
from services.fleet.record.recorder import Summary, record
from services.fleet.record.recording import Recording
from services.fleet.record.replay import ReplayRun, replay
from services.fleet.record.show import replay_lines, trace_tree
from services.fleet.record.state_view import narrowed, readable

#: Exit codes: everything is as recorded; something differs; the question could not be answered.
SAME: Final = 0
DIFFERENT: Final = 1
UNANSWERED: Final = 2

#: Ends of variables no decision depends on.
_SURFACE: Final = ("_HOST", "_PORT", "_LOG_LEVEL")
_ERRORS = (RecordingError, TraceError, MessageBusError, SettingsError)


def run_record(path: Path, redis_url: str, data_dir: Path | None, *, follow: bool) -> int:
    """Record a run into ``path``; returns the exit code."""

    async def work() -> int:
        with reading_transport(redis_url, data_dir) as (transport, source), ContainerWriter(path) as writer:
            stop = asyncio.Event()
            if follow:
                for number in (signal.SIGINT, signal.SIGTERM):
                    asyncio.get_running_loop().add_signal_handler(number, stop.set)

            def copied(summary: Summary) -> None:
                if follow:
                    print(f"copied {_sizes(summary)}; following, Ctrl-C ends the recording", flush=True)

            header = Header(LiveClock().timestamp_ns(), CODE_VERSION, source, list(READERS), _settings())
            try:
                await transport.connect()
                found = await record(
                    transport, writer, header, REGISTRY.streams(), follow=stop if follow else None, on_copied=copied
                )
            finally:
                await transport.close()
        print(f"recorded {_sizes(found)} of {source} into {path}, {found.bytes / 1e6:.1f} MB")
        for gap in found.gaps:
            print(f"warning: {gap}; record again, or with --follow from an earlier moment")
        return DIFFERENT if found.gaps else SAME

    return _answered("record", work)


def run_replay(
    path: Path, engine: str, *, from_commit: int | None, until: str, inspect: str | None, as_json: bool
) -> int:
    """Replay one engine or ``all``; returns 0 identical, 1 different, 2 not possible."""

    async def work() -> int:
        with Recording(path) as recording:
            components = {one.name: one for one in engine_components()}
            names = list(recording.header.readers) if engine == "all" else [engine]
            unknown = [name for name in names if name not in components]
            if unknown:
                raise RecordingError(f"engine must be one of all, {', '.join(components)}, was '{unknown[0]}'")
            worst, shown = SAME, []
            for name in names:
                try:
                    run = await replay(recording, components[name], from_commit=from_commit, until=until)
                except RecordingError as error:
                    if engine != "all":
                        raise
                    print(f"{name}: {error}", file=sys.stderr)
                    worst = UNANSWERED
                    continue
                worst = max(worst, DIFFERENT if run.divergence else SAME)
                shown.append(_shown(run, inspect, as_json))
            if as_json:
                print(json.dumps(shown[0] if engine != "all" else shown, indent=2, ensure_ascii=False))
            _warn_of_settings(recording, worst)
            return worst

    return _answered("replay", work)


def _shown(run: ReplayRun, inspect: str | None, as_json: bool) -> dict[str, Any]:
    """Print one replay, or return it for ``--json``."""
    state = narrowed(readable(run.core.engine.snapshot()), inspect) if inspect is not None else None
    if as_json:
        return run.as_plain() | ({"state": state} if inspect is not None else {})
    print("\n".join(replay_lines(run)))
    if inspect is not None:
        print(json.dumps(state, indent=2, ensure_ascii=False))
    return {}


def run_trace(
    event_id: str, path: Path | None, redis_url: str, data_dir: Path | None, *, sources: bool, as_json: bool
) -> int:
    """Walk an event back; returns 0, or 2 where it cannot be found."""

    async def walked(source: EventSource) -> int:
        node = await Tracer(Locator(source, CODEC, REGISTRY), REGISTRY, sources).trace(event_id)
        _print_trace(node, as_json)
        return SAME

    async def work() -> int:
        if path is not None:
            with Recording(path) as recording:
                return await walked(recording)
        with reading_transport(redis_url, data_dir) as (transport, _):
            try:
                await transport.connect()
                return await walked(transport)
            finally:
                await transport.close()

    return _answered("trace", work)


def _print_trace(node: TraceNode, as_json: bool) -> None:
    if as_json:
        print(json.dumps(node.as_plain(), indent=2, ensure_ascii=False))
        return
    print("\n".join(trace_tree(node)))


def _answered(command: str, work: Callable[[], Awaitable[int]]) -> int:
    async def run() -> int:
        return await work()

    try:
        return asyncio.run(run())
    except _ERRORS as error:
        print(f"nautilus {command}: {error}", file=sys.stderr)
    except OSError as error:
        print(f"nautilus {command}: {error.filename or 'the file'}: {error.strerror}", file=sys.stderr)
    return UNANSWERED


def _sizes(found: Summary) -> str:
    return f"{found.entries:,} stream entries, {found.commits:,} commits, {found.snapshots} snapshots"


def _settings(components: Sequence[Component] | None = None) -> dict[str, Any]:
    """Settings of every engine as this process sees them, secrets masked."""
    found: dict[str, Any] = {}
    for component in engine_components() if components is None else components:
        settings = settings_of(component)
        found |= effective(settings) if settings is not None else {}
    return dict(sorted(found.items()))


def _warn_of_settings(recording: Recording, worst: int) -> None:
    """Say which settings are others than when it was recorded: they explain a difference, or may hide one."""
    before, now = recording.header.settings, json.loads(json.dumps(_settings()))
    decides = [name for name in sorted({*before, *now}) if not name.endswith(_SURFACE)]
    changed = [name for name in decides if before.get(name) != now.get(name)]
    if before and changed and worst != UNANSWERED:
        text = ", ".join(f"{name} {before.get(name)!r} -> {now.get(name)!r}" for name in changed[:5])
        print(f"note: settings differ from those of the recording: {text}", file=sys.stderr)
