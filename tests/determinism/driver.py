"""Feeds a recording to fresh engines: ``python -m tests.determinism.driver RECORDING RESULT``, in a process of its own.

What it finds is written to RESULT, to be compared with what another process found under another PYTHONHASHSEED.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from libs.clock import TestClock
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.core import Batch, EngineCore
from libs.engine.engine import Outbox
from libs.engine.errors import CommandRefused
from libs.engine.guards import guarded
from libs.engine.snapshot import restore_image, take_image
from libs.messagebus.transport import Entry, StoredSnapshot
from services.fleet.members import engine_components
from tests.determinism.recording import Recording, Turn, market_settings


class EngineResult(msgspec.Struct):
    """What one engine did with its input.

    Attributes:
        outputs: Hash of the outputs of each turn.
        replies: Hash of the answers to the commands of each turn.
        states: Everything a core knows, before each cut and checkpoint; without the version of the code, which may
            change under a developer's running test.
        images: Snapshot before each cut, as it is stored.
        final_state: State of the engine at the end, encoded.
    """

    outputs: list[bytes] = []
    replies: list[bytes] = []
    states: dict[int, bytes] = {}
    images: dict[int, bytes] = {}
    final_state: bytes = b""


class Findings(msgspec.Struct):
    """What one process found; ``witness`` differs between processes whose hash seeds differ."""

    witness: int
    engines: dict[str, EngineResult]


def engines() -> dict[str, Component]:
    """The fleet that was recorded, by engine."""
    components = engine_components({"marketdata": market_settings()})
    return {component.make_engine(TestClock(0), Outbox()).name: component for component in components}


def fresh_core(component: Component, start_ns: int) -> EngineCore:
    """An engine as a host begins with it."""
    clock, outbox = TestClock(start_ns), Outbox()
    return EngineCore(component.make_engine(clock, outbox), clock, outbox, CODEC, REGISTRY, follow_events=True)


def run_turn(core: EngineCore, turn: Turn, *, is_first: bool) -> Batch:
    """One batch, under the guard, as the simulation ran it."""
    with guarded(core.engine.name):
        if is_first:
            return core.start(turn.ts)
        return core.process([Entry(*entry) for entry in turn.entries], turn.ts)


def run_whole(component: Component, recording: Recording) -> EngineResult:
    """Run an engine over everything it read, and take snapshots at its cuts."""
    core = fresh_core(component, recording.start_ns)
    name = core.engine.name
    cuts, checkpoints = recording.cuts(name), recording.checkpoints(name)
    result = EngineResult()
    positions: dict[str, str] = {}
    for number, turn in enumerate(recording.turns[name]):
        if number in cuts:
            result.images[number] = take_image(core, number, positions).data
        if number in cuts or number in checkpoints:
            result.states[number] = everything(core)
        batch = run_turn(core, turn, is_first=number == 0)
        positions.update(batch.positions)
        _note(result, batch)
    result.states[len(recording.turns[name])] = everything(core)
    result.final_state = core.encode_state()
    return result


def run_behind(component: Component, recording: Recording, cut: int, image: bytes, end: int) -> EngineResult:
    """Restore an engine from its snapshot before turn ``cut`` and run the turns before ``end``."""
    core = fresh_core(component, 0)
    name = core.engine.name
    restore_image(core, StoredSnapshot(cut, image))
    result = EngineResult(states={cut: everything(core)})
    for turn in recording.turns[name][cut:end]:
        _note(result, run_turn(core, turn, is_first=False))
    result.states[end] = everything(core)
    return result


def everything(core: EngineCore) -> bytes:
    """The state with what stands around it: sequence, clock and armed timers."""
    around = (core.sequence, core.clock.timestamp_ns(), core.clock.timer_states())
    return msgspec.msgpack.encode((around, core.encode_state()))


def _note(result: EngineResult, batch: Batch) -> None:
    result.outputs.append(batch.output_hash)
    replies = [(key, _plain(value)) for key, value in sorted(batch.replies.items())]
    result.replies.append(hashlib.blake2b(msgspec.msgpack.encode(replies), digest_size=8).digest())


def _plain(reply: Any) -> Any:
    if isinstance(reply, CommandRefused):
        return [reply.status, reply.code, reply.detail, reply.remedy]
    return reply


def main(arguments: Sequence[str]) -> None:
    """Read a recording, run every engine over it, write what came of it."""
    source, target = (Path(argument) for argument in arguments)
    recording = msgspec.msgpack.decode(source.read_bytes(), type=Recording)
    results = {name: run_whole(component, recording) for name, component in engines().items()}
    target.write_bytes(msgspec.msgpack.encode(Findings(hash("witness"), results)))


if __name__ == "__main__":
    main(sys.argv[1:])
