"""The table of cases every clock is held against.

`expect` is the transcript (see `script.py`) of our `TestClock`. The other columns are filled where a clock differs,
so each filled one is a statement: NautilusTrader 1.221's test clock, stepped from event to event as its later engines
do (`nautilus`), our live clock (`live`), NautilusTrader's live clock (`nautilus_live`). NOT_RUN says that the case
cannot be played there: live clocks cannot be set, and NautilusTrader's aborts the process on some input.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.libs.clock.script import (
    Reactions,
    Step,
    alert,
    cancel,
    cancel_all,
    go,
    names,
    next_time,
    now,
    set_time,
    timer,
)

NOT_RUN = "not run"


@dataclass(frozen=True)
class Case:
    name: str
    script: list[Step]
    expect: str
    reactions: Reactions = field(default_factory=dict)
    nautilus: str | None = None
    live: str | None = None
    nautilus_live: str | None = None

    @property
    def expect_nautilus(self) -> str:
        return self.expect if self.nautilus is None else self.nautilus

    @property
    def expect_live(self) -> str:
        return self.expect if self.live is None else self.live

    @property
    def expect_nautilus_live(self) -> str:
        return self.expect_live if self.nautilus_live is None else self.nautilus_live


def still(name: str, script: list[Step], expect: str, **columns: str | Reactions) -> Case:
    """Return a case that only a clock moved by hand can play."""
    return Case(name, script, expect, **{"live": NOT_RUN, **columns})  # type: ignore[arg-type]


REPEATING = [
    Case("alert_fires_once", [alert("a", 1), go(3), names()], "a@1 names=none"),
    Case("timer_repeats", [timer("t", 1, start=0), go(3), next_time("t")], "t@1 t@2 t@3 next=4"),
    Case("timer_without_start_begins_now", [timer("t", 1), go(2)], "t@1 t@2"),
    Case("timer_fires_at_its_start", [timer("t", 1, start=1, fire_immediately=True), go(3)], "t@1 t@2 t@3"),
    Case("timer_fires_now", [timer("t", 1, fire_immediately=True), go(2)], "t@0 t@1 t@2"),
    Case("start_ahead", [timer("t", 1, start=2), go(1), names(), go(4)], "names=t t@3 t@4"),
    Case(
        "stop_on_grid_is_inclusive",
        [timer("t", 1, start=0, stop=3), go(3), names(), next_time("t"), go(6)],
        "t@1 t@2 t@3 names=none next=none",
        nautilus_live="t@1 t@2 names=none next=3",  # exclusive, and the next time is stale
    ),
    Case(
        "stop_on_grid_from_the_start",
        [timer("t", 1, start=1, stop=3, fire_immediately=True), go(5)],
        "t@1 t@2 t@3",
        nautilus_live="t@1 t@2",
    ),
    Case("stop_off_grid", [timer("t", 1, start=0, stop=3.5), go(6), names()], "t@1 t@2 t@3 names=none"),
    still(
        "stop_off_grid_keeps_the_name_until_the_next_grid_point",
        [timer("t", 1, start=0, stop=3.5), go(3.9), names(), next_time("t"), go(4), names(), next_time("t")],
        "t@1 t@2 t@3 names=t next=4 names=none next=none",
    ),
    Case("stop_at_first_event", [timer("t", 1, start=0, stop=1), go(3)], "t@1"),
    Case("advance_is_inclusive", [alert("a", 2), go(1), names(), go(2)], "names=a a@2"),
    still("advance_sets_the_time", [alert("a", 2), go(1), now(), go(3), now()], "now=1 a@2 now=3"),
    still("advance_to_now", [go(2), go(2), now()], "now=2"),
]

ORDER = [
    Case(
        "same_time_by_name_not_by_arming",
        [alert("zeta", 1), alert("alpha", 1), alert("mike", 1), go(2)],
        "alpha@1 mike@1 zeta@1",
        nautilus_live=NOT_RUN,  # any order: four runs gave four
    ),
    Case(
        "names_compare_by_code_point",
        [*(alert(name, 1) for name in ("alpha", "9", "_x", "a b", "10", "Mike", "alph")), go(1)],
        "10@1 9@1 Mike@1 _x@1 a b@1 alph@1 alpha@1",
        nautilus_live=NOT_RUN,
    ),
    Case(
        "timers_and_alerts_interleave",
        [timer("slow", 3, start=0), alert("alert", 3), timer("fast", 1, start=0), go(6)],
        "fast@1 fast@2 alert@3 fast@3 slow@3 fast@4 fast@5 fast@6 slow@6",
        nautilus_live=NOT_RUN,
    ),
]

PAST = [
    Case("past_alert_fires_now", [alert("p", -4), next_time("p"), go(1)], "next=0 p@0"),
    still("alert_at_now_may_disallow_past", [alert("p", 0, allow_past=False), go(0)], "p@0"),
    Case("past_alert_disallowed", [alert("p", -4, allow_past=False), names()], "ValueError names=none"),
    Case(
        "past_start",
        [timer("t", 1, start=-2.5), go(1.6)],
        "t@-1.5(0) t@-0.5(0) t@0.5 t@1.5",  # every past event, while the clock stays where it is
        live="t@0.5 t@1.5",  # none of them, on the same grid
        nautilus_live="t@0 t@1",  # one at once, and the grid moves
    ),
    Case(
        "past_start_disallowed",
        [timer("t", 1, start=-2.5, allow_past=False), names()],
        "ValueError names=none",
        nautilus_live=NOT_RUN,
    ),
    still("first_event_now_is_not_past", [timer("t", 1, start=-1, allow_past=False), go(1)], "t@0 t@1"),
    Case(
        "past_start_with_future_first_event",
        [timer("t", 3, start=-1, allow_past=False), go(3)],
        "t@2",
        nautilus_live=NOT_RUN,
    ),
    still("set_time_fires_nothing", [alert("a", 1), set_time(5), names(), now()], "names=a now=5"),
    still("set_time_delivers_late", [timer("t", 2), set_time(5), go(6)], "t@2(5) t@4(5) t@6"),
    still(
        "set_time_backward",
        [go(5), set_time(3), now()],
        "ValueError now=5",  # on purpose: time never goes backward
        nautilus="now=3",
    ),
    still("advance_backward", [go(5), go(3), now()], "ValueError now=5"),
]

NAMES = [
    Case("duplicate_alert", [alert("a", 1), alert("a", 2), go(3)], "KeyError a@1"),
    Case("duplicate_across_kinds", [timer("a", 2), alert("a", 1), go(2)], "KeyError a@2"),
    Case("name_is_free_after_expiry", [alert("a", 1), go(2), alert("a", 3), go(4)], "a@1 a@3"),
    Case(
        "cancel",
        [timer("t", 1, start=0), go(2), cancel("t"), names(), next_time("t"), go(5)],
        "t@1 t@2 names=none next=none",
        nautilus_live="t@1 t@2 names=none next=none",
    ),
    Case("cancel_then_rearm", [alert("t", 2), cancel("t"), alert("t", 1), go(3)], "t@1"),
    Case("cancel_unknown", [cancel("zz")], "KeyError"),
    Case(
        "cancel_all",
        [cancel_all(), alert("a", 1), timer("b", 1), names(), cancel_all(), go(3), names()],
        "names=a,b names=none",
    ),
    Case(
        "blank_name",
        [alert("", 1), alert("  ", 1), next_time(""), cancel("")],
        "ValueError ValueError ValueError ValueError",
    ),
    Case(
        "default_handler",
        [alert("a", 1, default=True), timer("t", 2, start=0, default=True), go(3)],
        "default a@1 default t@2",
    ),
    still(
        "expired_callback_is_forgotten",
        [alert("a", 1), go(1), alert("a", 2, default=True), go(2)],
        "a@1 default a@2",  # on purpose: no callback means the default handler
        nautilus="a@1 a@2",
    ),
    still(
        "unicode_name",
        [alert("é", 1), alert("z", 1), go(1)],
        "z@1 é@1",
        nautilus=NOT_RUN,  # aborts the process
    ),
]

ERRORS = [
    still("interval_zero", [timer("t", 0)], "ValueError"),
    still("interval_negative", [timer("t", -1)], "OverflowError"),
    still("time_negative", [alert("a", -1e16)], "OverflowError"),
    still("stop_now", [timer("t", 1, stop=0)], "ValueError"),
    still("stop_past", [timer("t", 1, start=-9, stop=-1)], "ValueError"),
    still("stop_before_first_event", [timer("t", 2, stop=1)], "ValueError"),
    still("stop_before_second_event", [timer("t", 2, start=0, stop=1, fire_immediately=True)], "ValueError"),
    still("failed_arming_leaves_nothing", [timer("t", 0), names(), timer("t", 1), go(1)], "ValueError names=none t@1"),
]

CALLBACKS = [
    Case(
        "rearm_own_alert",
        [alert("a", 1), go(4), names()],
        "a@1 a@2 a@3 names=none",
        {"a": [[alert("a", 2)], [alert("a", 3)]]},
        nautilus_live="a@1 KeyError names=none",
    ),  # the name is freed too late: the chain dies
    Case(
        "rearm_own_timer_at_its_last_event",
        [timer("t", 1, start=0, stop=1), go(4)],
        "t@1 t@3",
        {"t": [[timer("t", 2, start=1, stop=3)]]},
        nautilus_live=NOT_RUN,
    ),
    Case("cancel_itself", [timer("t", 1, start=0), go(3), names()], "t@1 names=none", {"t": [[cancel("t")]]}),
    Case("cancel_a_later_timer", [timer("a", 1, start=0), alert("z", 2), go(3)], "a@1 a@2 a@3", {"a": [[cancel("z")]]}),
    Case(
        "cancel_a_timer_of_the_same_time",
        [alert("a", 1), alert("z", 1), go(2)],
        "a@1",  # on purpose: a cancelled timer never fires
        {"a": [[cancel("z")]]},
        nautilus="a@1 KeyError z@1",
        nautilus_live=NOT_RUN,
    ),
    Case("arm_between", [timer("t", 2, start=0), go(4)], "t@2 x@3 t@4", {"t": [[alert("x", 3)]]}),
    Case("arm_at_the_current_time", [alert("a", 1), go(2)], "a@1 x@1", {"a": [[alert("x", 1)]]}),
    still(
        "next_time_inside_callback",
        [timer("t", 1), alert("a", 2), go(2)],
        "t@1 next=2 a@2 names=t t@2 next=3",
        reactions={"t": [[next_time("t")], [next_time("t")]], "a": [[names()]]},
    ),
]

CASES = REPEATING + ORDER + PAST + NAMES + ERRORS + CALLBACKS
