"""Runs a simulation over the configured data set and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from libs.clock.live import monotonic_ns
from libs.engine.component import Component
from services.fleet.members import engine_components
from services.fleet.report import RunReport
from services.fleet.simulation import Simulation
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED, DatasetSummary, closing_command, opening_command, step_groups

#: Called after each timestamp: (timestamps done, timestamps in all, the timestamp, the report so far).
OnStep = Callable[[int, int, int, RunReport], None]


@dataclass(slots=True)
class SimulationResult:
    """A finished simulation.

    Attributes:
        events: Events handled by all engines together.
        seconds: Wall-clock time it took, reading the data included.
        dead: Errors of events that could not be handled; empty in a sound run.
    """

    summary: DatasetSummary
    report: RunReport
    events: int
    seconds: float
    dead: list[str]
    simulation: Simulation


def simulate(
    settings: MarketDataSettings,
    *,
    components: Sequence[Component] | None = None,
    schedule_seed: int | None = None,
    on_step: OnStep | None = None,
) -> SimulationResult:
    """Run the whole fleet over the data set that ``settings`` name.

    Args:
        settings: What to replay, as for the live replay.
        components: The fleet; by default every engine with its settings from the environment.
        schedule_seed: Serve members in random order, see :class:`Simulation`.
        on_step: For a progress bar.

    Raises:
        DatasetError: If the data is wrong anywhere; nothing is simulated then.
    """
    started = monotonic_ns()
    summary = survey(settings)
    members = list(components) if components is not None else engine_components({"marketdata": settings})
    report = RunReport()
    simulation = Simulation(members, summary.first_ns, schedule_seed, report.observe)
    simulation.send(opening_command(summary, settings.speed))
    for done, batch in enumerate(open_dataset(settings), start=1):
        for group in step_groups(REPLAY_FEED, batch):
            for command in group:
                simulation.post(command)
            simulation.drain()
        if on_step is not None:
            on_step(done, summary.steps, batch.ts_event, report)
    simulation.send(closing_command(summary, settings.speed))
    seconds = (monotonic_ns() - started) / 1e9
    return SimulationResult(summary, report, simulation.events, seconds, simulation.dead, simulation)
