"""States to bytes and back: arrays come back equal, of their own, and nothing else slips through."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from libs.engine.errors import SnapshotError
from libs.engine.state_codec import decode_state, encode_state


class Panel(msgspec.Struct):
    values: np.ndarray
    days: list[int] = []
    cash: dict[tuple[str, str], Decimal] = {}


class Floats(msgspec.Struct):
    values: NDArray[np.float64]


class Anything(msgspec.Struct):
    value: Any


kinds = st.one_of(
    arrays.floating_dtypes(), arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), arrays.boolean_dtypes(),
    arrays.complex_number_dtypes(), arrays.datetime64_dtypes(),
)  # fmt: skip


@given(arrays.arrays(kinds, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_an_array_comes_back_bit_for_bit(values: NDArray[Any]) -> None:
    found = decode_state(encode_state(Panel(values)), Panel).values
    assert (found.dtype, found.shape) == (values.dtype, values.shape)
    assert found.tobytes() == values.tobytes()  # NaN equals itself here


def test_order_in_memory_does_not_matter() -> None:
    values = np.arange(12.0).reshape(3, 4)
    for same in (np.asfortranarray(values), np.repeat(values, 2, axis=0)[::2]):
        assert encode_state(Panel(same)) == encode_state(Panel(values))


def test_what_comes_back_can_be_written_to() -> None:
    found = decode_state(encode_state(Floats(np.zeros(3))), Floats).values
    found[1] = 2.5
    assert found.tolist() == [0.0, 2.5, 0.0]


def test_an_array_is_a_buffer_and_not_a_list_of_numbers() -> None:
    values = np.random.default_rng(1).random((100, 100))
    assert len(encode_state(Panel(values))) < values.nbytes + 60


def test_the_rest_of_a_state_is_as_it_was() -> None:
    state = Panel(np.ones(2), [1, 2], {("main", "USD"): Decimal("0.10")})
    found = decode_state(encode_state(state), Panel)
    assert (found.days, found.cash) == (state.days, state.cash)


@pytest.mark.parametrize("value", [object(), np.array([object()]), np.zeros(1, dtype=[("a", "i4")]), {1: object()}])
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(SnapshotError, match="state Anything must be plain data, was not"):
        encode_state(Anything(value))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["<f8", [2], b"1234567"], "must match its bytes, was 7"),
        (["<f8", [-1], b""], "must be .dtype, shape, bytes., was list"),
        (["nonsense", [1], b"1"], "known dtype, was 'nonsense'"),
        (["|O", [1], b"12345678"], "must match its bytes"),
        (["<i8", [1], b"12345678"], "must be of float64, was int64"),
        ([1, 2], "must be .dtype, shape, bytes., was list"),
        ("text", "was str"),
    ],
)
def test_bytes_that_are_no_such_array_are_refused(value: Any, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        decode_state(msgspec.msgpack.encode({"values": value}), Floats)
