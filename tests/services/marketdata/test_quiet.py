"""Looking at the fleet: often enough to lose little time, seldom enough to take little."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.messagebus.transport import Quiescence
from services.marketdata.adapters.quiet import QuietWait
from services.marketdata.progress import ReplayProgress


class Drains:
    """A fleet that needs ``seconds`` to become quiet after each beginning."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.quiet_ns = 0
        self.looks = 0
        self.progress = ReplayProgress()
        self.wait = QuietWait(self.look, ("risk", "portfolio"), self.progress, lambda: self.now_ns, self.sleep)

    async def look(self, readers: Sequence[str]) -> Quiescence:
        self.looks += 1
        self.now_ns += 200_000  # a look takes time too
        waiting = [] if self.now_ns >= self.quiet_ns else sorted(readers)
        return Quiescence(not waiting, waiting)

    async def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def drain(self, seconds: float, phase: str = "mark") -> tuple[int, float]:
        """Wait for one drain; the looks it took, and how late its end was noticed."""
        self.looks, self.quiet_ns = 0, self.now_ns + round(seconds * 1e9)
        asyncio.run(self.wait.wait(phase))
        return self.looks, (self.now_ns - self.quiet_ns) / 1e9


def test_it_learns_how_long_a_phase_takes() -> None:
    fleet = Drains()
    first_looks, _ = fleet.drain(0.025)
    for _ in range(30):
        looks, late = fleet.drain(0.025)
    assert looks < first_looks
    assert late < 0.004
    assert fleet.drain(0.001, "decide")[1] < 0.002  # another phase has its own memory


def test_an_outage_does_not_teach_it_to_wait_long() -> None:
    fleet = Drains()
    for _ in range(10):
        fleet.drain(0.005)
    fleet.drain(600.0)
    assert fleet.drain(0.005)[1] < 0.02
    for _ in range(30):
        _, late = fleet.drain(0.005)
    assert late < 0.003


def test_it_shows_whom_it_waits_for_until_they_are_done() -> None:
    fleet = Drains()
    seen: list[tuple[list[str], int]] = []
    sleep = fleet.sleep

    async def noting(seconds: float) -> None:
        seen.append((fleet.progress.waiting_for, fleet.progress.waiting_since_ns))
        await sleep(seconds)

    fleet.now_ns = 7
    fleet.wait = QuietWait(fleet.look, ("risk", "portfolio"), fleet.progress, lambda: fleet.now_ns, noting)
    fleet.drain(0.01)
    assert (["portfolio", "risk"], 7) in seen
    assert (fleet.progress.waiting_for, fleet.progress.waiting_since_ns) == ([], 0)
