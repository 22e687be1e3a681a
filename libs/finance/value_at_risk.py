"""Value at risk and expected shortfall of a series of profits and losses, as positive losses.

Conventions, the same in every engine:

- *Historical*: VaR is the ``1 - confidence`` quantile of the outcomes, linear between order statistics (Hyndman and
  Fan 1996, type 7: numpy's default and ``empyrical.value_at_risk``). CVaR is the mean of the
  ``int((n - 1) * (1 - confidence)) + 1`` worst outcomes, which are those at or beyond that quantile
  (``empyrical.conditional_value_at_risk``).
- *Parametric*: normal outcomes, closed form. With the mean left at 0 this is the RiskMetrics convention for one day
  (RiskMetrics Technical Document, 1996, 1.2): a mean estimated from a year of days is mostly noise.

A negative result is a gain: even the outcome at that confidence earned money.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import exp, floor, fsum, pi, sqrt
from statistics import NormalDist


def historical_var(outcomes: Sequence[float], confidence: float) -> float:
    """Historical value at risk.

    Args:
        outcomes: Profits (+) and losses (-), **sorted ascending**, in any unit; the result has the same.
        confidence: Between .5 and 1, for example .95.

    Raises:
        ValueError: If there is no outcome or the confidence is out of range.
    """
    low, high, weight = quantile_ranks(len(outcomes), confidence)
    return -(outcomes[low] + (outcomes[high] - outcomes[low]) * weight)


def historical_cvar(outcomes: Sequence[float], confidence: float) -> float:
    """Historical expected shortfall; arguments and errors as :func:`historical_var`. Never below it."""
    low, _, _ = quantile_ranks(len(outcomes), confidence)
    return -fsum(outcomes[: low + 1]) / (low + 1)


def quantile_ranks(count: int, confidence: float) -> tuple[int, int, float]:
    """Where the loss quantile lies among ``count`` sorted outcomes.

    Returns:
        ``low, high, weight``: the quantile is ``x[low] + (x[high] - x[low]) * weight``.

    Raises:
        ValueError: If ``count`` is 0 or the confidence is not within (.5, 1).
    """
    if count < 1:
        raise ValueError("outcomes must hold at least one value, was 0; collect history first")
    position = (count - 1) * _tail(confidence)
    low = floor(position)
    return low, min(low + 1, count - 1), position - low


def parametric_var(standard_deviation: float, confidence: float, mean: float = 0.0) -> float:
    """Value at risk of normal outcomes: ``z * standard_deviation - mean``.

    Args:
        standard_deviation: Of the outcomes, not negative, in their unit.
        confidence: Between .5 and 1.
        mean: Of the outcomes.

    Raises:
        ValueError: If an argument is out of range.
    """
    return normal_quantile(confidence) * _deviation(standard_deviation) - mean


def parametric_cvar(standard_deviation: float, confidence: float, mean: float = 0.0) -> float:
    """Expected shortfall of normal outcomes: ``density(z) / (1 - confidence) * standard_deviation - mean``.

    Arguments and errors as :func:`parametric_var`; McNeil, Frey, Embrechts 2015, example 2.14.
    """
    z = normal_quantile(confidence)
    density = exp(-0.5 * z * z) / sqrt(2.0 * pi)
    return density / _tail(confidence) * _deviation(standard_deviation) - mean


@lru_cache(maxsize=64)
def normal_quantile(confidence: float) -> float:
    """The standard normal quantile ``z`` of a confidence: 1.6449 for .95.

    Raises:
        ValueError: If the confidence is not within (.5, 1).
    """
    return -NormalDist().inv_cdf(_tail(confidence))


def _tail(confidence: float) -> float:
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must be above .5 and below 1, was {confidence!r}; write e.g. .95")
    # 1 - .95 is .050000000000000044, which would move a rank that falls on a whole number.
    return round(1.0 - confidence, 12)


def _deviation(value: float) -> float:
    if not value >= 0.0:
        raise ValueError(f"standard deviation must not be negative, was {value!r}")
    return value
