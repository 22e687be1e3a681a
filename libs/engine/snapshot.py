"""Snapshots: the whole state of a host's engine at one commit, as checked bytes."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from libs.clock import TimerState
from libs.engine.core import EngineCore
from libs.engine.errors import SnapshotError
from libs.messagebus.transport import StoredSnapshot
from libs.version import CODE_VERSION


class _Image(msgspec.Struct, frozen=True):
    """What a snapshot holds besides its checksum."""

    engine: str
    code: str
    number: int
    sequence: int
    clock_ns: int
    timers: list[TimerState]
    positions: dict[str, str]
    state: bytes


class RestoredImage(msgspec.Struct, frozen=True):
    """What the host needs to know after :func:`restore_image`."""

    number: int
    positions: dict[str, str]
    code: str


def take_image(core: EngineCore, number: int, positions: dict[str, str]) -> StoredSnapshot:
    """Freeze ``core`` after commit ``number``; four bytes of CRC-32 in front detect a torn or corrupt copy."""
    image = _Image(
        core.engine.name,
        CODE_VERSION,
        number,
        core.sequence,
        core.clock.timestamp_ns(),
        core.clock.timer_states(),
        positions,
        core.encode_state(),
    )
    data = msgspec.msgpack.encode(image)
    return StoredSnapshot(number, zlib.crc32(data).to_bytes(4, "big") + data)


def restore_image(core: EngineCore, snapshot: StoredSnapshot) -> RestoredImage:
    """Put ``core`` into the state a snapshot holds.

    Raises:
        SnapshotError: If the bytes are damaged, or were written for another engine or state layout.
    """
    checksum, data = snapshot.data[:4], snapshot.data[4:]
    if zlib.crc32(data).to_bytes(4, "big") != checksum:
        raise SnapshotError(f"snapshot {snapshot.number} of '{core.engine.name}' is damaged: checksum differs")
    try:
        image = msgspec.msgpack.decode(data, type=_Image)
        state: Any = msgspec.msgpack.decode(image.state, type=core.engine.state_type)
    except msgspec.MsgspecError as error:
        raise SnapshotError(
            f"snapshot {snapshot.number} of '{core.engine.name}' has another layout ({error}); "
            "it was written by other code: start that version, or remove the data directory to begin anew"
        ) from error
    core.clock.set_time(image.clock_ns)
    core.clock.restore_timers(image.timers, lambda _name: None)
    core.engine.restore(state)
    core.sequence = image.sequence
    return RestoredImage(image.number, image.positions, image.code)
