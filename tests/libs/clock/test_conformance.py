"""One table of cases on four clocks: ours and NautilusTrader's, live and moved by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.clock import LiveClock, TestClock
from tests.libs.clock.cases import CASES, NOT_RUN, Case
from tests.libs.clock.fake_loop import FakeLoop
from tests.libs.clock.nautilus import Nautilus
from tests.libs.clock.script import (
    START_NS,
    UNIT_NS,
    Player,
    Reactions,
    Step,
    alert,
    cancel,
    go,
    names,
    next_time,
    set_time,
    timer,
)

LIVE_UNIT_NS = 10_000_000
FIRST_REAL_UNIT_NS = 20_000_000
SLOWEST_REAL_UNIT_NS = 320_000_000

LIVE_CASES = [case for case in CASES if case.expect_live != NOT_RUN]


def play_ours(script: list[Step], reactions: Reactions, collect: bool = False) -> str:
    clock = TestClock(START_NS)

    def collect_then_handle(to_time_ns: int) -> None:
        for handler in clock.due(to_time_ns):
            handler.handle()

    advance = collect_then_handle if collect else clock.advance_to
    return Player(clock, advance, START_NS, UNIT_NS).play(script, reactions)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_our_test_clock(case: Case) -> None:
    assert play_ours(case.script, case.reactions) == case.expect


@pytest.mark.parametrize("case", LIVE_CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("early_ns", [0, 500_000], ids=["punctual", "early"])
def test_our_live_clock(case: Case, early_ns: int) -> None:
    loop = FakeLoop(early_ns)
    clock = LiveClock(loop=loop, now_ns=loop.now_ns)
    # A tick of grace lets what is due at the end fire; a little ahead, "at 0" is not past yet.
    start_ns, grace_ns = START_NS + LIVE_UNIT_NS // 50, LIVE_UNIT_NS // 10
    player = Player(clock, lambda to: loop.run_until(to + grace_ns), start_ns, LIVE_UNIT_NS, show_reading=False)
    assert player.play(case.script, case.reactions) == case.expect_live


def test_nautilus_test_clock(nautilus: Nautilus) -> None:
    cases = [case for case in CASES if case.expect_nautilus != NOT_RUN]
    transcripts = nautilus.play("step", [(case.script, case.reactions) for case in cases])
    assert {case.name: text for case, text in zip(cases, transcripts, strict=True)} == {
        case.name: case.expect_nautilus for case in cases
    }


def test_nautilus_live_clock(nautilus: Nautilus) -> None:
    """Real time: what differs is played again at half the speed, so that a busy machine cannot fail it."""
    cases = [case for case in CASES if case.expect_nautilus_live != NOT_RUN]
    unit_ns = FIRST_REAL_UNIT_NS
    while True:
        transcripts = nautilus.play_live([(case.script, case.reactions) for case in cases], unit_ns)
        differing = {
            case.name: text for case, text in zip(cases, transcripts, strict=True) if text != case.expect_nautilus_live
        }
        cases = [case for case in cases if case.name in differing]
        if not cases or unit_ns >= SLOWEST_REAL_UNIT_NS:
            break
        unit_ns *= 2
    assert differing == {case.name: case.expect_nautilus_live for case in cases}


def test_collecting_equals_nautilus(nautilus: Nautilus) -> None:
    """`due` is NautilusTrader's `advance_time`, batch semantics included; only the stated differences remain."""
    cases = [case for case in CASES if case.expect_nautilus != NOT_RUN]
    theirs = nautilus.play("collect", [(case.script, case.reactions) for case in cases])
    differing = {
        case.name
        for case, text in zip(cases, theirs, strict=True)
        if play_ours(case.script, case.reactions, collect=True) != text
    }
    assert differing == {"set_time_backward", "expired_callback_is_forgotten"}


TIMES = st.integers(-20, 60)
LETTERS = st.sampled_from(["a", "b", "B", "10", "9", "a b", "_"])
ARMING = st.one_of(
    st.builds(alert, LETTERS, TIMES, st.booleans()),
    st.builds(
        timer,
        LETTERS,
        st.integers(-1, 12),
        st.none() | TIMES,
        st.none() | TIMES,
        st.booleans(),
        st.booleans(),
    ),
)
READING = st.one_of(st.just(names()), st.builds(next_time, LETTERS))
IN_CALLBACK = st.one_of(ARMING, st.builds(cancel, LETTERS), READING)


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """Up to forty steps, with a clock that mostly goes forward."""
    steps, at = [], 0
    for _ in range(draw(st.integers(1, 40))):
        kind = draw(st.integers(0, 9))
        if kind < 5:
            steps.append(draw(ARMING))
        elif kind < 8:
            at += draw(st.integers(0, 10))
            steps.append(set_time(at) if draw(st.integers(0, 4)) == 0 else go(at))
        else:
            steps.append(draw(st.one_of(st.builds(cancel, LETTERS), READING, st.just(go(at - 1)))))
    return steps


@given(script=scripts())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_script_equals_nautilus(nautilus: Nautilus, script: list[Step]) -> None:
    assert [play_ours(script, {})] == nautilus.play("step", [(script, {})])


@given(script=scripts(), reactions=st.dictionaries(LETTERS, st.lists(st.lists(IN_CALLBACK, max_size=2), max_size=3)))
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_script_with_callbacks_collects_as_nautilus(
    nautilus: Nautilus, script: list[Step], reactions: Reactions
) -> None:
    assert [play_ours(script, reactions, collect=True)] == nautilus.play("collect", [(script, reactions)])
