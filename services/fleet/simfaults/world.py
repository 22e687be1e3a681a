"""The fleet under faults: processes that die and are started again, one bus, one source, one operator."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from typing import Any

from libs.contracts.fleet import READERS
from libs.contracts.topics import CODEC
from libs.engine.component import Component
from libs.messagebus.transport import Quiescence
from services.fleet.simfaults.days import Days
from services.fleet.simfaults.endings import is_expected
from services.fleet.simfaults.faults import Fault, FaultBook
from services.fleet.simfaults.line import Line
from services.fleet.simfaults.operator import Bystander, Operator
from services.fleet.simfaults.process import SimulatedProcess
from services.fleet.simfaults.scenario import Scenario
from services.fleet.simfaults.server import Image, Landed, Server
from services.fleet.simfaults.wall_clock import WallClock
from services.fleet.simfaults.witness import Witness
from services.marketdata.adapters.replay import ReplayAdapter
from services.marketdata.progress import ReplayProgress
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import REPLAY_FEED

#: After so long a standby takes the place of a process that does not move.
LEASE_SECONDS = 0.5
#: A supervisor starts a process again after so long.
RESTART_SECONDS = 0.05
#: A run that takes longer, in simulated time, hangs; outages and frozen processes take some seconds each.
PATIENCE_SECONDS = 60.0
#: No scenario has so many faults that kill one engine.
MOST_LIVES = 40
_SOURCE = "marketdata"


class World:
    """One run of one scenario.

    Args:
        components: The fleet.
        days: Timestamps of the scenario.

    Attributes:
        witness: What was seen.
        book: What went wrong by plan.
        lives: Processes started, by engine.
    """

    def __init__(
        self,
        scenario: Scenario,
        components: Sequence[Component],
        days: Days,
        market: MarketDataSettings,
        witness: Witness,
    ) -> None:
        self.scenario = scenario
        self.witness = witness
        self.book = FaultBook(scenario.faults)
        self.server = Server(self._landed, lambda reader, epoch: self.witness.acquired(reader, epoch))
        self.lives: dict[str, int] = {}
        self.processes: dict[str, SimulatedProcess] = {}
        self._components = {component.name: component for component in components}
        self._days = days
        self._market = market.model_copy(update={"lockstep": scenario.is_lockstep, "speed": 0.0})
        self._clock = WallClock(days.first_ns)
        self._steps = {batch.ts_event: number for number, batch in enumerate(days.batches, start=1)}
        self._operator = Operator(scenario.actions, self._operator_line, self._clock)
        self._images: dict[int, Image] = {}
        self._image_at = {f.nth - f.count for f in scenario.faults if f.kind == "failover"}
        self._writes = 0
        self._is_over = False
        self._wrong = asyncio.Event()
        self._runs: set[asyncio.Task[None]] = set()

    # -- the run ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the last timestamp is done and the fleet is quiet, or something is wrong."""
        self._images[0] = self._image()
        for name in self._components:
            self._start(name)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                finished = asyncio.create_task(self._finish())
                wrong = asyncio.create_task(self._wrong.wait())
                await asyncio.wait({finished, wrong}, return_when=asyncio.FIRST_COMPLETED)
                if finished.done():
                    finished.result()
                finished.cancel()
                wrong.cancel()
        except TimeoutError:
            waiting = ", ".join(self.server.quiescence_nowait(READERS).waiting_for) or "nobody"
            self._blame(f"the fleet came to no end within {PATIENCE_SECONDS:g} s, waiting for {waiting}")
        if not self.witness.wrong:
            self.witness.when_quiet(self._is_venue_silent())

    async def _finish(self) -> None:
        while not self._is_finished():  # noqa: ASYNC110 (it depends on every host and on the bus)
            await asyncio.sleep(0.05)

    def _is_finished(self) -> bool:
        feed = self.processes[_SOURCE].host.engine.state.feeds.get(REPLAY_FEED)  # type: ignore[attr-defined]
        is_over = feed is not None and feed.state == "finished" and self._operator.sent == len(self.scenario.actions)
        are_up = all(not one.is_dead and one.host.state == "running" for one in self.processes.values())
        return is_over and are_up and self.server.quiescence_nowait(READERS).quiet

    async def stop(self) -> None:
        """Kill whatever runs, for good."""
        self._is_over = True
        for process in self.processes.values():
            process.kill()
        for task in list(self._runs):
            task.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    # -- processes --------------------------------------------------------------------------------

    def _start(self, name: str, standby: bool = False) -> None:
        scenario, life = self.scenario, self.lives.get(name, 0)
        self.lives[name] = life + 1
        settings = {
            "follow_events": not scenario.is_free,
            "start_ns": self._days.first_ns,
            "snapshot_seconds": scenario.snapshot_seconds,
            "lease_seconds": LEASE_SECONDS,
            "standby": standby,
        }
        process = SimulatedProcess(
            self._components[name], life, self.server, self.book, scenario.seed, self._clock, settings, self._replace
        )
        self._watch_replies(process)
        task = process.start(self._source if name == _SOURCE else None)
        if standby:
            waiting = asyncio.get_running_loop().create_task(self._promote(process))
            self._runs.add(waiting)
            task.add_done_callback(lambda _: waiting.cancel())
        else:
            self.processes[name] = process
        self._runs.add(task)
        task.add_done_callback(lambda done: self._ended(process, done))

    def _ended(self, process: SimulatedProcess, task: asyncio.Task[None]) -> None:
        self._runs.discard(task)
        error = process.error
        if self.lives[process.name] > MOST_LIVES:
            self._blame(f"process of '{process.name}' was started {MOST_LIVES} times and ended again, last by: {error}")
        epoch = self.witness.epochs.get(process.name, 0)
        if error is not None and not is_expected(process, error, epoch, self.server.generation):
            self._blame(f"process of '{process.name}' ended: {type(error).__name__}: {error}")
        if self.processes.get(process.name) is process and not self._is_over:
            asyncio.get_running_loop().call_later(RESTART_SECONDS, self._start_again, process)

    def _start_again(self, process: SimulatedProcess) -> None:
        if self.processes.get(process.name) is process and not self._is_over:
            self._start(process.name)

    def _replace(self, process: SimulatedProcess, is_hot: bool) -> None:
        """A process stopped moving: a hot standby judges by itself, a cold one is started when the lease is over."""

        def take_over() -> None:
            is_newest = self.processes.get(process.name) is process
            if is_newest and not process.is_dead and not process.line.awake.is_set():
                self._start(process.name)

        if is_hot:
            self._start(process.name, standby=True)
        else:
            asyncio.get_running_loop().call_later(LEASE_SECONDS, take_over)

    async def _promote(self, process: SimulatedProcess) -> None:
        await process.host.leading.wait()
        self.processes[process.name] = process

    def _watch_replies(self, process: SimulatedProcess) -> None:
        """Nobody may be told that a command was carried out before the commit that did it."""
        settle, name = process.host.replies.settle, process.name

        def settle_committed(replies: Any) -> None:
            for event_id in replies:
                if not self.witness.is_carried_out(name, event_id):
                    self._blame(f"'{name}' answered command {event_id} before the commit that carried it out")
            settle(replies)

        process.host.replies.settle = settle_committed  # type: ignore[method-assign]

    # -- source and operator ----------------------------------------------------------------------

    async def _source(self, process: SimulatedProcess) -> None:
        while process.host.state in ("starting", "standby"):  # noqa: ASYNC110 (a host tells its state only)
            await asyncio.sleep(0.001)
        engine: Any = process.host.engine

        async def look(readers: Sequence[str]) -> Quiescence:
            answer = await process.line.quiescence(readers)
            feed = engine.state.feeds.get(REPLAY_FEED)
            if not answer.quiet or feed is None or feed.is_open or len(readers) < len(READERS):
                return answer
            return self._operator.gate(self._steps.get(feed.cursor_ns, 0), answer)

        source = ReplayAdapter(
            engine, process.publisher.publish_confirmed, look, self._market, ReplayProgress(),
            open_data=self._days.open, survey_data=self._days.survey,
        )  # fmt: skip
        await source.run()

    def _operator_line(self) -> Line:
        return Line(self.server, Bystander(), self.book, f"{self.scenario.seed}:operator")

    def _is_venue_silent(self) -> bool:
        state = self.processes["paper"].host.engine.state  # type: ignore[attr-defined]
        reached = [fault for fault in self.scenario.faults if fault.method == "order" and fault.nth <= state.taken]
        self.book.fired.extend(reached)
        return bool(state.held) or any(fault.kind == "venue_lost_acknowledgement" for fault in reached)

    # -- the bus ----------------------------------------------------------------------------------

    def _landed(self, write: Landed) -> None:
        self.witness.landed(write)
        if self.witness.wrong:
            self._wrong.set()
        if write.producer.startswith(f"{_SOURCE}-"):
            for entry in write.outputs:
                self._clock.show(max((event.ts_event for event in CODEC.decode(entry.data).events), default=0))
        self._writes += 1
        if self._writes in self._image_at:
            self._images[self._writes] = self._image()
        for fault in self.book.next("", "write"):
            asyncio.get_running_loop().call_soon(self._happen, fault)

    def _happen(self, fault: Fault) -> None:
        loop = asyncio.get_running_loop()
        match fault.kind:
            case "outage":
                self.server.is_down = True
                self.server.break_connections()
                loop.call_later(fault.seconds, setattr, self.server, "is_down", False)
            case "failover":
                # What an earlier failover has lost is in no replica: the images of it are gone too.
                newest = max(number for number in self._images if number <= max(0, fault.nth - fault.count))
                self._images = {number: image for number, image in self._images.items() if number <= newest}
                self._fail_over(self._images[newest])
            case "clock_jump":
                self._clock.jumped_ns += int(fault.seconds * 1e9)
            case _:
                pass

    def _image(self) -> Image:
        return self.server.image((copy.deepcopy(self.witness), self._operator.sent))

    def _fail_over(self, image: Image) -> None:
        wrong = self.witness.wrong
        self.witness, sent = copy.deepcopy(image.beside)
        self.witness.wrong = [*wrong, *self.witness.wrong]
        self.server.fail_over(image)
        self._operator.bus_lost(sent)

    def _blame(self, what: str) -> None:
        self.witness.blame(what)
        self._wrong.set()
