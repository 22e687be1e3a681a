"""The out-of-sample record: every prediction against what came, and what a naive forecaster would have scored.

Two naive forecasters stand beside the model: "no change" (predicts 0) and "the mean" (predicts the mean of all outcomes
known when the prediction was made).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec

#: Instruments a day needs for a rank correlation; with two it could only be -1 or 1.
MINIMUM_CROSS_SECTION = 3


class Record(msgspec.Struct):
    """Sums over all scored predictions, in the order they were scored.

    Attributes:
        observations: Predictions scored.
        directional: Those where both prediction and outcome had a sign; only they can be right or wrong.
        hits: Those with the same sign.
        mean_directional, mean_hits: The same for the forecast of the mean.
        squared_error: Of the model; ``zero_error`` and ``mean_error`` of the naive forecasts.
        correlation_days, correlation_sum, correlation_squares: Of the daily rank correlations.
        intervals, inside: Outcomes that had an interval, and those within it.
    """

    observations: int = 0
    directional: int = 0
    hits: int = 0
    mean_directional: int = 0
    mean_hits: int = 0
    squared_error: float = 0.0
    zero_error: float = 0.0
    mean_error: float = 0.0
    correlation_days: int = 0
    correlation_sum: float = 0.0
    correlation_squares: float = 0.0
    intervals: int = 0
    inside: int = 0

    def score(self, prediction: float, naive_mean: float, half_width: float | None, outcome: float) -> None:
        """Take one prediction and what came of it."""
        self.observations += 1
        if prediction != 0.0 and outcome != 0.0:
            self.directional += 1
            self.hits += (prediction > 0.0) == (outcome > 0.0)
        if naive_mean != 0.0 and outcome != 0.0:
            self.mean_directional += 1
            self.mean_hits += (naive_mean > 0.0) == (outcome > 0.0)
        self.squared_error += (outcome - prediction) * (outcome - prediction)
        self.zero_error += outcome * outcome
        self.mean_error += (outcome - naive_mean) * (outcome - naive_mean)
        if half_width is not None:
            self.intervals += 1
            self.inside += abs(outcome - prediction) <= half_width

    def score_day(self, predictions: Sequence[float], outcomes: Sequence[float]) -> None:
        """Take one day's cross-section of predictions of the same timestamp."""
        correlation = rank_correlation(predictions, outcomes)
        if correlation is not None:
            self.correlation_days += 1
            self.correlation_sum += correlation
            self.correlation_squares += correlation * correlation

    @property
    def hit_rate(self) -> float | None:
        """Share of right signs, None before there is one."""
        return self.hits / self.directional if self.directional else None

    @property
    def information_coefficient(self) -> float | None:
        """Mean daily rank correlation, None before there is one."""
        return self.correlation_sum / self.correlation_days if self.correlation_days else None

    def figures(self) -> dict[str, float | None]:
        """All figures by name; None where there is nothing to divide by.

        ``r2_against_zero`` and ``r2_against_mean`` are one less the ratio of squared errors (Campbell and Thompson,
        Review of Financial Studies 21, 2008): positive only when the model beats that naive forecast.
        """
        days, count = self.correlation_days, self.observations
        mean = self.information_coefficient
        spread = None
        if mean is not None and days > 1:
            spread = sqrt(max(0.0, (self.correlation_squares - days * mean * mean) / (days - 1)) / days)
        return {
            "hit_rate": self.hit_rate,
            "hit_rate_naive_mean": self.mean_hits / self.mean_directional if self.mean_directional else None,
            "directional_observations": float(self.directional),
            "information_coefficient": mean,
            "information_coefficient_standard_error": spread,
            "information_coefficient_days": float(days),
            "mean_squared_error": self.squared_error / count if count else None,
            "mean_squared_error_naive_zero": self.zero_error / count if count else None,
            "mean_squared_error_naive_mean": self.mean_error / count if count else None,
            "r2_against_zero": 1.0 - self.squared_error / self.zero_error if self.zero_error > 0.0 else None,
            "r2_against_mean": 1.0 - self.squared_error / self.mean_error if self.mean_error > 0.0 else None,
            "interval_coverage": self.inside / self.intervals if self.intervals else None,
        }


def average_ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of their places."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and values[order[stop]] == values[order[start]]:
            stop += 1
        for index in order[start:stop]:
            ranks[index] = (start + 1 + stop) / 2
        start = stop
    return ranks


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation: Pearson's of the average ranks.

    Returns:
        None with fewer than three pairs, or when all of one side are equal.
    """
    count = len(left)
    if count < MINIMUM_CROSS_SECTION:
        return None
    centre = (count + 1) / 2
    # Twice a centred rank is a whole number, so these sums are exact.
    first = [rank - centre for rank in average_ranks(left)]
    second = [rank - centre for rank in average_ranks(right)]
    product = sum(a * b for a, b in zip(first, second, strict=True))
    spread = sum(a * a for a in first) * sum(b * b for b in second)
    return product / sqrt(spread) if spread > 0.0 else None
