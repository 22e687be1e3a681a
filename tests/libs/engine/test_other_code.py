"""Recovery under other code: only from a clean snapshot, or when asked to; what went on is then of one version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.contracts.market import TradeReceived
from libs.contracts.orders import SignalGenerated
from libs.engine.errors import DeterminismError, OtherCodeError
from libs.engine.host import Host
from libs.engine.journal import JournalEntry, decode_journal, encode_journal
from libs.messagebus.memory import MemoryTransport
from tests.libs.engine.echo_engine import EchoEngine, trade
from tests.libs.engine.hosting import killed, make_host, put, stopped, strengths, until_quiet
from tests.libs.engine.instant_loop import run_instantly

OLD, NEW = "1.0.0+0000000000/py3.11", "2.0.0+1111111111/py3.11"
#: What six trades of one symbol publish.
STRENGTHS = [0.0, 2.0, 4.0, 6.0]


class Louder(EchoEngine):
    """An upgrade that behaves otherwise."""

    def on_trade(self, event: TradeReceived) -> None:
        super().on_trade(event)
        if self._counts[event.symbol] == 4:
            self._outbox.publish(SignalGenerated(event.ts_event, "echo", event.symbol, "sell", 9.0, "louder"))


def versioned(transport: Any, code: str, engine: type[EchoEngine] = EchoEngine, **settings: Any) -> Host:
    host = make_host(transport, engine, **settings)
    host.core.code = code
    return host


def after(scenario: Callable[[MemoryTransport], Awaitable[None]], *, clean: bool, snapshot: bool = False) -> None:
    """Five trades under the old code, then a stop or a kill; two commits lie behind the snapshot, if there is one."""

    async def main() -> None:
        transport = MemoryTransport()
        host = versioned(transport, OLD)
        running = asyncio.create_task(host.run())
        for index in range(5):
            await put(transport, trade(index), sequence=index)
            await until_quiet(transport)
            if index == 2 and snapshot:
                await host.snapshot_now()
        await (stopped(host, running) if clean else killed(running))
        await scenario(transport)

    run_instantly(main())


async def goes_on(transport: MemoryTransport, host: Host) -> None:
    """The host runs, handles one more trade and stops in order."""
    running = asyncio.create_task(host.run())
    await put(transport, trade(5), sequence=5)
    await until_quiet(transport)
    await stopped(host, running)
    assert await strengths(transport) == STRENGTHS


async def opened(host: Host) -> None:
    """The host recovers and is killed."""
    running = asyncio.create_task(host.run())
    while host.state == "starting" and not running.done():
        await asyncio.sleep(0.01)
    await killed(running)
    assert host.state == "running"


def test_the_same_code_goes_on_after_a_kill() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        with capture_logs() as logs:
            await goes_on(transport, versioned(transport, OLD))
        assert not [line for line in logs if "other_code" in line["event"]]

    after(scenario, clean=False)


def test_an_upgrade_goes_on_from_a_clean_snapshot_and_says_so() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = versioned(transport, NEW)
        with capture_logs() as logs:
            await goes_on(transport, host)
        told = [line for line in logs if line["event"] == "continuing_after_other_code"]
        assert [(line["wrote"], line["this"], line["clean"]) for line in told] == [(OLD, NEW, True)]
        assert host.replayed == 0

    after(scenario, clean=True)


@pytest.mark.parametrize("snapshot", [False, True], ids=["journal only", "snapshot and journal"])
def test_an_upgrade_after_a_kill_is_refused_until_it_is_accepted(snapshot: bool) -> None:
    async def scenario(transport: MemoryTransport) -> None:
        before = transport._readers["echo"].commits
        host = versioned(transport, NEW)
        with pytest.raises(OtherCodeError, match=rf"{OLD[:5]}.*{NEW[:5]}.*NAUTILUS_REPLAY_OTHER_CODE=1"):
            await host.run()
        assert (host.state, transport._readers["echo"].commits) == ("failed", before)
        await goes_on(transport, versioned(transport, NEW, accept_other_code=True))

    after(scenario, clean=False, snapshot=snapshot)


def test_what_was_accepted_once_need_not_be_accepted_again() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = versioned(transport, NEW, accept_other_code=True)
        running = asyncio.create_task(host.run())
        await put(transport, trade(5), sequence=5)
        await until_quiet(transport)
        await killed(running)
        again = versioned(transport, NEW)
        await opened(again)
        assert again.replayed == 1
        assert await strengths(transport) == STRENGTHS

    after(scenario, clean=False, snapshot=True)


def test_going_back_after_a_refused_upgrade_loses_nothing() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        with pytest.raises(OtherCodeError):
            await versioned(transport, NEW).run()
        await goes_on(transport, versioned(transport, OLD))
        await goes_on(transport, versioned(transport, NEW))

    after(scenario, clean=False)


def test_a_snapshot_taken_while_running_is_not_clean_even_if_nothing_followed() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        host = versioned(transport, OLD)
        running = asyncio.create_task(host.run())
        await host.snapshot_now()
        await killed(running)
        with pytest.raises(
            OtherCodeError, match=r"snapshot 6 of 'echo' must be the last act of the version that wrote it"
        ):
            await versioned(transport, NEW).run()

    after(scenario, clean=False)


def test_accepted_code_that_behaves_otherwise_is_stopped_and_told_apart_from_a_bug() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        with pytest.raises(DeterminismError, match=rf"version {OLD[:5]}.* wrote it and this is {NEW[:5]}.*otherwise"):
            await versioned(transport, NEW, Louder, accept_other_code=True).run()
        with pytest.raises(DeterminismError, match=r"the same version .* wrote it, so this is a determinism bug"):
            await versioned(transport, OLD, Louder).run()

    after(scenario, clean=False)


def test_a_strategy_of_another_version_is_other_code() -> None:
    class Loaded(EchoEngine):
        strategy_versions = "crossing 11"

    class Changed(EchoEngine):
        strategy_versions = "crossing 22"

    async def main() -> None:
        transport = MemoryTransport()
        running = asyncio.create_task((host := versioned(transport, OLD, Loaded)).run())
        await put(transport, trade(0), sequence=0)
        await until_quiet(transport)
        entries = [decode_journal(data) for _, data in transport._readers["echo"].journal]
        assert {(entry.code, entry.strategies) for entry in entries} == {(OLD, "crossing 11")}
        await killed(running)
        with pytest.raises(OtherCodeError, match=r"with crossing 11, was this one, .* with crossing 22"):
            await versioned(transport, OLD, Changed).run()
        running = asyncio.create_task((host := versioned(transport, OLD, Loaded)).run())
        await until_quiet(transport)
        await stopped(host, running)
        host = versioned(transport, OLD, Changed)
        await opened(host)
        assert host.replayed == 0

    run_instantly(main())


def test_a_journal_says_under_which_lease_it_was_written() -> None:
    async def scenario(transport: MemoryTransport) -> None:
        await goes_on(transport, versioned(transport, OLD))
        entries = [decode_journal(data) for _, data in transport._readers["echo"].journal]
        assert [entry.epoch for entry in entries] == [1] * 6 + [2]

    after(scenario, clean=False)


def test_a_journal_entry_of_before_is_read_without_what_it_did_not_say() -> None:
    entry = JournalEntry(5, [], 1, b"12345678", 3, "0.1.0")
    as_before = encode_journal(entry)[:1].replace(b"\x98", b"\x96") + encode_journal(entry)[1:-2]
    assert decode_journal(as_before) == entry
