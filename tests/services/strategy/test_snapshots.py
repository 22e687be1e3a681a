"""A restored engine is the same engine: random histories, cut anywhere."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.market import StepClosed
from libs.contracts.orders import CancelAllOrders, SetStrategyState
from libs.contracts.risk import HaltChanged
from libs.messagebus.topic import Event
from libs.testing.engine_harness import check_snapshot_is_complete
from services.strategy.engine import StrategyEngine
from services.strategy.paper.engine import PaperVenueEngine
from services.strategy.settings import StrategyDefinition, StrategySettings
from tests.services.strategy.builders import (
    DAY,
    bar,
    close,
    day,
    instrument,
    place,
    quote,
    report,
    submitted,
    valuation,
)

MA = StrategyDefinition(strategy_id="ma", library_id="moving_average_cross", parameters={"fast": 1, "slow": 2})
MOMENTUM = StrategyDefinition(
    strategy_id="mom", library_id="cross_sectional_momentum",
    parameters={"lookback_months": 1, "skip_months": 0, "minimum_symbols": 1, "equity_fraction": 0.2},
)  # fmt: skip
SETTINGS = StrategySettings(strategies=(MA, MOMENTUM))
prices = st.floats(50, 150).map(lambda price: round(price, 2))


@st.composite
def a_step(draw: st.DrawFn, number: int) -> list[Event]:
    """Ten days pass; prices, sometimes news from the venue or from people, then the stages."""
    ts = day(10 * number)
    events: list[Event] = [close(draw(prices), ts, symbol) for symbol in ("AAA.X", "BBB.X")]
    order = f"strategy-{draw(st.integers(1, 6)):08d}"
    extra = draw(st.integers(0, 8))
    if extra == 1:
        events.append(HaltChanged(ts, draw(st.booleans()), "symbol", "AAA.X", "r", "risk"))
    elif extra == 2:
        events.append(place(ts=ts, key=str(draw(st.integers(0, 3))), quantity="5"))
    elif extra == 3:
        events.append(CancelAllOrders(ts, "", "", "ann", ""))
    elif extra in (4, 5, 6):
        kind = draw(st.sampled_from(["accepted", "filled", "cancelled", "expired"]))
        events.append(report(kind, order, f"R{draw(st.integers(0, 9))}", str(draw(st.integers(1, 3))), "100", ts=ts))
    events.append(valuation(str(draw(st.integers(10_000, 200_000))), ts))
    return [*events, StepClosed(ts, "mark", number), StepClosed(ts, "decide", number)]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """A history of some steps and where it is cut; its end always publishes something."""
    events: list[Event] = [instrument(), instrument("BBB.X")]
    for number in range(1, draw(st.integers(2, 7))):
        events += draw(a_step(number))
    cut = draw(st.integers(0, len(events)))
    last = events[-1].ts_event
    return events[:cut], [*events[cut:], SetStrategyState(last, "ma", "stopped", "ann", "")]


@given(histories())
@settings(max_examples=60, deadline=None)
def test_the_strategy_engine(history: tuple[list[Event], list[Event]]) -> None:
    check_snapshot_is_complete(lambda clock, outbox: StrategyEngine(clock, outbox, SETTINGS), *history)


@st.composite
def venue_histories(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Orders and prices in any mixture; the end fills a market order, so something is compared."""
    events: list[Event] = [instrument(), close(100.0, day(0))]
    for number in range(1, draw(st.integers(2, 12))):
        ts = day(0) + number * DAY // 4
        price = draw(prices)
        kind = draw(st.integers(0, 4))
        if kind == 0:
            events.append(close(price, ts))
        elif kind == 1:
            events.append(bar(price, price + 3, price - 3, price, draw(st.integers(0, 2_000)), ts))
        elif kind == 2:
            events.append(quote(price, price + 1, ts, draw(st.integers(0, 50))))
        else:
            events.append(_an_order(draw, number, ts))
        events.append(StepClosed(ts, "mark", number))
    cut = draw(st.integers(0, len(events)))
    end = events[-1].ts_event
    return events[:cut], [*events[cut:], submitted(ts=end, order_id="last"), close(100.0, end + 1, interval="1s")]


def _an_order(draw: st.DrawFn, number: int, ts: int) -> Event:
    kind = draw(st.sampled_from(["market", "limit", "stop", "stop_limit"]))
    changes: dict[str, Any] = {
        "limit": str(draw(st.integers(60, 140))) if "limit" in kind else None,
        "stop": str(draw(st.integers(60, 140))) if "stop" in kind else None,
        "tif": draw(st.sampled_from(["day", "gtc", "ioc", "fok"])),
    }
    side, quantity = draw(st.sampled_from(["buy", "sell"])), str(draw(st.integers(1, 300)))
    return submitted(side, quantity, ts, f"o{number}", kind, **changes)


@given(venue_histories())
@settings(max_examples=60, deadline=None)
def test_the_paper_venue(history: tuple[list[Event], list[Event]]) -> None:
    terms = SETTINGS.paper_terms()
    check_snapshot_is_complete(lambda clock, outbox: PaperVenueEngine(clock, outbox, terms), *history)


def test_a_snapshot_of_another_layout_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"book": 5}), type=StrategyEngine.state_type)
