"""Engine states to bytes and back: MessagePack through msgspec, numpy arrays as buffers.

An array is written as ``[dtype, shape, bytes]`` in C order, so that a panel of 500 x 252 floats costs one copy instead
of 126,000 numbers. It comes back as an array of its own that can be written to. Numpy is imported by engines that use
it, not here: a state without arrays needs none.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import msgspec

from libs.engine.errors import SnapshotError


def encode_state(state: msgspec.Struct) -> bytes:
    """Encode a state.

    Raises:
        SnapshotError: If it holds something that is no plain data, or an array of Python objects.
    """
    try:
        return msgspec.msgpack.encode(state, enc_hook=_encoded)
    except NotImplementedError as error:
        raise SnapshotError(f"state {type(state).__name__} must be plain data, was not: {error}") from error


def decode_state(data: bytes, state_type: type[Any]) -> Any:
    """Decode a state.

    Raises:
        msgspec.MsgspecError: If the bytes are no such state.
    """
    return msgspec.msgpack.decode(data, type=state_type, dec_hook=_decoded)


def _encoded(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.ndarray):
        raise NotImplementedError(f"{type(value).__name__} in it; keep numbers, text, structs, collections or arrays")
    if value.dtype.hasobject or value.dtype.fields is not None:
        raise NotImplementedError(f"an array of {value.dtype} in it; keep arrays of numbers")
    return [value.dtype.str, list(value.shape), value.tobytes()]


def _decoded(kind: type[Any], value: Any) -> Any:
    import numpy

    if getattr(kind, "__origin__", kind) is not numpy.ndarray:
        raise NotImplementedError(f"{kind} cannot be part of a state")
    match value:
        case [str(dtype), list(shape), bytes(data)] if all(type(size) is int and size >= 0 for size in shape):
            try:
                found = numpy.dtype(dtype)
            except TypeError as error:
                raise ValueError(f"array must be of a known dtype, was '{dtype}'") from error
            if found.hasobject or len(data) != found.itemsize * math.prod(shape):
                raise ValueError(f"array of {dtype} and shape {shape} must match its bytes, was {len(data)} of them")
            _check_dtype(kind, found)
            return numpy.frombuffer(bytearray(data), found).reshape(shape)
    raise ValueError(f"array must be [dtype, shape, bytes], was {type(value).__name__}")


def _check_dtype(kind: Any, found: Any) -> None:
    """Hold an array to the dtype its field declares (``NDArray[np.float64]``), where it declares one."""
    import numpy

    for declared in getattr(kind, "__args__", ()):
        scalar = getattr(declared, "__args__", (None,))[0]
        if isinstance(scalar, type) and issubclass(scalar, numpy.generic) and not issubclass(found.type, scalar):
            raise ValueError(f"array must be of {scalar.__name__}, was {found}")
