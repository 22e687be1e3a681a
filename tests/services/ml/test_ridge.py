"""The fit against numpy: moments against its covariance, ridge against least squares on the augmented matrix.

``|y - Zb|^2 + penalty n |b|^2`` is plain least squares on Z with ``sqrt(penalty n) I`` appended below and zeros
appended to y, which numpy solves by singular values: no normal equations, no Cholesky, nothing shared with ours.
Tolerance 1e-9: normal equations square the condition number, which stays below 1e3 here, so 1e6 eps = 2e-10.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ml.moments import Moments
from services.ml.ridge import fit, solve_symmetric

WIDTH = 4


def sample(rows: int, seed: int = 3) -> np.ndarray:
    generator = np.random.default_rng(seed)
    inputs = generator.normal(5.0, [0.01, 1.0, 30.0, 0.5], (rows, WIDTH))
    inputs[:, 3] += inputs[:, 1]  # correlated
    target = 0.02 * inputs[:, 0] - 0.01 * inputs[:, 1] + generator.normal(0.001, 0.05, rows)
    return np.column_stack([inputs, target])


def moments_of(data: np.ndarray, block: int = 7) -> Moments:
    moments = Moments.empty(data.shape[1] - 1)
    for start in range(0, len(data), block):
        moments.add(data[start : start + block].tolist())
    return moments


def test_moments_are_numpys() -> None:
    data = sample(200)
    moments = moments_of(data)
    expected = np.cov(data, rowvar=False, ddof=0) * len(data)
    found = [[moments.product(row, column) for column in range(WIDTH + 1)] for row in range(WIDTH + 1)]
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(moments.means, data.mean(axis=0), rtol=1e-13)
    assert moments.count == 200


@pytest.mark.parametrize("penalty", [0.01, 1.0, 25.0])
@pytest.mark.parametrize("rows", [2, 3, 50, 400])
def test_the_fit_is_numpys(rows: int, penalty: float) -> None:
    data = sample(rows)
    inputs, target = data[:, :-1], data[:, -1]
    fitted = fit(moments_of(data), penalty)
    deviations = inputs.std(axis=0)
    standardised = (inputs - inputs.mean(axis=0)) / deviations
    above = np.vstack([standardised, np.sqrt(penalty * rows) * np.eye(WIDTH)])
    below = np.concatenate([target - target.mean(), np.zeros(WIDTH)])
    expected = np.linalg.lstsq(above, below, rcond=None)[0]
    np.testing.assert_allclose(fitted.coefficients, expected, rtol=1e-9, atol=1e-13)
    predicted = target.mean() + standardised @ expected
    np.testing.assert_allclose([fitted.predict(row) for row in inputs.tolist()], predicted, rtol=1e-9, atol=1e-12)
    assert fitted.mean_squared_error == pytest.approx(np.mean((target - predicted) ** 2), rel=1e-9)
    assert fitted.mean_variance == pytest.approx(np.var(target), rel=1e-9)
    assert fitted.zero_error == pytest.approx(np.mean(target**2), rel=1e-9)


def test_a_large_mean_cancels_nothing() -> None:
    data = sample(300)
    shifted = data.copy()
    shifted[:, 0] += 1e6  # mean / deviation = 1e8: raw sums of squares would lose all of their digits
    expected, found = fit(moments_of(data), 1.0), fit(moments_of(shifted), 1.0)
    # The shift itself rounds the inputs at 1e-10 of a deviation of 0.01.
    np.testing.assert_allclose(found.coefficients, expected.coefficients, rtol=1e-6, atol=1e-9)


def test_the_order_of_a_days_rows_changes_no_bit() -> None:
    data = sample(20)
    plain, turned = Moments.empty(WIDTH), Moments.empty(WIDTH)
    for block in (data[:10], data[10:]):
        plain.add(block.tolist())
        turned.add(block[::-1].tolist())
    assert plain == turned


def test_an_input_that_never_varies_is_left_out() -> None:
    data = sample(50)
    data[:, 2] = 0.1
    fitted = fit(moments_of(data), 1.0)
    without = fit(moments_of(np.delete(data, 2, axis=1)), 1.0)
    assert fitted.scales[2] == 0.0
    assert fitted.coefficients[2] == 0.0
    assert [*fitted.coefficients[:2], fitted.coefficients[3]] == without.coefficients
    row = data[0, :-1].tolist()
    assert fitted.predict(row) == without.predict([*row[:2], row[3]])


def test_no_rows_change_nothing_and_fit_nothing() -> None:
    moments = moments_of(sample(5))
    before = (moments.count, list(moments.means), list(moments.products))
    moments.add([])
    assert (moments.count, moments.means, moments.products) == before
    with pytest.raises(ValueError, match="at least 2 rows, was 1"):
        fit(moments_of(sample(1)), 1.0)


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_symmetric_system_is_solved_as_numpy_solves_it(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    factor = generator.normal(size=(size, size))
    matrix = factor @ factor.T + np.eye(size)
    right = generator.normal(size=size)
    found = solve_symmetric(matrix.tolist(), right.tolist())
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right), rtol=1e-9, atol=1e-11)


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    with pytest.raises(ValueError, match="positive definite, was not at row 1"):
        solve_symmetric([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0])
