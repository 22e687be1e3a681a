"""The run-time guard: what a handler must not do raises while it runs, and names the line that did it.

Engines are deterministic only as long as no handler asks the machine for the time, for chance or for a file.
``tests/architecture`` reads the sources for that; this guard sees what a source does not show: a strategy of the user,
a library, a name bound at run time. It watches simulations, strategy validation and every engine under test. A live
host does not install it: the wrappers would cost an adapter that reads its clock all day.

How it sees::

    functions of time, random, os, uuid, secrets, numpy.random   replaced once a process by wrappers
    datetime.now, datetime.utcnow                                replaced in the type itself
    threads, the environment, random.Random()                    methods replaced in their classes
    files, directories, sockets, processes                       an audit hook of the interpreter
    date.today, datetime.today                                   they call time.time

Wrappers and hook look at one thread-local flag and let everything pass unless a guarded block is open *on this
thread*; entering one costs about two microseconds a batch. A module that a handler imports for the first time may do
as it likes while it loads, and so may finalizers that the garbage collector happens to run.

What it cannot see: C code that asks the system itself (``numpy.datetime64("now")``), a function stored in a default
argument or a table before the guard was installed, ``os.stat``, ``print``. The architecture tests refuse these in the
fleet's own code.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
import threading
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from libs.engine.errors import NondeterminismError
from libs.engine.watched_calls import INTERPRETER_EVENTS, replace_watched

P = ParamSpec("P")
R = TypeVar("R")

_LIBRARIES: Final = tuple(
    sorted({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})
)
_IMPORT_SYSTEM: Final = "<frozen importlib"


class _Here(threading.local):
    """What this thread is doing."""

    guard: guarded | None = None
    is_collecting: bool = False


_here = _Here()
_is_installed = False


class guarded:  # noqa: N801 (used like a function, as contextlib's managers are)
    """Watch a block: whatever handler code asks of the machine inside raises.

    The first violation raises again at the end of the block, so that neither the core, which turns what a handler
    raises into a dead letter, nor a handler with a wide ``except`` can swallow it.

    Example::

        with guarded("risk"):
            batch = core.process(entries, ts)

    Args:
        who: Whose handlers run, for the message.

    Raises:
        NondeterminismError: If anything inside asked for the time, chance, a file, a socket, a process or a thread.
    """

    __slots__ = ("_before", "frame", "violation", "who")

    def __init__(self, who: str) -> None:
        self.who = who
        self.violation: NondeterminismError | None = None
        self.frame: FrameType | None = None
        self._before: guarded | None = None

    def __enter__(self) -> guarded:
        install()
        self.frame = sys._getframe(1)
        self._before, _here.guard = _here.guard, self
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _here.guard = self._before
        self.frame = None  # a frame keeps everything alive that it names
        if self.violation is not None and error is not self.violation:
            raise self.violation


def run_guarded(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call ``function`` as if it were a handler.

    Raises:
        NondeterminismError: See :class:`guarded`.
    """
    with guarded(getattr(function, "__qualname__", type(function).__name__)):
        return function(*args, **kwargs)


def install() -> None:
    """Put the wrappers and the hook in place; done once a process and never undone (an audit hook cannot be).

    Modules of the project, of tests and of strategies that are loaded already and hold one of the functions under a
    name of their own (``from time import time``) are given the wrapper; later ones find it by themselves.
    """
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    _replace_held(replace_watched(_refuse_if_guarded))
    sys.addaudithook(_on_audit_event)
    gc.callbacks.append(_on_collection)


def _replace_held(replaced: Mapping[int, Any]) -> None:
    for module in list(sys.modules.values()):
        if _is_library(getattr(module, "__file__", None) or ""):
            continue
        names = vars(module)
        for name, value in list(names.items()):
            if (wrapper := replaced.get(id(value))) is not None:
                names[name] = wrapper


def _on_audit_event(event: str, _: tuple[Any, ...]) -> None:
    # Every audited call of the process comes here, hundreds a second: one look at the flag, 0.1 us.
    if _here.guard is None:
        return
    family = event.partition(".")[0]
    if (remedy := INTERPRETER_EVENTS.get(family)) is not None:
        _refuse_if_guarded(event, remedy)


def _on_collection(phase: str, _: dict[str, int]) -> None:
    _here.is_collecting = phase == "start"


def _refuse_if_guarded(call: str, remedy: str) -> None:
    guard = _here.guard
    if guard is None or _here.is_collecting:
        return
    place: FrameType | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not guard.frame:
        file = frame.f_code.co_filename
        if file.startswith(_IMPORT_SYSTEM):
            return
        if place is None and not _is_library(file):
            place = frame
        frame = frame.f_back
    error = NondeterminismError(guard.who, call, *_file_and_line(place or guard.frame), remedy)
    if guard.violation is None:
        guard.violation = error
    raise error


def _is_library(file: str) -> bool:
    """Whether a file is Python's, an installed package's or the guard's own, so that its caller is the one to name."""
    return not file or file.startswith(("<frozen", *_LIBRARIES)) or file in _OWN


def _file_and_line(frame: FrameType | None) -> tuple[str, int]:
    if frame is None:
        return "an unknown file", 0
    file = frame.f_code.co_filename
    return file.removeprefix(_ROOT), frame.f_lineno


_ROOT: Final = __file__.removesuffix("libs/engine/guards.py")
_OWN: Final = frozenset({__file__, f"{_ROOT}libs/engine/watched_calls.py"})
