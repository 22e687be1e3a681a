"""A rule that cannot fail is no rule: each is fed what it forbids, and what only looks like it."""

from __future__ import annotations

import pytest

from tests.architecture.rules.kinds import Declared
from tests.architecture.rules.names import nodes_of
from tests.architecture.rules.outside import taken_from_outside
from tests.architecture.rules.sets import ordered_by_a_set

#: Rule, source, the line to be named, a part of the text.
OUTSIDE = [
    ("clock", "import time\n\nnow = time.time()", 3, "time.time "),
    ("clock", "import time as t\nread = t.monotonic_ns", 2, "time.monotonic_ns"),
    ("clock", "from time import perf_counter as tick\n\n\ntick()", 4, "time.perf_counter"),
    ("clock", "from datetime import datetime\ndatetime.now().date()", 2, "datetime.datetime.now"),
    ("clock", "import datetime as dt\nx = dt.datetime.utcnow()", 2, "datetime.datetime.utcnow"),
    ("clock", "from datetime import date\nx = field(default_factory=date.today)", 2, "datetime.date.today"),
    ("clock", "from libs.clock import LiveClock", 1, "libs.clock.LiveClock"),
    ("clock", "def f():\n    from libs.clock.live import monotonic_ns", 2, "libs.clock.live.monotonic_ns"),
    ("clock", "import numpy as np\nnp.datetime64('now')", 2, "datetime64('now')"),
    ("chance", "import random\nrandom.shuffle(orders)", 2, "random.shuffle"),
    ("chance", "import random\nrandom.Random()", 2, "random.Random"),
    ("chance", "from random import choice", 1, "random.choice"),
    ("chance", "import numpy as np\nnp.random.normal(size=3)", 2, "numpy.random.normal"),
    ("chance", "import numpy as np\nnp.random.default_rng()", 2, "numpy.random.default_rng"),
    ("chance", "from numpy.random import default_rng\ndefault_rng(None)", 2, "numpy.random.default_rng"),
    ("chance", "import uuid\nx = str(uuid.uuid4())", 2, "uuid.uuid4"),
    ("chance", "import secrets\nsecrets.token_hex()", 2, "secrets.token_hex"),
    ("chance", "import os\nos.urandom(8)", 2, "os.urandom"),
    ("threads", "import asyncio", 1, "asyncio"),
    ("threads", "from concurrent.futures import ThreadPoolExecutor", 1, "ThreadPoolExecutor"),
    ("threads", "import threading\nthreading.Thread(target=f).start()", 2, "threading.Thread"),
    ("threads", "import subprocess", 1, "subprocess"),
    ("threads", "class A:\n    async def f(self):\n        return 1", 2, "coroutine f"),
    ("world", "with open('x') as file:\n    pass", 1, "open "),
    ("world", "def f(path):\n    return path.read_text()", 2, "path.read_text"),
    ("world", "from pathlib import Path\nx = Path('a').exists()", 2, "exists"),
    ("world", "import os\nx = os.environ['A']", 2, "os.environ"),
    ("world", "import socket", 1, "socket"),
    ("world", "import httpx", 1, "httpx"),
    ("world", "print('hello')", 1, "print"),
    ("world", "import structlog", 1, "structlog"),
    ("identity", "def key(symbol):\n    return hash(symbol) % 8", 2, "hash "),
    ("identity", "name = f'order-{id(order)}'", 1, "id "),
]  # fmt: skip

HARMLESS = [
    "import random\ngenerator = random.Random(seed)\ngenerator.shuffle(orders)",
    "import random\ndef f(generator: random.Random) -> None: ...",
    "import numpy as np\nx = np.random.default_rng(7).normal()",
    "from datetime import UTC, datetime\nx = datetime.fromtimestamp(3, UTC)",
    "from pathlib import Path\nx = Path('a') / 'b'",
    "time = self._clock.timestamp_ns()\ntime.now()",
    "def open(order): ...\nopen(order)",
    "id = order.id\nprint = {}\nx = id",
    "class P(Protocol):\n    async def read(self) -> int:\n        '''Read.'''\n        ...",
    "import uuid\nx = uuid.uuid5(space, 'name')",
]

SETS = [
    ("for x in {1, 2}:\n    pass", 1, "iterates"),
    ("wanted = set(names)\n\nfor x in wanted:\n    pass", 3, "wanted"),
    ("def f(names: frozenset[str]) -> list[str]:\n    return [n for n in names]", 2, "names"),
    ("def f(names: set[str] | None) -> list[str]:\n    return list(names or ())", 2, "list takes"),
    ("def f(a, b):\n    return [x for x in a.keys() - b.keys()]", 2, "a.keys() - b.keys()"),
    ("class A:\n    seen: set[str]\n    def f(self):\n        return tuple(self.seen)", 4, "self.seen"),
    ("class A:\n    def __init__(self):\n        self._s = set()\n        self.t = sum(self._s)", 4, "sum"),
    ("def open_ids() -> set[str]: ...\ntext = ','.join(open_ids())", 2, "join takes open_ids()"),
    ("class A:\n    def f(self) -> 'frozenset[int]': ...\ndef g(a):\n    a, b = a.f()", 4, "unpacks a.f()"),
    ("groups: dict[str, set[int]] = {}\nfor one in groups.values():\n    print(*one)", 3, "unpacks one"),
    ("from collections import defaultdict\nd = defaultdict(set)\nx = list(d['a'])", 3, "d['a']"),
    ("s = {1}\nd = {x: 0 for x in s}", 2, "iterates s"),
    ("s = {1}\nd = dict.fromkeys(s, 0)", 2, "fromkeys takes s"),
    ("s = {1}\nfirst = s.pop()", 2, "pops from s"),
    ("s = {1}\nfirst = next(iter(s))", 2, "iter takes s"),
    ("s = {1}\nbest = min(s, key=len)", 2, "min takes s"),
    ("s = {1}\nx = sorted(s, key=len)", 2, "sorted takes s"),
    ("s = {1}\nx = sum(weights[n] for n in s)", 2, "iterates s"),
    ("s = {1}\ntext = f'unknown: {s}'", 2, "writes s"),
    ("a = {1}\nb = a\nc = b | other\nx = list(c)", 4, "list takes c"),
    ("a, b = set(), 1\nx = [*a]", 2, "unpacks a"),
    ("s = {1}\nx = [y for y in s.union(t)]", 2, "s.union(t)"),
    ("s = {1}\nqueue.extend(s)", 2, "extend takes s"),
    ("x = enumerate({y for y in z} if z else ())", 1, "enumerate takes"),
]  # fmt: skip

FREE_OF_ORDER = [
    "s = {1}\nfor x in sorted(s):\n    pass",
    "s = {1}\nx = sorted(y for y in s if y)",
    "s = {1}\nx = any(y > 1 for y in s) and len(s) and max(s) and 3 in s",
    "s = {1}\nt = {y + 1 for y in s}\nt.update(s)",
    "s = {1}\nx = frozenset(s | {2}) - s",
    "from math import fsum\ns = {1.0}\nx = fsum(s)",
    "for x in {'a': 1}:\n    pass",
    "def f(s: dict[str, int]):\n    return list(s)",
    "def f():\n    s = {1}\n\ndef g(s):\n    return list(s)",
    "names = ['a']\nfor x in names:\n    names.pop()",
]


@pytest.mark.parametrize(("rule", "source", "line", "text"), OUTSIDE)
def test_what_comes_from_outside_is_named(rule: str, source: str, line: int, text: str) -> None:
    found = taken_from_outside(source, "services/x/engine.py")
    assert [violation for violation in found if violation.rule == rule and violation.line == line], found
    assert any(f"services/x/engine.py:{line} " in str(violation) and text in str(violation) for violation in found)


@pytest.mark.parametrize("source", HARMLESS)
def test_what_only_looks_like_it_is_free(source: str) -> None:
    assert taken_from_outside(source, "services/x/engine.py") == []


@pytest.mark.parametrize(("source", "line", "text"), SETS)
def test_the_order_of_a_set_is_named(source: str, line: int, text: str) -> None:
    found = ordered_by_a_set(source, "services/x/engine.py")
    assert any(
        violation.rule == "set order" and f"services/x/engine.py:{line} " in str(violation) and text in str(violation)
        for violation in found
    ), found


@pytest.mark.parametrize("source", FREE_OF_ORDER)
def test_what_asks_for_no_order_is_free(source: str) -> None:
    assert ordered_by_a_set(source, "services/x/engine.py") == []


def test_a_set_declared_in_another_file_is_known() -> None:
    state = nodes_of("class State(Struct):\n    halted: set[str]\n    by_name: dict[str, set[str]]")
    source = "def f(self):\n    for x in self._state.halted:\n        yield from self._state.by_name[x]"
    found = ordered_by_a_set(source, "services/x/engine.py", Declared.of(state))
    assert [violation.line for violation in found] == [2, 3]
