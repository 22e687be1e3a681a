"""Faults at drawn moments, from a seed that is printed: the same seed draws the same victims and pauses again."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass

from libs.contracts.fleet import ENGINES
from tests.faults.fleet import MultiProcessFleet
from tests.support.processes import wait_until

#: Whether the long forms are wanted (``make soak``).
SOAK = bool(os.environ.get("NAUTILUS_SOAK"))
#: Kills between two looks whether the replay has moved on.
KILLS_A_LOOK = 5
#: What a member says of itself that handles events; it is degraded while others are missing.
AT_WORK = ("healthy", "degraded")


def fault_seed() -> int:
    """``NAUTILUS_FAULT_SEED``, else a fresh one; printed, so that a failing run can be drawn again."""
    chosen = int(os.environ.get("NAUTILUS_FAULT_SEED") or int.from_bytes(os.urandom(4)))
    print(f"faults are drawn with seed {chosen}; run again with NAUTILUS_FAULT_SEED={chosen}")
    return chosen


@dataclass
class Killed:
    """What the killer did.

    Attributes:
        by_state: Kills by what the victim said of itself; ``beginning`` = it did not answer yet.
        freezes: SIGSTOP and SIGCONT.
        steps: Timestamps the replay closed meanwhile.
    """

    by_state: dict[str, int]
    freezes: int = 0
    steps: int = 0

    @property
    def kills(self) -> int:
        return sum(self.by_state.values())


def status(fleet: MultiProcessFleet, name: str) -> str:
    """What a member says of itself, ``beginning`` where it does not answer yet."""
    return str(fleet.health(name).get("status", "beginning"))


def kill_at_random(fleet: MultiProcessFleet, kills: int, seed: int) -> Killed:
    """Kill members of a fleet whose replay runs and start each again at once, without waiting until it is well.

    A moment drawn at random falls into a batch, into a commit or between two, as it comes; several fall at once; one
    in five hits whoever is drawn, perhaps within its own start and recovery, the others somebody at work. Every few
    kills the replay has to have moved on, so that it is always a flow of data that is hit.
    """
    draw = random.Random(seed)
    done = Killed({})
    first = seen = fleet.step()
    looked = 0
    while done.kills < kills:
        time.sleep(draw.uniform(0.0, 0.3))  # the moment is part of what is drawn
        for name in draw.sample(ENGINES, min(draw.choice((1, 1, 2, 3)), kills - done.kills)):
            if draw.random() < 0.8:
                wait_until(f"{name} is at work", lambda name=name: status(fleet, name) in AT_WORK)
            if draw.random() < 0.1:
                fleet.children[name].send(signal.SIGSTOP)
                time.sleep(draw.uniform(0.0, 0.3))
                fleet.children[name].send(signal.SIGCONT)
                done.freezes += 1
            state = status(fleet, name)
            fleet.children[name].kill()
            fleet.start(name)
            done.by_state[state] = done.by_state.get(state, 0) + 1
        if done.kills >= looked + KILLS_A_LOOK:
            looked = done.kills
            wait_until("the replay moves on", lambda seen=seen: fleet.step() > seen)
            seen = fleet.step()
    wait_until("the replay answers again", fleet.feed)  # perhaps the last one killed was its engine
    done.steps = fleet.step() - first
    return done
