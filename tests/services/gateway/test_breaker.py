"""The breaker, the rate limiter and the routing table: pure functions of a time and a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.breaker import LIMITS, Breaker, BreakerLimits
from services.gateway.limiter import RateLimiter
from services.gateway.routing import Target, target_of

S = 1_000_000_000


def opened(limits: BreakerLimits) -> Breaker:
    breaker = Breaker(limits)
    for _ in range(limits.failures):
        assert breaker.admit(0)
        breaker.failed(0)
    return breaker


def test_the_limits_are_those_of_the_surface() -> None:
    default = BreakerLimits()
    assert (default.failures, default.recovery_seconds, default.timeout_seconds) == (5, 60, 30)
    assert LIMITS["strategy"] == BreakerLimits(3, 10, 5)
    assert LIMITS["risk"] == LIMITS["collateral"] == BreakerLimits(3, 15, 10)
    assert LIMITS["ml"] == BreakerLimits(4, 20, 30)


def test_failures_in_a_row_open_it_and_others_do_not() -> None:
    breaker = Breaker(BreakerLimits(3, 10, 5))
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded(0)
    assert breaker.state(0) == "closed"
    assert opened(BreakerLimits(3, 10, 5)).state(0) == "open"


def test_while_open_nothing_passes_then_one_at_a_time_and_three_successes_close() -> None:
    breaker = opened(BreakerLimits(3, 10, 5))
    assert not breaker.admit(10 * S - 1)
    assert breaker.retry_after_seconds(3 * S) == 8
    now = 10 * S
    for _ in range(3):
        assert breaker.state(now) == "half_open"
        assert breaker.admit(now)
        assert not breaker.admit(now)
        breaker.succeeded(now)
    assert breaker.state(now) == "closed"
    assert breaker.opened == 1


def test_a_failed_trial_opens_it_again_for_the_whole_time() -> None:
    breaker = opened(BreakerLimits(3, 10, 5))
    assert breaker.admit(10 * S)
    breaker.failed(11 * S)
    assert not breaker.admit(21 * S - 1)
    assert breaker.admit(21 * S)


@pytest.mark.parametrize("after", [0, 5])
def test_a_trial_nobody_reports_on_blocks_nobody_for_ever(after: int) -> None:
    breaker = opened(BreakerLimits(3, 10, 5))
    assert breaker.admit(10 * S)
    if not after:
        breaker.gave_up()
    assert breaker.admit((10 + after) * S)


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "fail", "gone"]), st.integers(0, 4)), max_size=80))
def test_whatever_happens_it_lets_requests_through_again(steps: list[tuple[str, int]]) -> None:
    limits = BreakerLimits(3, 10, 5)
    breaker, now, in_a_row = Breaker(limits), 0, 0
    for action, seconds in steps:
        now += seconds * S
        if action == "ask":
            admitted = breaker.admit(now)
            assert admitted or in_a_row >= 1 or breaker.opened  # refused only after failures
        elif action == "ok":
            breaker.succeeded(now)
            in_a_row = 0
        elif action == "fail":
            breaker.failed(now)
            in_a_row += 1
        else:
            breaker.gave_up()
    now += 11 * S
    for _ in range(3):
        assert breaker.admit(now)
        breaker.succeeded(now)
        now += 6 * S
    assert breaker.state(now) == "closed"


def test_a_limiter_gives_a_period_at_once_and_then_its_rate() -> None:
    limiter = RateLimiter(5, 60)
    assert [limiter.admit("ann", 0) for _ in range(6)] == [True] * 5 + [False]
    assert limiter.admit("bob", 0)
    assert limiter.retry_after_seconds("ann", 0) == 13
    assert not limiter.admit("ann", 11 * S)
    assert limiter.admit("ann", 13 * S)


@given(st.lists(st.integers(0, 3 * S), max_size=200))
def test_a_limiter_never_admits_more_than_its_rate_and_one_burst(gaps: list[int]) -> None:
    limiter, now, admitted = RateLimiter(10), 0, 0
    for gap in gaps:
        now += gap
        admitted += limiter.admit("x", now)
    assert admitted <= 10 + now / S * 10 + 1e-6


def test_a_limiter_remembers_a_bounded_number_of_names() -> None:
    limiter = RateLimiter(1, 60, max_names=2)
    assert limiter.admit("a", 0)
    assert limiter.admit("b", 0)
    assert limiter.admit("c", 0)
    assert not limiter.admit("b", 0)
    assert limiter.admit("a", 0)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/v1/engines/risk/risk/limits", Target("risk", "/risk/limits")),
        ("/api/v1/engines/collateral/api/v1/collateral/status", Target("collateral", "/api/v1/collateral/status")),
        ("/api/v1/risk/limits/a", Target("risk", "/risk/limits/a")), ("/api/v1/orders", Target("strategy", "/orders")),
        ("/api/v1/portfolio/portfolios/main", Target("portfolio", "/portfolios/main")),
        ("/api/v1/volatility/models", Target("analytics", "/api/v1/volatility/models")),
        ("/api/v1/ml/models", Target("ml", "/models")), ("/api/v1/ml/predict/price", Target("ml", "/ml/predict/price")),
        ("/api/v1/factor-engine/factors/definitions", Target("factor", "/factors/definitions")),
        ("/api/v1/collateral/status", Target("collateral", "/api/v1/collateral/status")),
        ("/api/v1/portfolio", None), ("/api/v1/ordersandmore", None), ("/api/v1/engines/nobody/x", None),
        ("/api/v1/engines/risk", None), ("/api/v1/orders/../../control/pause", None), ("/api/v1/risk//limits", None),
        ("/api/v1/engines/gateway/x", None), ("/elsewhere", None),
    ],
)  # fmt: skip
def test_where_a_path_goes(path: str, target: Target | None) -> None:
    assert target_of(path) == target
