"""The HTTP surface: answers from state, refusals with the numbers that matter, gaps named."""

from __future__ import annotations

import empyrical
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from libs.engine.metrics import counters
from libs.testing.engine_harness import EngineHarness
from libs.testing.surface import Surface
from services.analytics.api import router
from services.analytics.metrics import register_metrics
from tests.services.analytics.builders import (
    BENCHMARK,
    created,
    day,
    filled,
    harness,
    history,
    instrument,
    price,
    step,
    submitted,
    valuation,
)

EQUITIES = [100.0, 110.0, 99.0, 121.0, 133.1]
CLOSES = [50.0, 52.0, 51.0, 53.0, 54.0]
OWN = np.diff(EQUITIES) / EQUITIES[:-1]
FACTOR = np.diff(CLOSES) / CLOSES[:-1]


@pytest.fixture
def fleet() -> EngineHarness:
    one = harness()
    one.send(created(), instrument("AAPL.XNAS"))
    one.send(*history(EQUITIES, CLOSES))  # type: ignore[arg-type]
    return one


def surface(one: EngineHarness) -> Surface:
    return Surface(router(one.engine, None))  # type: ignore[arg-type]


def test_performance_of_a_window(fleet: EngineHarness) -> None:
    answer = surface(fleet).call("POST", "/analytics/performance/main", {"period_days": 3, "symbol": BENCHMARK})
    assert answer.status == 200
    body, own, factor = answer.body, OWN[-3:], FACTOR[-3:]
    assert body["total_return_pct"] == pytest.approx(100 * empyrical.cum_returns_final(own), rel=1e-12)
    assert body["sharpe_ratio"] == pytest.approx(empyrical.sharpe_ratio(own), rel=1e-12)
    assert body["beta"] == pytest.approx(empyrical.beta(own, factor), rel=1e-9)
    assert body["win_rate_pct"] == pytest.approx(200 / 3)
    assert (body["observations"], body["benchmark_observations"], body["benchmark"]) == (3, 3, BENCHMARK)
    assert (body["period_start"], body["period_end"]) == ("2020-01-02T21:00:00+00:00", "2020-01-05T21:00:00+00:00")
    assert (body["reasons"], body["is_synthetic"], body["source"]) == ({}, False, "portfolio snapshots")


def test_a_yearly_rate_is_used_per_period(fleet: EngineHarness) -> None:
    answer = surface(fleet).call("POST", "/analytics/performance/main", {"risk_free_rate": 0.05})
    free = 1.05 ** (1 / 252) - 1
    assert answer.body["sharpe_ratio"] == pytest.approx(empyrical.sharpe_ratio(OWN, risk_free=free), rel=1e-9)
    assert answer.body["risk_free_per_period"] == pytest.approx(free, rel=1e-12)


def test_an_unknown_benchmark_gives_null_and_the_reason(fleet: EngineHarness) -> None:
    body = surface(fleet).call("POST", "/analytics/performance/main", {"benchmark": "NONE.X"}).body
    assert body["alpha"] is None
    assert body["reasons"]["beta"] == "needs at least 2 days with a benchmark return, has 0"


def test_running_figures_equal_the_window_over_everything(fleet: EngineHarness) -> None:
    one = surface(fleet)
    running = one.call("GET", "/analytics/performance/main").body
    whole = one.call("POST", "/analytics/calculate/main", {}).body
    for name in set(running["metrics"]) & set(whole["metrics"]):
        assert running["metrics"][name] == pytest.approx(whole["metrics"][name], rel=1e-9), name
    assert running["observations"] == whole["observations"] == 4


def test_chosen_figures_over_a_range(fleet: EngineHarness) -> None:
    asked = {"metrics": ["value_at_risk", "max_drawdown"], "start_date": "2020-01-03", "end_date": "2020-01-05"}
    body = surface(fleet).call("POST", "/analytics/calculate/main", asked).body
    assert body["metrics"] == {
        "value_at_risk": pytest.approx(empyrical.value_at_risk(OWN[1:3]), rel=1e-12),
        "max_drawdown": pytest.approx(-0.1, rel=1e-12),
    }
    assert body["observations"] == 2


@pytest.mark.parametrize("path", ["/analytics/performance/main", "/analytics/calculate/main"])
def test_under_two_returns_is_a_conflict_with_the_counts(path: str) -> None:
    one = harness()
    one.send(valuation(day(0), 100), step(day(0)), valuation(day(1), 101), step(day(1)))
    answer = surface(one).call("POST", path, {})
    assert answer.status == 409
    assert (answer.body["code"], answer.body["have"], answer.body["need"]) == ("insufficient-history", 1, 2)


def test_after_a_total_loss_the_answer_is_a_conflict() -> None:
    one = harness()
    one.send(valuation(day(0), 100), step(day(0)), valuation(day(1), 0), step(day(1)))
    answer = surface(one).call("GET", "/analytics/performance/main")
    assert (answer.status, answer.body["code"]) == (409, "total-loss")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/analytics/performance/nobody", None, 404),
        ("GET", "/analytics/market-data/NONE.X", None, 404),
        ("GET", "/analytics/returns/main?cursor=x", None, 422),
        ("GET", "/analytics/returns/main?limit=0", None, 422),
        ("GET", "/api/v1/volatility/symbols/SPX.INDEX/forecast?horizon=31", None, 422),
        ("POST", "/analytics/performance/main", {"period_days": 1}, 422),
        ("POST", "/analytics/performance/main", {"risk_free_rate": -1}, 422),
        ("POST", "/analytics/performance/main", {"unknown": 1}, 422),
        ("POST", "/analytics/calculate/main", {"metrics": ["luck"]}, 422),
        ("POST", "/analytics/calculate/main", {"metrics": []}, 422),
        ("POST", "/analytics/calculate/main", {"start_date": "2020-02-01", "end_date": "2020-01-01"}, 422),
        ("POST", "/analytics/calculate/main", {"start_date": "soon"}, 422),
    ],
)
def test_bad_requests_are_refused(
    fleet: EngineHarness, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    assert surface(fleet).call(method, path, body).status == status


def test_returns_are_paged_oldest_first(fleet: EngineHarness) -> None:
    one = surface(fleet)
    first = one.call("GET", "/analytics/returns/main?limit=3").body
    second = one.call("GET", f"/analytics/returns/main?limit=3&cursor={first['next_cursor']}").body
    assert (first["count"], second["count"], second["next_cursor"]) == (3, 1, None)
    items = first["items"] + second["items"]
    assert [item["return"] for item in items] == pytest.approx(OWN.tolist(), rel=1e-12)
    assert items[-1]["cumulative_return"] == pytest.approx(0.331, rel=1e-12)
    assert [item["ts_began"] for item in items] == [day(number) for number in range(4)]


def test_execution_quality(fleet: EngineHarness) -> None:
    assert surface(fleet).call("GET", "/analytics/execution/main").body["code"] == "insufficient-history"
    ts = day(5)
    fleet.send(submitted(ts - 2_000_000, "o1", "99"), filled(ts, "o1", "f1", "100.10", "0.10"), step(ts))
    body = surface(fleet).call("GET", "/analytics/execution/main").body
    assert body["slippage_bps"] == pytest.approx(10.0, rel=1e-12)
    assert body["shortfall_bps"] == pytest.approx(110 / 9_900 * 10_000, rel=1e-12)
    assert (body["mean_latency_ms"], body["commission"], body["bought_notional"]) == (2.0, "1.25", "10010.00")
    assert body["reasons"] == {}


def test_symbols_and_their_performance(fleet: EngineHarness) -> None:
    one = surface(fleet)
    assert [item["symbol"] for item in one.call("GET", "/analytics/available-symbols").body["items"]] == [BENCHMARK]
    body = one.call("GET", f"/analytics/performance-metrics/{BENCHMARK}?period_days=4").body
    assert body["total_return_pct"] == pytest.approx(8.0, rel=1e-12)
    assert (body["beta"], body["source"]) == (pytest.approx(1.0, rel=1e-12), "test")
    closes = one.call("GET", f"/analytics/market-data/{BENCHMARK}").body["items"]
    assert [item["close"] for item in closes] == CLOSES


def test_a_forecast_needs_its_history(fleet: EngineHarness) -> None:
    one = surface(fleet)
    short = one.call("GET", f"/api/v1/volatility/symbols/{BENCHMARK}/forecast")
    assert (short.status, short.body["have"], short.body["need"]) == (409, 4, 20)
    listed = one.call("GET", "/api/v1/volatility/symbols").body["items"][0]
    assert (listed["volatility"], listed["reasons"]["volatility"]) == (None, "needs at least 20 daily returns, has 4")
    fleet.send(*[price(day(number), BENCHMARK, 50.0 * 1.01 ** (number % 2)) for number in range(5, 300)])
    body = one.call("GET", f"/api/v1/volatility/symbols/{BENCHMARK}/forecast?horizon=10").body
    assert body["variance"] == pytest.approx(body["volatility"] ** 2 * 10 / 252, rel=1e-12)
    assert (body["reliable"], body["std_error"]) == (True, None)
    assert one.call("GET", "/api/v1/volatility/models").body["items"][0]["parameters"] == {"decay": 0.94}


def test_metrics_show_the_state(fleet: EngineHarness) -> None:
    registry = CollectorRegistry()
    register_metrics(fleet.engine, registry)
    fleet.send(filled(day(5), "o1", "f1", "100.10", "0.10"), step(day(5)))
    found = counters(registry)
    assert found["nautilus_performance{metric=total_return,portfolio_id=main}"] == pytest.approx(0.331, rel=1e-9)
    assert found["nautilus_trades_total{portfolio_id=main}"] == 1.0
    assert found["nautilus_execution_slippage_bps{portfolio_id=main}"] == pytest.approx(10.0)
    assert found["nautilus_performance_published_total"] == 5.0
    assert not [name for name in found if name.startswith("nautilus_execution_time_ms")]
