"""Ridge regression in closed form, from moments.

``minimise sum (y - a - z b)^2 + penalty n |b|^2`` with ``z`` the inputs standardised by their own mean and population
deviation (Hoerl and Kennard, Technometrics 12, 1970). In moments: ``(R + penalty I) b = r`` with ``R`` the correlation
matrix of the inputs and ``r_i = cov(x_i, y) / deviation_i``. With scikit-learn's ``Ridge(alpha)``, alpha = penalty n.

Nine inputs are solved by a Cholesky decomposition in plain Python: about 0.1 ms, once in 21 days. Unlike BLAS, whose
summation order depends on processor and threads, it gives the same bits on every machine with IEEE doubles.
"""

from __future__ import annotations

from math import fsum, sqrt

import msgspec

from services.ml.moments import Moments


class RidgeFit(msgspec.Struct, frozen=True):
    """A fitted regression.

    Attributes:
        means, scales: Of the inputs over the training rows; scale 0 marks an input that never varied.
        coefficients: Of the standardised inputs; 0 where the scale is 0.
        intercept: Mean of the target.
        mean_squared_error: In sample.
        mean_variance: In-sample error of predicting the mean.
        zero_error: In-sample error of predicting zero.
    """

    means: list[float]
    scales: list[float]
    coefficients: list[float]
    intercept: float
    mean_squared_error: float
    mean_variance: float
    zero_error: float

    def predict(self, inputs: list[float]) -> float:
        """The forecast for one input vector."""
        total = self.intercept
        for value, mean, scale, coefficient in zip(inputs, self.means, self.scales, self.coefficients, strict=True):
            if scale > 0.0:
                total += coefficient * ((value - mean) / scale)
        return total


def fit(moments: Moments, penalty: float) -> RidgeFit:
    """Fit the rows seen so far.

    Raises:
        ValueError: If there are fewer than two rows.
    """
    count, target = moments.count, moments.width - 1
    if count < 2:
        raise ValueError(f"a fit needs at least 2 rows, was {count}; wait for more data")
    scales = [sqrt(moments.product(column, column) / count) for column in range(target)]
    used = [column for column in range(target) if scales[column] > 0.0]
    matrix = [
        [
            moments.product(row, column) / (count * scales[row] * scales[column]) + (penalty if row == column else 0.0)
            for column in used
        ]
        for row in used
    ]
    right = [moments.product(row, target) / (count * scales[row]) for row in used]
    solved = solve_symmetric(matrix, right)
    coefficients = [0.0] * target
    for column, coefficient in zip(used, solved, strict=True):
        coefficients[column] = coefficient
    variance = moments.product(target, target) / count
    # |y - z b|^2 / n = var - 2 b r + b R b, and R b = r - penalty b.
    explained = fsum(b * r for b, r in zip(solved, right, strict=True)) + penalty * fsum(b * b for b in solved)
    return RidgeFit(
        moments.means[:target], scales, coefficients, moments.target_mean,
        max(0.0, variance - explained), variance, variance + moments.target_mean * moments.target_mean,
    )  # fmt: skip


def solve_symmetric(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve ``matrix x = right`` for a symmetric positive definite matrix, by Cholesky.

    Raises:
        ValueError: If the matrix is not positive definite.
    """
    size = len(right)
    lower = [[0.0] * size for _ in range(size)]
    for row in range(size):
        for column in range(row + 1):
            left, above = lower[row], lower[column]
            rest = matrix[row][column]
            for index in range(column):
                rest -= left[index] * above[index]
            if row > column:
                left[column] = rest / above[column]
            elif rest > 0.0:
                left[row] = sqrt(rest)
            else:
                raise ValueError(f"matrix must be positive definite, was not at row {row}; raise the penalty")
    forward: list[float] = []
    for row in range(size):
        rest = right[row]
        for index in range(row):
            rest -= lower[row][index] * forward[index]
        forward.append(rest / lower[row][row])
    solution = [0.0] * size
    for row in reversed(range(size)):
        rest = forward[row]
        for index in range(row + 1, size):
            rest -= lower[index][row] * solution[index]
        solution[row] = rest / lower[row][row]
    return solution
