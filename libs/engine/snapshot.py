"""Snapshots: the whole state of a host's engine at one commit, as checked bytes."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from libs.clock import TimerState
from libs.engine.core import EngineCore
from libs.engine.errors import LayoutError, SnapshotDamagedError
from libs.engine.migrations import Migration, layout_of, read_state
from libs.engine.writer import Writer
from libs.messagebus.transport import StoredSnapshot


class _Image(msgspec.Struct, frozen=True):
    """What a snapshot holds besides its checksum.

    Attributes:
        code, strategies: Versions that wrote it, see :class:`~libs.engine.writer.Writer`.
        layout: Of ``state``, see :mod:`libs.engine.migrations`.
        is_clean: Whether it was the last act of a host that was stopped in order.
    """

    engine: str
    code: str
    number: int
    sequence: int
    clock_ns: int
    timers: list[TimerState]
    positions: dict[str, str]
    state: bytes
    layout: str
    strategies: str
    is_clean: bool


class RestoredImage(msgspec.Struct, frozen=True):
    """What recovery needs to know after :func:`restore_image`."""

    number: int
    positions: dict[str, str]
    writer: Writer
    is_clean: bool


def take_image(core: EngineCore, number: int, positions: dict[str, str], *, is_clean: bool = False) -> StoredSnapshot:
    """Freeze ``core`` after commit ``number``; four bytes of CRC-32 in front detect a torn or corrupt copy.

    Args:
        is_clean: The host ends in order after this, so nothing will be journaled behind it.
    """
    writer = core.writer
    image = _Image(
        core.engine.name,
        writer.code,
        number,
        core.sequence,
        core.clock.timestamp_ns(),
        core.clock.timer_states(),
        positions,
        core.encode_state(),
        layout_of(core.engine.state_type),
        writer.strategies,
        is_clean,
    )
    data = msgspec.msgpack.encode(image)
    return StoredSnapshot(number, zlib.crc32(data).to_bytes(4, "big") + data)


def restore_image(core: EngineCore, snapshot: StoredSnapshot) -> RestoredImage:
    """Put ``core`` into the state a snapshot holds.

    Raises:
        SnapshotDamagedError: If the bytes are damaged; the core is as it was.
        LayoutError: If they hold a state this code cannot read.
    """
    name = core.engine.name
    checksum, data = snapshot.data[:4], snapshot.data[4:]
    if zlib.crc32(data).to_bytes(4, "big") != checksum:
        raise SnapshotDamagedError(f"snapshot {snapshot.number} of '{name}' is damaged: checksum differs")
    try:
        image = msgspec.msgpack.decode(data, type=_Image)
    except msgspec.MsgspecError as error:
        raise LayoutError(
            f"snapshot {snapshot.number} of '{name}' is sound but of another format ({error}); "
            "it was written by a version before 0.1.0+: start that one, or begin with a new data directory"
        ) from error
    writer = Writer(image.code, image.strategies)
    migrations: tuple[Migration, ...] = getattr(core.engine, "migrations", ())
    try:
        state: Any = read_state(image.state, image.layout, core.engine.state_type, migrations)
        core.clock.set_time(image.clock_ns)
        core.clock.restore_timers(image.timers, lambda _name: None)
        core.engine.restore(state)
    except (LayoutError, msgspec.MsgspecError, ValueError) as error:
        raise LayoutError(
            f"snapshot {snapshot.number} of '{name}' cannot be read by this code: {error}; it was written by version "
            f"{writer}, this is {core.writer}: start the version that wrote it, or register a migration from layout "
            f"{image.layout} (libs/engine/migrations.py)"
        ) from error
    core.sequence = image.sequence
    return RestoredImage(image.number, image.positions, writer, image.is_clean)
