"""A recorded run through today's code: every engine identical, and a changed one caught at the very event."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from libs.contracts.analysis import FeaturesCalculated
from libs.contracts.fleet import READERS
from libs.contracts.market import CloseReceived
from libs.contracts.topics import CODEC
from libs.engine.component import Component
from libs.messagebus.transport import LAST, START
from services.features.engine import FeaturesEngine
from services.fleet.members import engine_components
from services.fleet.record.comparison import side_by_side
from services.fleet.record.errors import ReplayImpossibleError
from services.fleet.record.recording import Recording
from services.fleet.record.replay import ReplayRun, replay
from services.fleet.record.state_view import narrowed, readable
from services.strategy.engine import StrategyEngine
from tests.record.recorded import recording_path


def component(name: str) -> Component:
    return next(one for one in engine_components() if one.name == name)


def run(name: str | Component, **options: Any) -> ReplayRun:
    path = recording_path()

    async def work() -> ReplayRun:
        with Recording(path) as recording:
            return await replay(recording, component(name) if isinstance(name, str) else name, **options)

    return asyncio.run(work())


def published(stream: str) -> dict[str, Any]:
    with Recording(recording_path()) as recording:
        entries = recording.entries(stream, START, LAST, 1_000_000)
    batches = [CODEC.decode(entry.data) for entry in entries]
    return {batch.event_id(index): event for batch in batches for index, event in enumerate(batch.events)}


@pytest.mark.parametrize("name", READERS)
def test_every_engine_does_the_same_again(name: str) -> None:
    found = run(name)
    assert found.divergence is None
    assert (found.started_after, found.remarks) == (0, [])
    assert found.commits == found.last_commit > 100
    assert found.events > 400


def patched(name: str, change: Any) -> Component:
    original = component(name)

    def make(clock: Any, outbox: Any) -> Any:
        engine = original.make_engine(clock, outbox)
        change(engine, outbox)
        return engine

    return replace(original, make_engine=make)


def test_a_changed_feature_is_shown_at_its_event_with_the_field_that_differs() -> None:
    victim = next(
        (key, event) for key, event in published("features:normal").items()
        if isinstance(event, FeaturesCalculated) and event.symbol == "KO.XNYS" and "sma_20" in event.values
    )  # fmt: skip

    def change(engine: FeaturesEngine, outbox: Any) -> None:
        publish = outbox.publish

        class Bent:
            def __getattr__(self, name: str) -> Any:
                return getattr(outbox, name)

            def publish(self, event: Any) -> None:
                if event == victim[1]:
                    event.values["sma_20"] += 0.5
                publish(event)

        engine._outbox = Bent()  # type: ignore[assignment]

    found = run(patched("features", change))
    divergence = found.divergence
    assert divergence is not None
    assert divergence.fields == ["event.values.sma_20"]
    assert divergence.recorded is not None
    assert divergence.found is not None
    assert divergence.recorded["event_id"] == divergence.found["event_id"] == victim[0]
    before, now = (side["event"]["values"]["sma_20"] for side in (divergence.recorded, divergence.found))
    assert (before, now) == (victim[1].values["sma_20"], victim[1].values["sma_20"] + 0.5)
    marked = [line for line in side_by_side(divergence) if line.startswith("*")]
    assert len(marked) == 1
    assert "sma_20" in marked[0]
    assert repr(now) in marked[0]
    assert found.commits == divergence.commit - 1
    assert "marketdata.close" in divergence.cause


def test_an_event_that_is_not_published_any_more_is_named() -> None:
    def change(engine: StrategyEngine, _outbox: Any) -> None:
        engine.runner.start_all = lambda definitions: None  # type: ignore[method-assign]

    found = run(patched("strategy", change)).divergence
    assert found is not None
    assert (found.commit, found.index, found.found) == (1, 0, None)
    assert found.recorded is not None
    assert found.recorded["topic"] == "strategy.state"


def test_a_changed_decision_shows_in_the_order_or_what_led_to_it() -> None:
    def change(engine: StrategyEngine, _outbox: Any) -> None:
        taken = engine.on_close_received

        def dearer(event: CloseReceived) -> None:
            taken(CloseReceived(event.ts_event, event.symbol, event.interval, event.close * 1.1, event.source))

        engine.on_close_received = dearer  # type: ignore[method-assign]

    found = run(patched("strategy", change)).divergence
    assert found is not None
    assert found.recorded is not None
    assert found.fields
    assert found.recorded["topic"] in ("strategy.signal", "orders.submitted")


@pytest.mark.parametrize("place", [0, 1, 37, -1])
def test_until_stops_right_after_an_event_in_the_middle_of_a_batch(place: int) -> None:
    market = published("market:normal")
    closes = [key for key, event in market.items() if isinstance(event, CloseReceived)]
    target = closes[place]
    found = run("features", until=target)
    assert found.divergence is None
    assert f"after event {target}" in found.stopped
    # What the engine had calculated by then, counted without it: one vector a close, in the order of the stream.
    state = readable(found.core.engine.snapshot())
    assert narrowed(state, "calculated.1d") == closes.index(target) + 1
    assert narrowed(state, f"latest.1d.{market[target].symbol}.ts_event") == market[target].ts_event


def test_until_takes_an_event_the_engine_published_and_a_commit() -> None:
    signals = list(published("strategy:high"))
    found = run("strategy", until=signals[-1])
    assert "after event marketdata:" in found.stopped
    whole = run("strategy")
    early = run("strategy", until="100")
    assert (early.last_commit, early.commits, early.stopped) == (100, 100, "after commit 100")
    assert early.core.sequence < whole.core.sequence


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"until": "paper:999999"}, "was none"),
        ({"until": "strategy:999999"}, "must have been published"),
        ({"until": "99999"}, "was none"),
        ({"until": "nonsense"}, "must be producer:sequence"),
    ],
)
def test_what_cannot_be_reached_is_said(options: dict[str, str], text: str) -> None:
    with pytest.raises(ReplayImpossibleError, match=text):
        run("strategy", **options)
