"""Plays scripts on the clocks of the installed nautilus_trader: JSON lines in, transcripts out.

It is a process of its own because some input aborts the one that imports nautilus_trader; and one for a whole test
run because the import takes a second. Started by `nautilus.py` as `python -m tests.libs.clock.nautilus_child`.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from nautilus_trader.common.component import LiveClock, TestClock

from tests.libs.clock.script import START_NS, UNIT_NS, Player

MAX_ROUNDS = 100_000
GRACE_S = 0.3  # of a unit, so that what is due by then has fired and what is due half a unit later has not


def step(clock: Any, to_time_ns: int) -> None:
    """Advance from event to event, running each: how NautilusTrader's engines drive the clock since 1.223."""
    if to_time_ns < clock.timestamp_ns():
        clock.advance_time(to_time_ns)  # raises
    for _ in range(MAX_ROUNDS):
        due = [at for name in clock.timer_names if (at := clock.next_time_ns(name)) <= to_time_ns]
        if not due:
            clock.advance_time(to_time_ns)
            return
        collect(clock, max(min(due), clock.timestamp_ns()))
    raise RuntimeError(f"timers must run out within {MAX_ROUNDS} rounds, were still due")


def collect(clock: Any, to_time_ns: int) -> None:
    """Advance in one go and run what was due afterwards: the plain `advance_time`."""
    for handler in clock.advance_time(to_time_ns):
        handler.handle()


def play(mode: str, job: list[Any]) -> str:
    script, reactions = job
    clock = TestClock()
    clock.set_time(START_NS)
    advance = {"step": step, "collect": collect}[mode]
    return Player(clock, lambda to: advance(clock, to), START_NS, UNIT_NS).play(script, reactions)


def play_live(job: list[Any], unit_ns: int) -> str:
    script, reactions = job
    clock = LiveClock()
    # Microseconds are what this clock schedules in; the start is a little ahead so that "at 0" is not past yet.
    start_ns = (clock.timestamp_ns() + unit_ns // 50) // 1_000 * 1_000

    def wait_until(to_time_ns: int) -> None:
        time.sleep(max((to_time_ns - clock.timestamp_ns() + GRACE_S * unit_ns) / 1e9, 0))

    transcript = Player(clock, wait_until, start_ns, unit_ns, show_reading=False).play(script, reactions)
    clock.cancel_timers()
    return transcript


def main() -> None:
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        mode, jobs = request["mode"], request["jobs"]
        if mode == "live":
            with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
                answer = list(pool.map(partial(play_live, unit_ns=request["unit_ns"]), jobs))
        else:
            answer = [play(mode, job) for job in jobs]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
