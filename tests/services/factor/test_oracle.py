"""Raw factors and z-scores of a whole panel against numpy and scipy.

numpy and scipy are the oracle because they compute the same definitions from the whole price matrix at once, with no
state. Tolerance 1e-12: closes and returns are the same doubles on both sides; numpy's two-pass deviation and our exact
integers differ by the rounding of 252 additions (6e-14) and of the returns' last bit.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from libs.contracts.analysis import FactorPanelCalculated, FactorsCalculated
from libs.testing.engine_harness import EngineHarness
from services.factor.definitions import FACTOR_IDS, LOOKBACKS
from tests.services.factor.market import DAY_NS, SYMBOLS, close, instrument, make, prices

DAYS = 300
PRICES = prices(DAYS)


@pytest.fixture(scope="module")
def harness() -> EngineHarness:
    harness = EngineHarness(make)
    harness.send(*[instrument(symbol) for symbol in SYMBOLS])
    for day in range(DAYS):
        harness.send(*[close(day, symbol, float(PRICES[day, column])) for column, symbol in enumerate(SYMBOLS)])
        harness.close_step((day + 1) * DAY_NS)
    return harness


def expected(factor_id: str, day: int) -> np.ndarray:
    if factor_id == "momentum_12_1":
        return PRICES[day - 21] / PRICES[day - 252] - 1.0
    if factor_id == "reversal_21":
        return -(PRICES[day] / PRICES[day - 21] - 1.0)
    size = int(factor_id.removeprefix("volatility_"))
    returns = np.log(PRICES[day - size + 1 : day + 1] / PRICES[day - size : day])
    return returns.std(axis=0, ddof=1) * np.sqrt(252.0)


@pytest.mark.parametrize("factor_id", FACTOR_IDS)
def test_raw_values_and_zscores_are_numpys_and_scipys(harness: EngineHarness, factor_id: str) -> None:
    published = harness.of_type(FactorsCalculated)
    assert len(published) == DAYS * len(SYMBOLS)
    for day in range(DAYS):
        vectors = published[day * len(SYMBOLS) : (day + 1) * len(SYMBOLS)]
        assert [vector.symbol for vector in vectors] == list(SYMBOLS)
        assert {vector.ts_event for vector in vectors} == {(day + 1) * DAY_NS}
        if day + 1 < LOOKBACKS[factor_id]:
            reason = f"warm-up: {day + 1} of {LOOKBACKS[factor_id]}"
            assert {vector.missing[factor_id] for vector in vectors} == {reason}
            assert not any(factor_id in vector.values or factor_id in vector.zscores for vector in vectors)
            continue
        raw = expected(factor_id, day)
        np.testing.assert_allclose([vector.values[factor_id] for vector in vectors], raw, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(
            [vector.zscores[factor_id] for vector in vectors], scipy.stats.zscore(raw, ddof=0), rtol=1e-9, atol=1e-12
        )


def test_the_panel_follows_its_vectors_and_counts_them(harness: EngineHarness) -> None:
    panels = harness.of_type(FactorPanelCalculated)
    assert len(panels) == DAYS
    for day, panel in enumerate(panels):
        assert panel.universe == len(SYMBOLS)
        assert panel.counts == {
            factor_id: len(SYMBOLS) if day + 1 >= LOOKBACKS[factor_id] else 0 for factor_id in FACTOR_IDS
        }
    size = len(SYMBOLS) + 1
    for start in range(0, len(harness.published), size):
        kinds = [type(event) for event in harness.published[start : start + size]]
        assert kinds == [FactorsCalculated] * len(SYMBOLS) + [FactorPanelCalculated]
