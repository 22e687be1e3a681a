"""The features engine through its harness: what it publishes, ignores, keeps and never mixes up."""

from __future__ import annotations

import itertools

from prometheus_client import CollectorRegistry, generate_latest

from libs.clock import Clock
from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.market import BarClosed, CloseReceived
from libs.engine.engine import Outbox
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.features.batch import calculate
from services.features.engine import FeaturesEngine
from services.features.metrics import register_metrics
from services.features.settings import FeaturesSettings
from tests.services.features.prices import DAY_NS, walk

BARS = walk(60)


def make(clock: Clock, outbox: Outbox) -> FeaturesEngine:
    return FeaturesEngine(clock, outbox, FeaturesSettings())


def bar(day: int, symbol: str = "AAPL.XNAS", interval: str = "1d", synthetic: bool = False) -> BarClosed:
    close, high, low = float(BARS.close[day]), float(BARS.high[day]), float(BARS.low[day])
    volume = float(BARS.volume[day])
    return BarClosed((day + 1) * DAY_NS, symbol, interval, close, high, low, close, volume, "test", synthetic)


def close(day: int, symbol: str = "SPX.INDEX") -> CloseReceived:
    return CloseReceived((day + 1) * DAY_NS, symbol, "1d", float(BARS.close[day]), "test")


def mixed(days: range) -> list[Event]:
    return [event for day in days for event in (bar(day), close(day), bar(day, "MSFT.XNAS", "1m"))]


def test_each_price_gives_one_vector_at_once() -> None:
    harness = EngineHarness(make)
    for day in range(40):
        (vector,) = harness.send(bar(day))
        assert isinstance(vector, FeaturesCalculated)
        assert (vector.ts_event, vector.symbol, vector.interval) == ((day + 1) * DAY_NS, "AAPL.XNAS", "1d")
        assert vector.window_start == max(1, day - 19) * DAY_NS
    assert vector.missing == {}


def test_stream_and_batch_agree_to_the_last_bit() -> None:
    harness = EngineHarness(make)
    for day in range(60):
        (vector,) = harness.send(bar(day))
        stop = day + 1
        columns = [column[:stop].tolist() for column in (BARS.close, BARS.high, BARS.low, BARS.volume)]
        done = calculate(*columns)
        assert vector.values == done.values
        assert vector.missing == done.missing


def test_series_do_not_touch_each_other_whatever_their_order() -> None:
    one_day = [bar(0), close(0), bar(0, "MSFT.XNAS"), bar(0, interval="1m")]
    results = []
    for order in itertools.permutations(range(len(one_day))):
        harness = EngineHarness(make)
        for day in range(36):
            events = [bar(day), close(day), bar(day, "MSFT.XNAS"), bar(day, interval="1m")]
            published = harness.send(*[events[index] for index in order])
        results.append(sorted(published, key=lambda event: (event.symbol, event.interval)))
    assert all(result == results[0] for result in results)
    assert len(results[0]) == 4


def test_a_restart_changes_nothing() -> None:
    check_snapshot_is_complete(make, mixed(range(37)), mixed(range(37, 60)))


def test_a_second_price_of_the_same_bar_changes_nothing() -> None:
    harness, plain = EngineHarness(make), EngineHarness(make)
    for day in range(40):
        harness.send(bar(day))
        plain.send(bar(day))
    assert harness.send(bar(39), close(20, "AAPL.XNAS")) == []
    assert harness.engine.status()["prices_ignored"] == 2
    assert harness.send(bar(40)) == plain.send(bar(40))


def test_one_synthetic_price_marks_the_series_from_then_on() -> None:
    harness = EngineHarness(make)
    marks = [harness.send(bar(day, synthetic=day == 3))[0].is_synthetic for day in range(40)]
    assert marks == [False] * 3 + [True] * 37
    assert harness.send(bar(0, "MSFT.XNAS"))[0].is_synthetic is False


def test_a_bad_price_is_a_dead_letter_and_the_series_goes_on() -> None:
    harness, plain = EngineHarness(make, allow_dead=True), EngineHarness(make)
    for day in range(40):
        harness.send(bar(day))
        plain.send(bar(day))
    harness.send(CloseReceived(41 * DAY_NS, "AAPL.XNAS", "1d", float("nan"), "test"))
    harness.send(CloseReceived(41 * DAY_NS, "NEW.XNAS", "1d", float("inf"), "test"))
    assert [text.split(",")[0] for text in harness.dead] == [
        "ValueError: close must be finite and of magnitude 1e-12 to 1e15"
    ] * 2
    assert harness.engine.latest("NEW.XNAS", "1d") is None
    assert harness.send(bar(40)) == plain.send(bar(40))


def test_metrics_are_the_state() -> None:
    harness = EngineHarness(make)
    registry = CollectorRegistry()
    register_metrics(harness.engine, registry)
    harness.send(*mixed(range(5)), bar(4))
    text = generate_latest(registry).decode()
    assert 'features_calculated_total{interval="1d"} 10.0' in text
    assert 'features_calculated_total{interval="1m"} 5.0' in text
    assert 'nautilus_features_series{interval="1d"} 2.0' in text
    assert "nautilus_features_prices_ignored_total 1.0" in text


def test_metrics_follow_a_restored_state() -> None:
    harness = EngineHarness(make)
    harness.send(bar(0))
    harness.restart()
    registry = CollectorRegistry()
    register_metrics(harness.engine, registry)
    assert 'features_calculated_total{interval="1d"} 1.0' in generate_latest(registry).decode()


def test_status_counts() -> None:
    harness = EngineHarness(make)
    harness.send(*mixed(range(3)))
    assert harness.engine.status() == {
        "features_calculated": 9, "series_open": 3, "prices_ignored": 0, "intervals": ["1d", "1m"],
    }  # fmt: skip


def test_the_state_stays_bounded() -> None:
    harness = EngineHarness(make)
    bars = walk(300)
    sizes = []
    for day in range(300):
        harness.send(CloseReceived((day + 1) * DAY_NS, "A.X", "1d", float(bars.close[day]), "test"))
        series = harness.engine.state.series["1d"]["A.X"]
        sizes.append(len(series.closes) + len(series.timestamps) + len(series.returns) + len(series.macd.seed))
    assert sizes[-1] == 62
    assert max(sizes) <= 62 + 26


def test_the_port_is_the_one_every_other_engine_expects() -> None:
    assert FeaturesSettings().port == 8500
