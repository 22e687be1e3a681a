"""An engine's state as people read it: JSON with decimals as text, narrowed by a dotted path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from libs.engine.plain import plain
from services.fleet.record.errors import RecordingError

#: Keys named in an error.
_SHOWN_KEYS = 20


def readable(value: Any) -> Any:
    """``value`` as JSON can carry it: tuple keys joined by ``|``, bytes decoded where they are MessagePack, else hex.

    Unlike an HTTP answer it hides nothing: a float that is not finite is shown as text (``"nan"``).
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, msgspec.Struct):
        return {name: readable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {_key(key): readable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [readable(item) for item in value]
    if isinstance(value, bytes):
        return _of_bytes(value)
    if hasattr(value, "tolist"):  # a numpy array
        return readable(value.tolist())
    return plain(value)


def narrowed(state: Any, path: str) -> Any:
    """The part of a readable state that ``path`` names; ``""`` and ``"."`` are all of it.

    Keys may hold dots themselves (``marks.AAPL.XNAS.price``): at each level the longest key that fits counts. A list
    takes an index, negative from the end.

    Raises:
        RecordingError: If there is no such part; the text lists what there is.
    """
    rest, done = path.strip("."), ""
    found = state
    while rest:
        part = _longest(found, rest)
        if part is None:
            raise RecordingError(
                f"path '{path}' must lead into the state, was lost at '{rest}'"
                f"{f' below {done!r}' if done else ''}; there is {_children(found)}"
            )
        found = found[int(part)] if isinstance(found, list) else found[part]
        done = f"{done}.{part}".strip(".")
        rest = rest[len(part) :].removeprefix(".")
    return found


def _longest(value: Any, rest: str) -> str | None:
    if isinstance(value, dict):
        fitting = [key for key in value if key and (rest == key or rest.startswith(f"{key}."))]
        return max(fitting, key=len, default=None)
    if isinstance(value, list):
        part = rest.partition(".")[0]
        if part.removeprefix("-").isdecimal() and -len(value) <= int(part) < len(value):
            return part
    return None


def _children(value: Any) -> str:
    if isinstance(value, dict):
        keys = [str(key) for key in value]
        more = f" and {len(keys) - _SHOWN_KEYS} more" if len(keys) > _SHOWN_KEYS else ""
        return f"{', '.join(keys[:_SHOWN_KEYS])}{more}" if keys else "nothing in it"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"the value {value!r}"


def _key(key: Any) -> str:
    return "|".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _of_bytes(value: bytes) -> Any:
    try:
        decoded = msgspec.msgpack.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return value.hex()
    return readable(decoded) if isinstance(decoded, dict | list) else value.hex()
