"""What the fuzzers of the decoder share, and the one that atheris drives.

``python -m tests.libs.messagebus.fuzz_codec -runs=1000000`` (needs ``pip install atheris``) follows the coverage of the
Python side of the decoder; msgspec's own is compiled and is reached by mutations of real entries.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from decimal import Decimal
from random import Random
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from libs.contracts.topics import CODEC, REGISTRY
from libs.messagebus import Codec, DecodeError, Event, RecordBatch
from libs.messagebus.envelope import Input

Outcome = Literal["batch", "salvaged", "refused"]


def feed(data: bytes) -> Outcome:
    """Decode as hosts do: whole, then event by event; anything but a batch or a ``DecodeError`` is a bug."""
    with suppress(DecodeError):
        CODEC.decode_event(data)
    try:
        batch, outcome = CODEC.decode(data), "batch"
    except DecodeError:
        try:
            batch, outcome = CODEC.salvage(data)[0], "salvaged"
        except DecodeError:
            return "refused"
    for index, event in enumerate(batch.events):
        assert event is None or isinstance(event, Event)
        assert isinstance(batch.event_id(index) + batch.causation_id(index) + batch.correlation_id(index), str)
        assert isinstance(batch.references_of(index), list)
    return outcome  # type: ignore[return-value]


def seeds() -> list[bytes]:
    """An entry of each event type of the fleet, with causes and roots."""
    entries = []
    for number, kind in enumerate(REGISTRY.by_event):
        event = _made(kind)
        batch = RecordBatch("p", number, 1, [event, event], [Input("q", 1, 2)], [0, -1], ["q:1", ""])
        entries.append(CODEC.encode(batch))
    return entries


def mutated(entry: bytes, random: Random) -> bytes:
    """One to four bytes changed, cut out, doubled or put in; sometimes cut short."""
    data = bytearray(entry)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0 | 1 if at < len(data):
                data[at] = random.randrange(256)
            case 2:
                del data[at : at + random.randint(1, 8)]
            case 3:
                data[at:at] = random.randbytes(random.randint(1, 4))
            case 4:
                data[at:at] = data[at : at + random.randint(1, 16)]
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.1 else data)


def _made(kind: type[Any]) -> Any:
    hints = get_type_hints(kind)
    return kind(**{field.name: _value(hints[field.name]) for field in msgspec.structs.fields(kind) if field.required})


def _value(kind: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if type(None) in arguments else _value(arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin in (list, tuple, dict, set, frozenset):
        return [] if origin is list else origin()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _made(kind)
    return {int: 5, float: 1.5, str: "text", bytes: b"bytes", bool: True, Decimal: Decimal("1.25")}.get(kind, [])


def main() -> None:
    """Let atheris drive."""
    import atheris

    for name in ("decode", "salvage", "decode_event"):
        setattr(Codec, name, atheris.instrument_func(getattr(Codec, name)))
    entries = seeds()

    def once(data: bytes) -> None:
        if data[:1] < b"\x80":  # half of the inputs say how to change a real entry
            feed(mutated(entries[data[0] % len(entries)], Random(data)) if data else b"")
        else:
            feed(data)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
