"""Every sequenced engine does the same again: in another process, under another hash seed, and restored in the middle.

The input is what each engine read in 400 recorded days of the simulated fleet, with people at work (orders by hand,
halts, limits, deposits), so that the state at the cuts is not that of a calm run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from libs.contracts.fleet import READERS
from services.risk.engine import RiskEngine
from services.risk.state import RiskState
from tests.determinism.driver import EngineResult, Findings, engines, run_behind
from tests.determinism.recording import LEAST_EVENTS, Recording, record

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ("1", "2")


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record()


@pytest.fixture(scope="module")
def found(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    """What fresh engines made of the recording, by hash seed; both processes run side by side."""
    folder = tmp_path_factory.mktemp("determinism")
    source = folder / "recording"
    source.write_bytes(msgspec.msgpack.encode(recording))
    running = {
        seed: subprocess.Popen(
            [sys.executable, "-m", "tests.determinism.driver", str(source), str(folder / seed)],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, stderr=subprocess.PIPE, text=True,
        )
        for seed in SEEDS
    }  # fmt: skip
    said = {seed: process.communicate()[1] for seed, process in running.items()}
    assert all(process.returncode == 0 for process in running.values()), said
    return {seed: msgspec.msgpack.decode((folder / seed).read_bytes(), type=Findings) for seed in SEEDS}


def test_the_recording_holds_every_engine_and_what_people_did(recording: Recording) -> None:
    assert sorted(recording.turns) == sorted(READERS) == sorted(engines())
    # Each of these a command asked for, and none would be there had the command been refused.
    done = recording.published
    assert (done["PortfolioCreated"], done["CashMoved"]) == (2, 4)  # of three cash flows one was a repetition
    assert (done["HaltChanged"], done["LimitUpdated"], done["StrategyStateChanged"]) == (4, 8, 4)
    assert done["FeedStateChanged"] >= 5
    assert done["PlaceOrder"] > 100
    assert done["OrderCancelled"] >= done["CancelOrder"] > 30
    assert done["BreachResolved"] > done["ResolveBreach"] == 2
    assert done["PredictionMade"] > 1_000
    assert done["OrderFilled"] > 150
    assert done["OrderDenied"] > 0


def test_the_processes_really_hashed_differently(found: dict[str, Findings]) -> None:
    assert len({findings.witness for findings in found.values()}) == len(SEEDS)


@pytest.mark.parametrize("engine", sorted(READERS))
def test_a_fresh_engine_under_any_hash_seed_does_what_was_recorded(
    engine: str, recording: Recording, found: dict[str, Findings]
) -> None:
    expected = [turn.output_hash for turn in recording.turns[engine]]
    for seed in SEEDS:
        result = found[seed].engines[engine]
        assert first_difference(result.outputs, expected) is None, f"outputs differ under hash seed {seed}"
        assert result.final_state == recording.final_states[engine], f"the state differs under hash seed {seed}"
    one, other = (found[seed].engines[engine] for seed in SEEDS)
    assert one.replies == other.replies, "a reply differs"
    assert one.states == other.states, "a state in between differs"


@pytest.mark.parametrize("engine", sorted(READERS))
def test_an_engine_restored_in_the_middle_goes_on_as_if_nothing_happened(
    engine: str, recording: Recording, found: dict[str, Findings]
) -> None:
    """The snapshots were taken by one process, through the real encoding, and are restored in this one."""
    check_restored(engine, recording, found[SEEDS[0]].engines[engine])


def test_an_engine_that_forgets_something_is_seen(
    recording: Recording, found: dict[str, Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    restore = RiskEngine.restore

    def forgetful(self: RiskEngine, state: RiskState) -> None:
        restore(self, msgspec.structs.replace(state, acknowledged={}))

    monkeypatch.setattr(RiskEngine, "restore", forgetful)
    with pytest.raises(AssertionError, match="restored before turn"):
        check_restored("risk", recording, found[SEEDS[0]].engines["risk"])


def check_restored(engine: str, recording: Recording, whole: EngineResult) -> None:
    """Restore an engine at each of its cuts and hold it to what the unbroken one did with 1,000 and more events."""
    component = engines()[engine]
    cuts = recording.cuts(engine)
    near, far = recording.checkpoints(engine)
    for cut in cuts:
        end = far if cut == cuts[-1] else near
        assert recording.events_between(engine, cut, end) >= LEAST_EVENTS
        behind = run_behind(component, recording, cut, whole.images[cut], end)
        told = f"restored before turn {cut},"
        assert first_difference(behind.outputs, whole.outputs[cut:end]) is None, f"{told} outputs differ"
        assert first_difference(behind.replies, whole.replies[cut:end]) is None, f"{told} replies differ"
        assert behind.states[end] == whole.states[end], f"{told} the state before turn {end} differs"
        assert behind.states[cut] == whole.states[cut], f"{told} the state at once is another"


def first_difference(found: list[bytes], expected: list[bytes]) -> int | None:
    """Number of the first turn that differs."""
    assert len(found) == len(expected)
    return next((turn for turn, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]), None)
