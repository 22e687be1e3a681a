"""Which calls the run-time guard watches, and how a wrapper takes the place of each.

See :mod:`libs.engine.guards` for who decides whether a call passes.
"""

from __future__ import annotations

import _thread
import ctypes
import functools
import gc
import os
import random
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any, Final

#: Told of a call and what to do instead, before the call is made; raises to refuse it.
Gate = Callable[[str, str], None]

CLOCK: Final = "read the engine's clock, which the host sets and the journal keeps"
CHANCE: Final = "draw from a random.Random or numpy Generator that was seeded with a setting or from the state"
SETTINGS: Final = "read it in settings.py, from where it reaches the engine when it is built"
WORLD: Final = "do it in an adapter, which tells the engine what it learned by a command"
THREADS: Final = "handlers run alone and at once; let an adapter do the work and send its result as a command"

#: First words of the interpreter's audit events that a handler must not cause, with the remedy.
INTERPRETER_EVENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "fcntl", "ftplib", "glob", "http", "imaplib", "mmap", "open", "os", "poplib", "pty", "shutil", "smtplib",
            "socket", "sqlite3", "subprocess", "syslog", "tempfile", "urllib", "webbrowser",
        ),
        WORLD,
    ),
}  # fmt: skip

_CLOCKS: Final = (
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time",
    "process_time_ns", "thread_time", "thread_time_ns", "clock_gettime", "clock_gettime_ns", "localtime", "ctime",
)  # fmt: skip
#: These read the clock only when the time is not given; the number is the arguments that make them harmless.
_CLOCKS_BY_DEFAULT: Final = {"gmtime": 1, "asctime": 1, "strftime": 2}
_SYSTEM_CHANCE: Final[Mapping[ModuleType, tuple[str, ...]]] = {
    os: ("urandom", "getrandom"),
    random: ("_urandom",),  # what SystemRandom, and through it secrets and numpy's unseeded generators, draw from
    secrets: ("choice", "randbelow", "randbits", "token_bytes", "token_hex", "token_urlsafe"),
    uuid: ("uuid1", "uuid4"),
}
#: What differs between machines and starts and is no audit event. Not ``os.stat``: shutil and others look it up in sets
#: of functions, where a wrapper is another one.
_MACHINE: Final = ("cpu_count", "getcwd", "getloadavg", "getpid", "getppid")
_NUMPY_HARMLESS: Final = frozenset({"get_state"})


def replace_watched(gate: Gate) -> dict[int, Any]:
    """Put wrappers in place of the watched functions of the standard library and of numpy.

    Returns:
        The wrappers by the ``id`` of the function that each replaces.
    """
    replaced: dict[int, Any] = {}
    _replace(time, "sleep", gate, THREADS, replaced)
    _replace(_thread, "start_new_thread", gate, THREADS, replaced)
    for name in _CLOCKS:
        _replace(time, name, gate, CLOCK, replaced)
    for name, given in _CLOCKS_BY_DEFAULT.items():
        _replace(time, name, gate, CLOCK, replaced, given)
    for module, names in _SYSTEM_CHANCE.items():
        for name in names:
            if hasattr(module, name):  # os.getrandom is Linux's
                _replace(module, name, gate, CHANCE, replaced)
    for name in _MACHINE:
        _replace(os, name, gate, WORLD, replaced)
    hidden = getattr(random, "_inst")  # noqa: B009 (a plain attribute is one that type checkers do not know)
    for name, value in list(vars(random).items()):
        if getattr(value, "__self__", None) is hidden:
            _replace(random, name, gate, CHANCE, replaced)
    _replace_in_numpy(gate, replaced)
    _replace_methods(gate)
    _replace_in_datetime(gate)
    return replaced


def _replace_in_numpy(gate: Gate, replaced: dict[int, Any]) -> None:
    """The functions of ``numpy.random``, which share one hidden generator.

    A ``Generator`` with a seed stays free; one without asks the system for chance, which is watched already. The module
    is loaded here, since numpy itself loads it only when a handler first names it.
    """
    try:
        module = import_module("numpy.random")
    except ImportError:
        return
    hidden = type(getattr(module, "mtrand")._rand)  # noqa: B009
    shared = {name for name, value in vars(module).items() if isinstance(getattr(value, "__self__", None), hidden)}
    for name in sorted(shared - _NUMPY_HARMLESS | {"seed", "set_state"}):
        _replace(module, name, gate, CHANCE, replaced)


def _replace(
    module: ModuleType, name: str, gate: Gate, remedy: str, replaced: dict[int, Any], harmless_with: int = 99
) -> None:
    function: Any = getattr(module, name)
    call = "os.urandom" if name == "_urandom" else f"{module.__name__}.{name}"

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        if len(args) < harmless_with:
            gate(call, remedy)
        return function(*args, **kwargs)

    replaced[id(function)] = watched
    setattr(module, name, watched)


def _replace_methods(gate: Gate) -> None:
    seed, start = random.Random.seed, threading.Thread.start
    environment = type(os.environ)
    look_up = environment.__getitem__

    @functools.wraps(seed)
    def watched_seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        # Random() seeds itself from the system inside C, where no hook looks.
        if a is None and not isinstance(self, random.SystemRandom):
            gate("random.Random without a seed", CHANCE)
        seed(self, a, version)

    @functools.wraps(start)
    def watched_start(self: threading.Thread) -> None:
        gate("threading.Thread.start", THREADS)
        start(self)

    @functools.wraps(look_up)
    def watched_look_up(self: os._Environ[Any], key: Any) -> Any:
        gate("os.environ", SETTINGS)
        return look_up(self, key)

    setattr(random.Random, "seed", watched_seed)  # noqa: B010 (mypy forbids to assign a method)
    setattr(threading.Thread, "start", watched_start)  # noqa: B010
    setattr(environment, "__getitem__", watched_look_up)  # noqa: B010


def _replace_in_datetime(gate: Gate) -> None:
    """Replace ``now`` and ``utcnow`` in the type.

    A type of C refuses assignment, and a subclass put in its place in each module would be another type: isinstance,
    msgspec and pydantic would tell the two apart. So the entry is exchanged in the dictionary behind the type, and the
    interpreter is told to forget what it cached. ``tests/determinism/test_guard.py`` fails where this does not work.
    """
    names: dict[str, Any] = gc.get_referents(datetime.__dict__)[0]
    for name in ("now", "utcnow"):
        names[name] = _watched_constructor(names[name], f"datetime.{name}", gate)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


def _watched_constructor(original: Any, call: str, gate: Gate) -> classmethod[Any, Any, Any]:
    def watched(cls: type[datetime], *args: Any, **kwargs: Any) -> datetime:
        gate(call, CLOCK)
        made: datetime = original.__get__(None, cls)(*args, **kwargs)
        return made

    return classmethod(watched)
