"""State layouts and the way from one to the next.

A snapshot names the *layout* of the state inside it: a fingerprint of its types, computed, so that no one can forget
to raise a number. Code of another layout reads it only through registered steps; without a whole way it refuses. A
field that was merely added is refused too: its default is a guess about a running fleet until somebody says otherwise.

An engine registers its steps as a class attribute::

    class RiskEngine:
        state_type = RiskState
        migrations = (Migration("1f0a52c7d3", "9be04d11aa", add_stress_losses),)

where ``add_stress_losses`` takes the old state as plain data (dicts, lists, numbers, text, bytes) and returns the new
one likewise. ``python -m libs.engine.migrations services.risk.engine:RiskEngine`` prints a layout's fingerprint, with
``--verbose`` also what it is made of.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from libs.engine.errors import LayoutError
from libs.engine.state_codec import decode_state

_DIGITS = 10
#: Types live as long as the process, so what was computed once is kept: a snapshot asks for it every time.
_LAYOUTS: dict[type[Any], str] = {}


@dataclass(frozen=True, slots=True)
class Migration:
    """One step between two layouts.

    Attributes:
        source: Fingerprint of the layout it reads.
        target: Fingerprint of the layout it gives; the way from an old snapshot may have many steps.
        change: Plain data in, plain data out; a pure function.
    """

    source: str
    target: str
    change: Callable[[Any], Any]


def layout_of(state_type: type[Any]) -> str:
    """Fingerprint of a state's layout: equal for types that read and write the same bytes with the same meaning."""
    if state_type not in _LAYOUTS:
        _LAYOUTS[state_type] = hashlib.blake2b(describe(state_type).encode()).hexdigest()[:_DIGITS]
    return _LAYOUTS[state_type]


def describe(state_type: type[Any]) -> str:
    """The layout as text: field names and types; class names, defaults and limits of values do not belong to it."""
    return _text(inspect.type_info(state_type), [])


def read_state(data: bytes, layout: str, state_type: type[Any], migrations: Sequence[Migration]) -> Any:
    """Decode a state that was written in ``layout``, migrating it where that is not the layout of ``state_type``.

    Raises:
        LayoutError: If there is no way from that layout, a step fails, or gives something else than it promises.
        msgspec.MsgspecError: If the bytes are no state of the present layout.
    """
    wanted = layout_of(state_type)
    if layout == wanted:
        return decode_state(data, state_type)
    steps = _way(layout, wanted, migrations)
    if steps is None:
        raise LayoutError(f"its state has layout {layout}, this code has {wanted} and knows no way there")
    plain = msgspec.msgpack.decode(data)
    try:
        for step in steps:
            plain = step.change(plain)
        return decode_state(msgspec.msgpack.encode(plain), state_type)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError) as error:
        way = " to ".join([layout, *(step.target for step in steps)])
        raise LayoutError(f"migrating its state from {way} failed: {type(error).__name__}: {error}") from error


def _way(source: str, target: str, migrations: Sequence[Migration]) -> list[Migration] | None:
    """The shortest way, breadth first; of equal ones that of the steps registered first."""
    ways: list[list[Migration]] = [[step] for step in migrations if step.source == source]
    seen = {source}
    while ways:
        way = ways.pop(0)
        end = way[-1].target
        if end == target:
            return way
        if end not in seen:
            seen.add(end)
            ways += [[*way, step] for step in migrations if step.source == end]
    return None


def _text(kind: inspect.Type, above: list[type[Any]]) -> str:
    match kind:
        case inspect.StructType():
            if kind.cls in above:
                return f"^{len(above) - above.index(kind.cls)}"  # a type that contains itself
            inner = [*above, kind.cls]
            fields = [f"{field.encode_name}:{_text(field.type, inner)}" for field in kind.fields]
            if not kind.array_like:
                fields.sort()
            tag = f"{kind.tag}=" if kind.tag is not None else ""
            shape = "[]" if kind.array_like else "{}"
            return f"{tag}{shape[0]}{','.join(fields)}{shape[1]}"
        case inspect.DictType():
            return f"map({_text(kind.key_type, above)},{_text(kind.value_type, above)})"
        case inspect.UnionType():
            return "|".join(sorted(_text(one, above) for one in kind.types))
        case inspect.TupleType():
            return f"tuple({','.join(_text(one, above) for one in kind.item_types)})"
        case inspect.LiteralType():
            return f"one of {'/'.join(sorted(map(repr, kind.values)))}"
        case inspect.EnumType():
            return f"one of {'/'.join(sorted(repr(one.value) for one in kind.cls))}"
        case inspect.CustomType():
            return kind.cls.__name__
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
            return f"{type(kind).__name__}({_text(kind.item_type, above)})"
        case inspect.TypedDictType() | inspect.DataclassType() | inspect.NamedTupleType():
            fields = [f"{field.encode_name}:{_text(field.type, above)}" for field in kind.fields]
            return f"{type(kind).__name__}({','.join(fields)})"
    return type(kind).__name__


def main() -> None:
    """Print the fingerprint of an engine's state, for writing a migration."""
    module, _, name = sys.argv[1].partition(":")
    state_type = getattr(importlib.import_module(module), name).state_type
    sys.stdout.write(f"{layout_of(state_type)}\n")
    if "--verbose" in sys.argv:
        sys.stdout.write(f"{describe(state_type)}\n")


if __name__ == "__main__":
    main()
