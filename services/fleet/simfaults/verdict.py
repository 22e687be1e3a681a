"""One seed, judged: the run under faults, what must always hold, and the same days without them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from libs.clock import TestClock
from libs.clock.live import monotonic_ns
from libs.contracts.topics import CODEC, REGISTRY
from libs.engine.component import Component
from libs.engine.core import EngineCore
from libs.engine.engine import Outbox
from libs.engine.recovery import recover
from services.fleet.members import engine_components
from services.fleet.report import RunReport
from services.fleet.simfaults.days import Days
from services.fleet.simfaults.faults import OF_THE_VENUE, Fault
from services.fleet.simfaults.loop import VirtualTime, run_virtually
from services.fleet.simfaults.scenario import Scenario, draw_scenario, strategy_settings
from services.fleet.simfaults.venue import UnreliableVenue
from services.fleet.simfaults.witness import Witness
from services.fleet.simfaults.world import World
from services.fleet.simulation import Simulation
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED, closing_command, opening_command, step_groups

#: Makes the fleet of a scenario; tests put engines with a bug into it.
Fleet = Callable[[Scenario, MarketDataSettings], Sequence[Component]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run.

    Attributes:
        wrong: Empty in a sound run.
        fired: Faults that came about; the others waited for a call that was never made.
        lives: Processes started.
        events: Published.
        seconds: Real time it took, the run it is compared with included.
    """

    scenario: Scenario
    wrong: list[str]
    fired: list[Fault]
    lives: int
    events: int
    commits: int
    orders: int
    fills: int
    seconds: float


def fleet_of(scenario: Scenario, market: MarketDataSettings) -> list[Component]:
    """Every engine of production with its default settings, other strategies, and the venue of the scenario."""
    strategy = strategy_settings()
    faults = [fault for fault in scenario.faults if fault.kind in OF_THE_VENUE]
    found = []
    for component in engine_components({"marketdata": market, "strategy": strategy}):
        if component.name == UnreliableVenue.name:
            terms = strategy.paper_terms()
            component = Component(UnreliableVenue.name, partial(UnreliableVenue, terms=terms, faults=faults), port=None)
        found.append(component)
    return found


class Judge:
    """Runs scenarios over some days.

    Args:
        days: Scenarios choose from these.
        market: Settings the days were read with.
        length: Timestamps of a scenario.
        fleet: What is under test.
    """

    def __init__(self, days: Days, market: MarketDataSettings, length: int, fleet: Fleet = fleet_of) -> None:
        self._days = days
        self._market = market
        self._length = length
        self._fleet = fleet
        self._symbols = days.symbols()

    def scenario(self, seed: int) -> Scenario:
        """The scenario of a seed."""
        return draw_scenario(seed, len(self._days.batches), self._length, self._symbols)

    def judge(self, scenario: Scenario) -> Outcome:
        """Run a scenario and compare; the log stays silent, because faults fill it."""
        started = monotonic_ns()
        days = self._days.part(scenario.first, scenario.days)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
        world = self._run(scenario, days)
        wrong = list(world.witness.wrong)
        if not wrong and not scenario.is_free:
            wrong = differences(world.witness.report, self.undisturbed(scenario, days), world.witness.dead)
        witness = world.witness
        return Outcome(
            scenario, wrong, world.book.fired, sum(world.lives.values()), witness.events, witness.commits(),
            witness.report.orders, witness.report.fills, (monotonic_ns() - started) / 1e9,
        )  # fmt: skip

    def _run(self, scenario: Scenario, days: Days) -> World:
        strategy = strategy_settings()
        witness = Witness(strategy.gate_limits(), int(strategy.unknown_seconds * 1e9))
        components = self._fleet(scenario, self._market)

        async def main() -> World:
            world = World(scenario, components, days, self._market, witness)
            await world.run()
            await world.stop()
            if not world.witness.wrong:
                await check_recovery(world, components, scenario)
            return world

        return run_virtually(main(), VirtualTime(scenario.reading_ns))

    def undisturbed(self, scenario: Scenario, days: Days) -> tuple[RunReport, list[str]]:
        """The same days, operator and venue in the simulation of production, without any other fault."""
        report = RunReport()
        simulation = Simulation(self._fleet(scenario.of_the_world, self._market), days.first_ns, None, report.observe)
        summary = days.survey(self._market)
        simulation.send(opening_command(summary, 0.0))
        actions = list(scenario.actions)
        for step, batch in enumerate(days.batches, start=1):
            for group in step_groups(REPLAY_FEED, batch):
                for command in group:
                    simulation.post(command)
                simulation.drain()
            while actions and actions[0].step <= step:
                simulation.send(actions.pop(0).command)
        simulation.send(closing_command(summary, 0.0))
        return report, simulation.dead


async def check_recovery(world: World, components: Sequence[Component], scenario: Scenario) -> None:
    """Recover every engine once more, from nothing but the bus, and compare its state with the one that ran."""
    for component in components:
        clock, outbox = TestClock(), Outbox()
        engine = component.make_engine(clock, outbox)
        core = EngineCore(engine, clock, outbox, CODEC, REGISTRY, follow_events=not scenario.is_free)

        async def ask(question: Callable[[], object]) -> object:
            return await question()  # type: ignore[misc]

        try:
            await recover(core, world.server, world.server.commits_of(component.name), ask)
        except Exception as error:
            world.witness.blame(f"'{component.name}' cannot be recovered: {type(error).__name__}: {error}")
            continue
        ran = world.processes[component.name].host.core
        if core.encode_state() != ran.encode_state() or core.sequence != ran.sequence:
            world.witness.blame(f"state of '{component.name}' is another one after recovery")
        await asyncio.sleep(0)


def differences(report: RunReport, undisturbed: tuple[RunReport, list[str]], dead: list[str]) -> list[str]:
    """What a run published otherwise than the undisturbed one."""
    other, other_dead = undisturbed
    found = []
    for name in ("orders", "denied", "fills", "fees", "breaches", "order_tape", "snapshot", "performance"):
        mine, its = getattr(report, name), getattr(other, name)
        if mine != its:
            found.append(f"{name} must be {its} as in the undisturbed run, was {mine}")
    if sorted(dead) != sorted(other_dead):
        found.append(f"dead letters must be {sorted(other_dead)[:2]} as in the undisturbed run, was {sorted(dead)[:2]}")
    return found
