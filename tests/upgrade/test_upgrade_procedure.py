"""The upgrade procedure of docs/operations.md with real processes: versions are changed copies of the code."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from libs.testing.ports import free_ports
from libs.testing.servers import redis_server
from tests.upgrade.trees import Portfolio, Tree, balances, deposit

pytestmark = pytest.mark.faults

ENGINE, STATE = "services/portfolio/engine.py", "services/portfolio/state.py"
TERM, KILL = signal.SIGTERM, signal.SIGKILL
FIELDS = ("    snapshots_taken: int = 0\n", "    snapshots_taken: int = 0\n    auditor: str = 'nobody'\n")


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tree]:
    """Equal behaviour under another version, other behaviour, and another state layout without and with a migration."""
    folder = tmp_path_factory.mktemp("trees")
    old, layout = Tree(folder / "old", {}), Tree(folder / "layout", {STATE: FIELDS})
    tell = ("-m", "libs.engine.migrations", "services.portfolio.engine:PortfolioEngine")
    before, after = (tree.run(*tell).strip() for tree in (old, layout))
    begin = '    name = "portfolio"\n'
    migration = (
        "    from libs.engine.migrations import Migration\n"
        f'    migrations = (Migration("{before}", "{after}", lambda state: state | {{"auditor": "somebody"}}),)\n'
    )
    amount = ("command.reference, portfolio.cash\n", "command.reference, amount\n")
    found = {
        "old": old,
        "layout": layout,
        "new": Tree(folder / "new", {ENGINE: ('"""The ledger of every portfolio."""', '"""The same ledger."""')}),
        "other": Tree(folder / "other", {ENGINE: amount}),
        "migrating": Tree(folder / "migrating", {STATE: FIELDS, ENGINE: (begin, begin + migration)}),
    }
    assert len({tree.version for tree in found.values()}) == len(found)
    return found


@pytest.fixture
def bus() -> Iterator[str]:
    with redis_server(appendonly=True) as server:
        yield server.url


@pytest.fixture
def portfolio(bus: str, tmp_path: Path) -> Iterator[Portfolio]:
    running = Portfolio(bus, free_ports(("portfolio",))["portfolio"], tmp_path)
    try:
        yield running
    finally:
        running.close()


def pay(bus: str, *amounts: int) -> None:
    for amount in amounts:
        asyncio.run(deposit(bus, amount))


def deposited(bus: str) -> list[Decimal]:
    """What each published balance is more than the one before."""
    return [after - before for before, after in pairwise(asyncio.run(balances(bus)))]


def test_an_upgrade_after_a_clean_stop_and_the_way_back(bus: str, portfolio: Portfolio, trees: dict[str, Tree]) -> None:
    portfolio.goes_on(trees["old"])
    pay(bus, 1)
    portfolio.end(TERM)
    portfolio.goes_on(trees["new"])
    assert "continuing_after_other_code" in portfolio.said
    assert trees["old"].version in portfolio.said
    pay(bus, 2)
    portfolio.end(TERM)
    portfolio.goes_on(trees["old"])
    pay(bus, 3)
    portfolio.end(KILL)
    portfolio.goes_on(trees["old"])
    assert deposited(bus) == [1, 2, 3]


def test_an_upgrade_after_a_kill_is_refused_until_the_old_version_has_ended_in_order(
    bus: str, portfolio: Portfolio, trees: dict[str, Tree]
) -> None:
    portfolio.goes_on(trees["old"])
    pay(bus, 1, 2)
    portfolio.end(KILL)
    said = portfolio.refuses(trees["new"])
    for part in ("must be replayed by the version that wrote it", trees["old"].version, trees["new"].version):
        assert part in said
    portfolio.goes_on(trees["old"])
    portfolio.end(TERM)
    portfolio.goes_on(trees["new"])
    pay(bus, 3)
    assert deposited(bus) == [1, 2, 3]


def test_a_journal_of_other_code_is_replayed_when_asked_to_and_once_is_enough(
    bus: str, portfolio: Portfolio, trees: dict[str, Tree]
) -> None:
    portfolio.goes_on(trees["old"])
    pay(bus, 1, 2)
    portfolio.end(KILL)
    portfolio.goes_on(trees["new"], NAUTILUS_REPLAY_OTHER_CODE="1")
    assert "replaying_other_code" in portfolio.said
    pay(bus, 3)
    portfolio.end(KILL)
    portfolio.goes_on(trees["new"])
    pay(bus, 4)
    assert deposited(bus) == [1, 2, 3, 4]


def test_other_behaviour_is_told_apart_from_a_bug(bus: str, portfolio: Portfolio, trees: dict[str, Tree]) -> None:
    portfolio.goes_on(trees["old"])
    pay(bus, 1, 2)
    portfolio.end(KILL)
    said = portfolio.refuses(trees["other"], NAUTILUS_REPLAY_OTHER_CODE="1")
    assert "must publish again what it published, was different first in output 1 of" in said
    assert "RecordCashFlow(" in said
    assert "the code may have been changed to behave otherwise" in said
    assert "balance=Decimal('1000001')" in said
    assert "balance=Decimal('1')" in said
    portfolio.goes_on(trees["old"])
    pay(bus, 3)
    assert deposited(bus) == [1, 2, 3]


def test_another_state_layout_is_migrated_or_refused(bus: str, portfolio: Portfolio, trees: dict[str, Tree]) -> None:
    portfolio.goes_on(trees["old"])
    pay(bus, 1)
    portfolio.end(TERM)
    said = portfolio.refuses(trees["layout"])
    assert "cannot be read by this code: its state has layout" in said
    assert f"it was written by version {trees['old'].version}" in said
    portfolio.goes_on(trees["migrating"])
    pay(bus, 2)
    portfolio.end(TERM)
    assert "cannot be read by this code" in portfolio.refuses(trees["old"])
    portfolio.goes_on(trees["migrating"])
    pay(bus, 3)
    assert deposited(bus) == [1, 2, 3]
