"""The engine through the real core: what it publishes, in which stage, from which inputs."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from libs.contracts.market import STEP_STAGES
from libs.contracts.risk import MarginAlertRaised, MarginCalculated
from libs.messagebus.topic import Event
from libs.testing.engine_harness import EngineHarness, check_snapshot_is_complete
from services.collateral.engine import CollateralEngine
from services.collateral.settings import CollateralSettings
from tests.services.collateral.builders import DAY, SECOND, START, harness, instrument, make_engine, snapshot, step


def calculated(one: EngineHarness) -> MarginCalculated:
    return one.of_type(MarginCalculated)[-1]


def test_margin_of_a_portfolio_by_hand() -> None:
    one = harness()
    one.send(instrument("A"), instrument("B"), instrument("G", "commodity"))
    one.send(snapshot(START, "100000", {"A": "100000", "B": "-50000", "G": "40000"}), step(START))
    # Equities 25,000 + 12,500 * .80 = 35,000; commodity 12,000; .05 * 12,000 saved.
    # Maintenance 15,000 + 7,500 * .80 + 8,000 - .05 * 8,000.
    assert calculated(one) == MarginCalculated(
        START, "main", Decimal("49500.00"), Decimal("28600"), Decimal("3100"), Decimal("46400"), Decimal("100000"),
        Decimal("53600"), 0.464, "ok", [], False,
    )  # fmt: skip


def test_nothing_is_published_before_the_stage_assess() -> None:
    one = harness()
    one.send(instrument("A"), snapshot(START, "100", {"A": "100"}))
    assert one.published == []
    assert one.send(step(START, "mark")) == []
    assert [type(event) for event in one.send(step(START, "assess"))] == [MarginCalculated]
    assert one.send(step(START, "decide")) == []
    assert one.close_step(START + DAY, STEP_STAGES) == []


def test_what_cannot_be_rated_is_charged_in_full_and_named() -> None:
    one = harness()
    one.send(instrument("OLD"), instrument("SPX", "index"), instrument("BOND", "bond"))
    worths = {"OLD": "10", "SPX": "20", "BOND": "40", "NEVER": "80"}
    one.send(snapshot(START + 8 * DAY, "1000", worths, mark_ts=START), step(START + 8 * DAY))
    assert calculated(one).unpriced == ["BOND", "NEVER", "OLD", "SPX"]
    assert calculated(one).total_margin == Decimal(150)


@pytest.mark.parametrize(
    ("equity", "state", "action", "threshold", "amount"),
    [
        # 25,000 of margin: 25,000 / .80 = 31,250 brings it back to the warning threshold.
        ("31250", "warning", "reduce_positions", 0.8, "0.00"),
        ("27777.77", "critical", "immediate_action_required", 0.9, "3472.23"),
        ("26315.78", "emergency", "liquidate_positions", 0.95, "4934.22"),
        ("0", "emergency", "liquidate_positions", 0.95, "31250.00"),
        ("-10", "emergency", "liquidate_positions", 0.95, "31260.00"),
    ],
)
def test_an_alert_says_what_to_do(equity: str, state: str, action: str, threshold: float, amount: str) -> None:
    one = harness()
    one.send(instrument("A"), snapshot(START, equity, {"A": "100000"}), step(START))
    alert = one.of_type(MarginAlertRaised)[-1]
    assert (alert.severity, alert.action, alert.threshold) == (state, action, threshold)
    assert alert.required_action_amount == Decimal(amount)
    assert alert.margin_utilization == calculated(one).margin_utilization


def test_one_alert_a_cooldown_of_fleet_time() -> None:
    one = harness()
    one.send(instrument("A"))
    for seconds, equity in ((0, "30000"), (60, "90000"), (120, "30000"), (180, "27000"), (420, "27000")):
        ts = START + seconds * SECOND
        one.send(snapshot(ts, equity, {"A": "100000"}), step(ts))
    raised = [(event.ts_event, event.severity) for event in one.of_type(MarginAlertRaised)]
    assert raised == [(START, "warning"), (START + 180 * SECOND, "critical")]
    assert one.engine.status()["alerts_raised"] == 2


def test_portfolios_do_not_hold_each_other_back() -> None:
    one = harness()
    one.send(instrument("A"))
    for name in ("two", "one"):
        one.send(snapshot(START, "30000", {"A": "100000"}, portfolio_id=name))
    one.send(step(START))
    assert [event.portfolio_id for event in one.of_type(MarginCalculated)] == ["one", "two"]
    assert [event.portfolio_id for event in one.of_type(MarginAlertRaised)] == ["one", "two"]


def test_calculations_keep_their_interval_and_none_is_lost() -> None:
    one = harness()
    one.send(instrument("A"))
    for seconds in range(7):
        ts = START + seconds * SECOND
        one.send(snapshot(ts, str(1_000 + seconds), {"A": "100"}), step(ts))
    found = [(event.ts_event - START) // SECOND for event in one.of_type(MarginCalculated)]
    assert found == [0, 5]
    one.send(step(START + 10 * SECOND))
    assert calculated(one).eligible_collateral == Decimal(1_006)


def test_an_older_valuation_is_ignored() -> None:
    one = harness()
    one.send(instrument("A"), snapshot(START + DAY, "1000", {"A": "100"}), snapshot(START, "5", {"A": "100"}))
    one.send(step(START + DAY))
    assert calculated(one).eligible_collateral == Decimal(1_000)
    assert one.engine.status()["snapshots_ignored"] == 1


def test_one_synthetic_input_makes_the_output_synthetic() -> None:
    one = harness()
    one.send(instrument("A"), snapshot(START, "30000", {"A": "100000"}, is_synthetic=True), step(START))
    assert calculated(one).is_synthetic
    assert one.of_type(MarginAlertRaised)[-1].is_synthetic


def test_no_output_depends_on_the_order_of_streams_within_a_step() -> None:
    streams: list[list[Event]] = [
        [instrument("A", sector="tech"), instrument("B", "bond")],
        [snapshot(START, "30000", {"A": "100000", "B": "7"})],
        [snapshot(START, "55", {"A": "50"}, portfolio_id="other")],
    ]
    outcomes = []
    for order in permutations(streams):
        one = harness()
        one.send(*[event for stream in order for event in stream])
        outcomes.append((one.send(step(START)), one.engine.state))
    assert len(outcomes[0][0]) == 3
    for outcome in outcomes[1:]:
        assert outcome == outcomes[0]


def test_a_restored_engine_continues_bit_for_bit() -> None:
    events: list[Event] = [instrument("A", sector="tech"), instrument("B", "fx")]
    for number, equity in enumerate(("90000", "30000", "90000", "29000", "27000", "20000", "0", "90000")):
        ts = START + number * 60 * SECOND
        events += [snapshot(ts, equity, {"A": "100000", "B": "10"}), step(ts)]
    for cut in (3, 5, 8, 11):
        check_snapshot_is_complete(make_engine, events[:cut], events[cut:])


def test_settings_reach_the_engine() -> None:
    strict = CollateralSettings(
        warning_threshold=Decimal("0.1"), critical_threshold=Decimal("0.2"), emergency_threshold=Decimal("0.3")
    )
    one = EngineHarness(lambda clock, outbox: CollateralEngine(clock, outbox, strict), START)
    one.send(instrument("A"), snapshot(START, "100000", {"A": "100000"}), step(START))
    assert calculated(one).state == "critical"


def test_thresholds_must_rise() -> None:
    with pytest.raises(Exception, match=r"COLLATERAL_CRITICAL_THRESHOLD.*above warning_threshold \(0.80\), was 0.5"):
        CollateralSettings(critical_threshold=Decimal("0.5"))
