"""Drawdown with and without flows, against empyrical on the unit value of the account."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.finance.drawdown import drawdown, next_peak


def test_by_hand() -> None:
    assert drawdown(100.0, 100.0) == 0.0
    assert drawdown(75.0, 100.0) == 0.25
    assert drawdown(-10.0, 100.0) == pytest.approx(1.1)
    assert drawdown(5.0, 0.0) is None


def test_a_withdrawal_is_no_loss_and_a_deposit_no_recovery() -> None:
    # 100 at the peak, half of it withdrawn: 50 is the new peak of what is left.
    assert next_peak(100.0, 100.0, 50.0, -50.0) == 50.0
    # 20 % down, then as much again is paid in: still 20 % down.
    peak = next_peak(100.0, 80.0, 160.0, 80.0)
    assert drawdown(160.0, peak) == pytest.approx(0.2)


def test_an_account_that_was_worth_nothing_begins_anew() -> None:
    assert next_peak(100.0, 0.0, 50.0, 50.0) == 150.0
    assert next_peak(100.0, 40.0, 0.0, -40.0) == 60.0


@given(
    st.lists(
        st.tuples(st.floats(-0.5, 0.5), st.sampled_from([0.0, 0.0, 0.0, 0.25, -0.25, 1.0])), min_size=1, max_size=60
    )
)
def test_drawdown_is_that_of_the_time_weighted_returns(days: list[tuple[float, float]]) -> None:
    equity = peak = 1000.0
    worst = 0.0
    for rate, share in days:
        flow = equity * share
        before, equity = equity, (equity + flow) * (1.0 + rate)
        peak = next_peak(peak, before, equity, flow)
        worst = max(worst, drawdown(equity, peak) or 0.0)
    expected = -empyrical.max_drawdown(np.array([rate for rate, _ in days]))
    assert worst == pytest.approx(expected, rel=1e-9, abs=1e-12)
