"""What the run-time guard refuses inside a handler, what it lets pass, and how it ends a simulation."""

from __future__ import annotations

import gc
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from random import shuffle
from time import monotonic as held_under_a_name
from typing import Any

import numpy
import pytest

from libs.engine.errors import NondeterminismError
from libs.engine.guards import guarded, run_guarded

HERE = "tests/determinism/test_guard.py"
A_FILE = Path(__file__)

#: What is called, and how the guard names it.
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: time.time(), "time.time"),
    (lambda: time.time_ns(), "time.time_ns"),
    (lambda: time.monotonic(), "time.monotonic"),
    (lambda: held_under_a_name(), "time.monotonic"),
    (lambda: time.perf_counter_ns(), "time.perf_counter_ns"),
    (lambda: time.gmtime(), "time.gmtime"),
    (lambda: time.strftime("%Y"), "time.strftime"),
    (lambda: datetime.now(UTC), "datetime.now"),
    (lambda: datetime.now(), "datetime.now"),  # noqa: DTZ005
    (lambda: datetime.today(), "time.time"),  # noqa: DTZ002
    (lambda: date.today(), "time.time"),  # noqa: DTZ011
    (lambda: random.random(), "random.random"),
    (lambda: random.seed(3), "random.seed"),
    (lambda: shuffle([1, 2]), "random.shuffle"),
    (lambda: random.Random(), "random.Random without a seed"),
    (lambda: random.SystemRandom().random(), "os.urandom"),
    (lambda: os.urandom(8), "os.urandom"),
    (lambda: uuid.uuid1(), "uuid.uuid1"),
    (lambda: uuid.uuid4(), "uuid.uuid4"),
    (lambda: secrets.token_hex(), "secrets.token_hex"),
    (lambda: numpy.random.normal(), "numpy.random.normal"),
    (lambda: numpy.random.seed(1), "numpy.random.seed"),
    (lambda: os.environ["PATH"], "os.environ"),
    (lambda: os.getenv("PATH"), "os.environ"),
    (lambda: os.environ.get("NONE"), "os.environ"),
    (lambda: os.cpu_count(), "os.cpu_count"),
    (lambda: A_FILE.open(), "open"),
    (lambda: A_FILE.read_text(), "open"),
    (lambda: os.listdir(), "os.listdir"),
    (lambda: os.unlink("no such file"), "os.remove"),
    (lambda: socket.socket(), "socket.__new__"),
    (lambda: socket.getaddrinfo("localhost", 80), "socket.getaddrinfo"),
    (lambda: subprocess.run(["true"], check=True), "subprocess.Popen"),
    (lambda: os.system("true"), "os.system"),
    (lambda: threading.Thread(target=print).start(), "threading.Thread.start"),
    (lambda: time.sleep(0), "time.sleep"),
]  # fmt: skip

ALLOWED: list[Callable[[], Any]] = [
    lambda: random.Random(7).random(),
    lambda: numpy.random.default_rng(7).normal(),
    lambda: datetime(2020, 1, 1, tzinfo=UTC) + (datetime(2020, 1, 2, tzinfo=UTC) - datetime(2020, 1, 1, tzinfo=UTC)),
    lambda: datetime.fromtimestamp(0, UTC),
    lambda: time.gmtime(0),
    lambda: time.strftime("%Y", time.gmtime(0)),
    lambda: uuid.uuid5(uuid.NAMESPACE_URL, "x"),
]


def refusal(call: Callable[[], Any]) -> NondeterminismError:
    with pytest.raises(NondeterminismError) as caught:
        run_guarded(call)
    return caught.value


@pytest.mark.parametrize(("call", "name"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_handler_must_not_call_raises_and_names_the_line(call: Callable[[], Any], name: str) -> None:
    error = refusal(call)
    assert (error.call, error.file, error.line) == (name, HERE, call.__code__.co_firstlineno)
    assert f"was {name} at {HERE}:{error.line}; " in str(error)


def test_a_numpy_generator_without_a_seed_is_refused_whoever_was_loaded_first() -> None:
    # numpy keeps the function it draws a seed from, so its name depends on whether numpy was there before the guard.
    assert refusal(lambda: numpy.random.default_rng()).call in ("secrets.randbits", "os.urandom")


@pytest.mark.parametrize("call", ALLOWED)
def test_what_gives_the_same_every_time_passes(call: Callable[[], Any]) -> None:
    assert run_guarded(call) == run_guarded(call)


def test_outside_of_a_handler_nothing_is_refused() -> None:
    run_guarded(int)
    assert abs(datetime.now(UTC).timestamp() - time.time()) < 3_600
    assert type(datetime.now(UTC)) is datetime
    assert len(os.urandom(4)) == 4
    assert random.random() != random.random()
    assert A_FILE.read_text()


def test_another_thread_goes_on_while_a_handler_runs() -> None:
    inside, seen = threading.Event(), threading.Event()
    results: list[float] = []

    def host() -> None:
        inside.wait(30)
        results.append(time.time())
        results.append(len(A_FILE.read_bytes()))
        seen.set()

    thread = threading.Thread(target=host)
    thread.start()
    with guarded("risk"):
        inside.set()
        assert seen.wait(30)
    thread.join()
    assert len(results) == 2


def test_a_handler_that_swallows_the_error_is_told_at_the_end() -> None:
    def swallows() -> str:
        try:
            time.time()
        except Exception:
            return "as if nothing happened"
        return "unseen"

    assert refusal(swallows).call == "time.time"


def test_the_first_of_several_is_told_even_behind_another_error() -> None:
    def fails() -> None:
        try:
            time.time()
        finally:
            os.urandom(1)

    assert refusal(fails).call == "time.time"


def test_a_guarded_block_inside_another_leaves_the_outer_one_watched() -> None:
    def outer() -> None:
        run_guarded(int)
        time.time()

    assert refusal(outer).who.endswith("outer")
    assert run_guarded(lambda: run_guarded(int)) == 0


def test_a_library_is_named_by_the_line_that_called_it() -> None:
    assert refusal(lambda: A_FILE.read_text()).file == HERE


def test_a_module_may_load_in_a_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loaded_late.py").write_text("import time\nSTARTED = time.time()\ndef now():\n    return time.time()\n")
    monkeypatch.syspath_prepend(tmp_path)

    def handler() -> Any:
        import loaded_late  # type: ignore[import-not-found]

        return loaded_late

    module = run_guarded(handler)
    assert module.STARTED > 0
    assert refusal(module.now).line == 4


def test_a_finalizer_that_the_collector_runs_is_not_the_handlers_doing() -> None:
    finalized: list[int] = []

    class Leftover:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            finalized.append(len(os.listdir()))

    def handler() -> None:
        gc.collect()

    Leftover()
    run_guarded(handler)
    assert finalized


def test_the_guard_holds_in_a_process_that_held_datetime_before() -> None:
    """The entry is exchanged in the type, which must also be seen by code that ran, and was specialised, before."""
    code = (
        "from datetime import datetime, UTC\n"
        "def read():\n    return datetime.now(UTC)\n"
        "for _ in range(1000):\n    read()\n"
        "from libs.engine.guards import run_guarded\n"
        "from libs.engine.errors import NondeterminismError\n"
        "try:\n    run_guarded(read)\n"
        "except NondeterminismError as error:\n    print(error.call, error.line)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.split() == ["datetime.now", "3"]
