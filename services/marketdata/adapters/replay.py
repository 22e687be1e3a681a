"""The replay: walks the data set and sends it to the engine, one timestamp at a time.

It keeps no position of its own. Where to go on, whether to pause and how fast to go is the engine's journaled state; a
replay that is killed between any two commands goes on with the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog

from libs.clock.live import monotonic_ns
from libs.contracts.market import CloseStep, ReportFeedState
from libs.engine.component import AdapterContext
from libs.messagebus.topic import Event
from services.marketdata.adapters.dataset import open_dataset, survey
from services.marketdata.adapters.pacing import Pacer
from services.marketdata.adapters.quiet import Look, QuietWait, Sleep
from services.marketdata.batches import TimestampBatch
from services.marketdata.engine import MarketDataEngine
from services.marketdata.errors import DatasetError, ReplayError
from services.marketdata.feeds import FeedState
from services.marketdata.progress import ReplayProgress
from services.marketdata.settings import MarketDataSettings
from services.marketdata.stepping import (
    REPLAY_FEED,
    DatasetSummary,
    Forward,
    closing_command,
    ingest_commands,
    opening_command,
    step_groups,
)

#: Between two looks at the feed's state while paused, waiting for the pace, or idle.
CONTROL_LOOK_SECONDS: Final = 0.02

Post = Callable[[Event], Awaitable[str]]
OpenData = Callable[[MarketDataSettings, int], Iterator[TimestampBatch]]
SurveyData = Callable[[MarketDataSettings], DatasetSummary]


class ReplayAdapter:
    """Drives one data set through the fleet; an ``Adapter``.

    Args:
        engine: The engine beside it, whose state it obeys.
        post: Sends a command into the engine's inbox and returns when the bus has it.
        look: ``Transport.quiescence``.
        settings: What to replay, and whom to wait for.
        progress: What it observes.
        now_ns, sleep: Monotonic time and waiting, for tests.
        open_data, survey_data: Read the data set; a simulation that reads the same days often keeps them.
    """

    name = "replay"

    def __init__(
        self,
        engine: MarketDataEngine,
        post: Post,
        look: Look,
        settings: MarketDataSettings,
        progress: ReplayProgress,
        *,
        now_ns: Callable[[], int] = monotonic_ns,
        sleep: Sleep = asyncio.sleep,
        open_data: OpenData = open_dataset,
        survey_data: SurveyData = survey,
    ) -> None:
        self._engine = engine
        self._post = post
        self._open_data = open_data
        self._survey_data = survey_data
        self._settings = settings
        self._progress = progress
        self._now_ns = now_ns
        self._sleep = sleep
        self._quiet = QuietWait(look, settings.lockstep_readers, progress, now_ns, sleep)
        self._engine_quiet = QuietWait(look, (engine.name,), progress, now_ns, sleep)
        self._pacer = Pacer()
        self._log = structlog.get_logger("replay")

    async def run(self) -> None:
        """Replay from the engine's cursor to the end, then serve what is ingested by hand, until cancelled.

        Raises:
            DatasetError: If the data set cannot be replayed; the feed is reported as failed first.
            ReplayError: If the engine did not carry out a command.
        """
        summary = await self._survey() if self._settings.sources else None
        await self._quiet.wait()  # what an earlier run has sent is carried out, so the cursor can be believed
        await self._close_open_step()
        if summary is not None:
            await self._replay(summary)
        await self._serve_ingested()

    async def _survey(self) -> DatasetSummary:
        try:
            summary = await asyncio.to_thread(self._survey_data, self._settings)
        except DatasetError as error:
            await self._post(ReportFeedState(0, REPLAY_FEED, "failed", str(error), self._settings.speed))
            await self._engine_quiet.wait()
            raise
        self._progress.summary = summary
        return summary

    async def _replay(self, summary: DatasetSummary) -> None:
        if self._feed().resume_ns <= summary.last_ns:
            await self._send(opening_command(summary, self._settings.speed))
            self._log.info("replay_begins", steps=summary.steps, cursor_ns=self._feed().cursor_ns)
            await self._walk(Forward(self._open_data(self._settings, self._feed().resume_ns)))
        await self._send(closing_command(summary, self._settings.speed))
        self._log.info("replay_ends", step=self._engine.state.step)

    async def _walk(self, data: Forward) -> None:
        first = True
        ahead = 0
        while True:
            await self._gate()
            target = self._feed().resume_ns
            # Leaving out decades takes up to a second of reading: in a thread, so that the loop goes on answering.
            skips = first or self._feed().seek_to_ns > self._feed().cursor_ns
            batch = await asyncio.to_thread(data.next_from, target) if skips else data.next_from(target)
            first = False
            if batch is None:
                break
            self._pacer.step()
            if self._settings.lockstep:
                await self._step(batch)
            else:
                ahead = await self._run_free(batch, ahead)
        await self._quiet.wait()

    async def _gate(self) -> None:
        """Return when the next timestamp may begin."""
        while True:
            feed = self._feed()
            if feed.is_paused:
                self._pacer.reset()
                await self._sleep(CONTROL_LOOK_SECONDS)
                continue
            wait = self._pacer.wait_seconds(self._now_ns(), feed.speed)
            if wait <= 0.0:
                return
            await self._sleep(min(wait, CONTROL_LOOK_SECONDS))

    async def _step(self, batch: TimestampBatch) -> None:
        """One timestamp in lockstep."""
        started = self._now_ns()
        for command in ingest_commands(REPLAY_FEED, batch):
            await self._post(command)
        await self._quiet.wait("ingest")
        self._progress.ingest.observe((self._now_ns() - started) / 1e9)
        feed = self._feed()
        if feed.cursor_ns != batch.ts_event or not feed.is_complete:
            raise ReplayError(
                f"timestamp {batch.ts_event} was sent and not ingested: feed '{feed.feed}' is at {feed.cursor_ns}; "
                "see the refusals and dead letters of marketdata in its log"
            )
        await self._close_open_step()
        self._progress.step.observe((self._now_ns() - started) / 1e9)

    async def _run_free(self, batch: TimestampBatch, ahead: int) -> int:
        """One timestamp without waiting, except for the slowest reader once a window; returns how far ahead it is."""
        for group in step_groups(REPLAY_FEED, batch):
            for command in group:
                await self._post(command)
        if ahead + 1 < self._settings.free_running_window:
            return ahead + 1
        await self._quiet.wait()
        return 0

    async def _close_open_step(self) -> None:
        """Close the stages of the open timestamp, whichever feed opened it, waiting for the fleet after each."""
        while (feed := self._engine.open_feed()) is not None and (stage := feed.next_stage) is not None:
            await self._post(CloseStep(feed.cursor_ns, feed.feed, stage))
            await self._quiet.wait(stage)
            if feed.next_stage == stage:
                raise ReplayError(
                    f"stage '{stage}' of {feed.cursor_ns} was sent and not closed; "
                    "see the refusals and dead letters of marketdata in its log"
                )

    async def _serve_ingested(self) -> None:
        """Close the timestamps that ``POST /data/ingest`` opens."""
        while True:
            if self._engine.open_feed() is not None:
                await self._quiet.wait()
                await self._close_open_step()
            await self._sleep(CONTROL_LOOK_SECONDS)

    async def _send(self, command: ReportFeedState) -> None:
        await self._post(command)
        await self._quiet.wait()

    def _feed(self) -> FeedState:
        return self._engine.state.feeds.get(REPLAY_FEED) or FeedState(REPLAY_FEED)


def replay_adapter(context: AdapterContext, settings: MarketDataSettings, progress: ReplayProgress) -> ReplayAdapter:
    """The replay of a running process."""
    return ReplayAdapter(context.engine, context.commands.post, context.transport.quiescence, settings, progress)
