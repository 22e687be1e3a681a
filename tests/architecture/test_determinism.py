"""Nothing that runs while an event is handled takes time, chance, order or anything else from outside.

The run-time guard (``libs/engine/guards.py``) sees what was done; these rules see what could be. ``test_rules_see.py``
shows that each of them can fail.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.architecture.rules.kinds import Declared
from tests.architecture.rules.modules import handler_modules, library_modules, relative
from tests.architecture.rules.names import nodes_of
from tests.architecture.rules.outside import taken_from_outside
from tests.architecture.rules.sets import ordered_by_a_set

MODULES = [*handler_modules(), *library_modules()]


@cache
def declared() -> Declared:
    return Declared.of(*(nodes_of(path.read_text()) for path in MODULES))


def test_the_modules_are_those_that_run_in_a_batch() -> None:
    names = {relative(path) for path in MODULES}
    assert names >= {
        "services/risk/engine.py", "services/strategy/library/sizing.py", "services/strategy/paper/engine.py",
        "services/marketdata/stepping.py", "libs/engine/core.py", "libs/engine/dead_letters.py", "libs/clock/test.py",
        "libs/finance/performance.py", "libs/messagebus/codec.py", "libs/contracts/market.py",
    }  # fmt: skip
    assert not names & {
        "services/risk/api.py", "services/marketdata/adapters/replay.py", "libs/engine/host.py",
        "libs/messagebus/redis/transport.py",
    }  # fmt: skip


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_batch_takes_nothing_from_outside(path: Path) -> None:
    found = taken_from_outside(path.read_text(), relative(path))
    assert not found, "\n".join(map(str, found))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_batch_depends_on_the_order_of_no_set(path: Path) -> None:
    found = ordered_by_a_set(path.read_text(), relative(path), declared())
    assert not found, "\n".join(map(str, found))
