"""An event loop whose time is invented: it jumps to whatever is due next, so a second of waiting costs nothing.

Two runs of the same program on it do the same in the same order, because nothing on it waits for the machine: no
socket, no thread, no clock. What production code measures durations with (``libs.clock.live.monotonic_ns``) reads the
same time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

from libs.clock.live import counting_with

T = TypeVar("T")

#: The tasks of the simulated process in which the present task runs; a kill cancels them all.
OWNED_TASKS: ContextVar[dict[asyncio.Task[Any], None] | None] = ContextVar("OWNED_TASKS", default=None)


class VirtualTime:
    """Seconds since the beginning of the simulation.

    Attributes:
        seconds: Now.
        reading_ns: By how much every reading of the counter moves it: as if the code between two readings took so long.
    """

    def __init__(self, reading_ns: int = 0) -> None:
        self.seconds = 0.0
        self.reading_ns = reading_ns

    def counter_ns(self) -> int:
        """What ``monotonic_ns`` returns."""
        self.seconds += self.reading_ns / 1e9
        return int(self.seconds * 1e9)


class _JumpingSelector(selectors.SelectSelector):
    """No descriptor ever becomes ready; waiting moves the time."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("simulation must have something to wait for, was idle with no timer armed")
        if timeout > 0:
            self._time.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module; work for threads is done at once in the loop."""

    def __init__(self, time: VirtualTime) -> None:
        self._virtual = time
        super().__init__(_JumpingSelector(time))
        self.set_task_factory(_owned_task)  # type: ignore[arg-type]

    def time(self) -> float:
        """Invented seconds."""
        return self._virtual.seconds

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Say nothing: a task of a process that was killed has nobody left who could ask how it ended."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Do it here and now; a thread would end at a moment that no seed decides."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def _owned_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    owned = OWNED_TASKS.get()
    if owned is not None:
        owned[task] = None
        task.add_done_callback(lambda done: owned.pop(done, None))
    return task


def run_virtually(main: Coroutine[Any, Any, T], time: VirtualTime) -> T:
    """As ``asyncio.run``, in invented time."""
    with counting_with(time.counter_ns), asyncio.Runner(loop_factory=lambda: VirtualLoop(time)) as runner:
        return runner.run(main)
