"""VaR and CVaR against empyrical (same conventions) and scipy's normal distribution (closed forms)."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from libs.finance.value_at_risk import (
    historical_cvar,
    historical_var,
    normal_quantile,
    parametric_cvar,
    parametric_var,
    quantile_ranks,
)

OUTCOMES = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=300)
CONFIDENCES = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@given(OUTCOMES, CONFIDENCES)
def test_historical_var_is_empyricals(outcomes: list[float], confidence: float) -> None:
    expected = -empyrical.value_at_risk(np.array(outcomes), cutoff=round(1 - confidence, 12))
    # Both interpolate linearly, numpy from the nearer end: a few units in the last place of the largest value.
    assert historical_var(sorted(outcomes), confidence) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(OUTCOMES, CONFIDENCES)
def test_historical_cvar_is_empyricals(outcomes: list[float], confidence: float) -> None:
    expected = -empyrical.conditional_value_at_risk(np.array(outcomes), cutoff=round(1 - confidence, 12))
    assert historical_cvar(sorted(outcomes), confidence) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@given(OUTCOMES, CONFIDENCES)
def test_shortfall_is_never_below_var(outcomes: list[float], confidence: float) -> None:
    ordered = sorted(outcomes)
    assert historical_cvar(ordered, confidence) >= historical_var(ordered, confidence) - 1e-6


def test_a_rank_on_a_whole_number_is_that_outcome() -> None:
    # 21 outcomes at 95 %: rank 1 exactly, where 1 - .95 computed in floats would fall just beyond it.
    assert quantile_ranks(21, 0.95) == (1, 2, 0.0)
    outcomes = [float(value) for value in range(-10, 11)]
    assert historical_var(outcomes, 0.95) == 9.0
    assert historical_cvar(outcomes, 0.95) == 9.5
    assert quantile_ranks(101, 0.99) == (1, 2, 0.0)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99, 0.999])
@pytest.mark.parametrize("mean", [0.0, 0.3, -0.2])
def test_parametric_forms_against_scipy(confidence: float, mean: float) -> None:
    deviation = 2.5
    law = stats.norm(mean, deviation)
    quantile = law.ppf(1 - confidence)
    assert parametric_var(deviation, confidence, mean) == pytest.approx(-quantile, rel=1e-12)
    # The expected shortfall by quadrature of the tail, independent of its closed form; quad's own error is 1e-10.
    tail, _ = integrate.quad(
        lambda x: x * law.pdf(x), -40 * deviation, quantile, limit=200, points=[quantile - deviation]
    )
    assert parametric_cvar(deviation, confidence, mean) == pytest.approx(-tail / (1 - confidence), rel=1e-8)


def test_published_quantiles() -> None:
    # NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.1.
    assert round(normal_quantile(0.95), 4) == 1.6449
    assert round(normal_quantile(0.99), 4) == 2.3263


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0, 1.5, float("nan")])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"confidence must be above \.5 and below 1, was"):
        historical_var([1.0], confidence)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        historical_cvar([], 0.95)
    with pytest.raises(ValueError, match="must not be negative, was nan"):
        parametric_var(float("nan"), 0.95)
