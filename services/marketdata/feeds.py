"""The life of a feed: its cursor, its pace, and which command may come next.

The cursor says exactly how far a timestamp has come (parts ingested, stages closed), so a source that died between
any two commands goes on with the next one, and a command that is repeated changes nothing.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from libs.contracts.market import STEP_STAGES, CloseStep, IngestMarketData, StepStage
from libs.engine.errors import CommandRefused
from services.marketdata.stamps import iso_of

FeedStatus = Literal["starting", "running", "paused", "finished", "failed", "stopped"]

#: A feed in one of these states publishes nothing more on its own.
ENDED: Final = frozenset({"finished", "failed", "stopped"})
_STAGE_NUMBER: Final = {stage: number for number, stage in enumerate(STEP_STAGES)}


class FeedState(msgspec.Struct):
    """One feed.

    Attributes:
        report: State and detail as its adapter last reported them.
        speed: Steps a second, 0 = as fast as readers keep up.
        reported_speed: The speed its adapter was last configured with, -1 before the first report.
        seek_to_ns: Timestamps before it are left out.
        first_ns, last_ns, steps_total: What a replay will publish; 0 where unknown.
        cursor_ns: The timestamp being published, or the last one published.
        parts: Parts of it that were ingested.
        is_complete: Whether its last part was.
        stages: How many of its stages are closed; 3 = the timestamp is done.
        steps, records: Published by this feed so far.
    """

    feed: str
    state: FeedStatus = "starting"
    detail: str = ""
    report: list[str] = []
    is_paused: bool = False
    speed: float = 0.0
    reported_speed: float = -1.0
    seek_to_ns: int = 0
    first_ns: int = 0
    last_ns: int = 0
    steps_total: int = 0
    cursor_ns: int = 0
    parts: int = 0
    is_complete: bool = True
    stages: int = len(STEP_STAGES)
    steps: int = 0
    records: int = 0

    @property
    def is_replay(self) -> bool:
        """Whether it walks a data set whose bounds are known, so that it can be steered."""
        return self.last_ns > 0

    @property
    def is_open(self) -> bool:
        """Whether a timestamp has begun and not closed its last stage."""
        return not self.is_complete or self.stages < len(STEP_STAGES)

    @property
    def next_stage(self) -> StepStage | None:
        """The stage to close next; None when the data is incomplete or all are closed."""
        return STEP_STAGES[self.stages] if self.is_complete and self.stages < len(STEP_STAGES) else None

    @property
    def resume_ns(self) -> int:
        """The first timestamp a source must still send: the open one, or the first after the cursor or the seek."""
        return self.cursor_ns if self.is_open else max(self.cursor_ns + 1, self.seek_to_ns)

    def view(self) -> dict[str, Any]:
        """Plain data for answers and ``/status``."""
        return {
            "feed": self.feed,
            "state": self.state,
            "detail": self.detail,
            "speed_steps_per_second": self.speed,
            "cursor_ns": self.cursor_ns,
            "seek_to_ns": self.seek_to_ns,
            "steps": self.steps,
            "steps_total": self.steps_total,
            "records": self.records,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


def wants_part(feed: FeedState, command: IngestMarketData, timeline_ns: int) -> bool:
    """Whether this part is new; False when it was ingested before.

    Raises:
        CommandRefused: If it skips a part, begins a timestamp while another one is open, or goes back in time.
    """
    if command.ts_event < feed.cursor_ns:
        return False
    if command.ts_event == feed.cursor_ns:
        if command.part < feed.parts:
            return False
        if feed.is_complete:
            raise _refusal(
                "step-complete",
                f"timestamp {command.ts_event} of '{feed.feed}' has {feed.parts} parts, was part {command.part}",
                "send later timestamps only",
            )  # fmt: skip
    elif feed.is_open:
        raise step_open(feed, command.ts_event)
    elif command.ts_event <= timeline_ns:
        raise _refusal(
            "time-backwards",
            f"data of '{feed.feed}' must be after {iso_of(timeline_ns)}, which is published, "
            f"was {iso_of(command.ts_event)}",
            "send later data, or begin anew with another NAUTILUS_DATA_DIR",
        )
    expected = feed.parts if command.ts_event == feed.cursor_ns else 0
    if command.part != expected:
        raise _refusal(
            "part-missing",
            f"part of {command.ts_event} must be {expected}, was {command.part}",
            "send the parts in order",
        )
    return True


def wants_stage(feed: FeedState, command: CloseStep) -> bool:
    """Whether this stage is to be closed now; False when it was closed before.

    Raises:
        CommandRefused: If the data is not complete or an earlier stage is still open.
    """
    number = _STAGE_NUMBER[command.stage]
    if command.ts_event < feed.cursor_ns or (command.ts_event == feed.cursor_ns and number < feed.stages):
        return False
    if command.ts_event == feed.cursor_ns and feed.is_complete and number == feed.stages:
        return True
    raise _refusal(
        "stage-early",
        f"stage '{command.stage}' of {command.ts_event} cannot close: '{feed.feed}' is at {feed.cursor_ns} with "
        f"{feed.parts} parts and {feed.stages} stages closed",
        "send the data and the stages of a timestamp in order",
    )


def note_part(feed: FeedState, command: IngestMarketData, records: int) -> None:
    """Move the cursor over an ingested part."""
    if command.ts_event != feed.cursor_ns:
        feed.cursor_ns = command.ts_event
        feed.stages = 0
        feed.steps += 1
    feed.parts = command.part + 1
    feed.is_complete = command.is_last_part
    feed.records += records


def step_open(feed: FeedState, ts_event: int) -> CommandRefused:
    """The refusal of data that comes before an open timestamp has closed."""
    return _refusal(
        "step-open",
        f"data of {iso_of(ts_event)} cannot come while {iso_of(feed.cursor_ns)} of '{feed.feed}' is open",
        "wait until that timestamp has closed its three stages",
    )


def _refusal(code: str, detail: str, remedy: str) -> CommandRefused:
    return CommandRefused(409, code, detail, remedy)
