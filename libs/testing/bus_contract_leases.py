"""What every transport does for leases: signs of life, giving up, watching, and the one standby that takes over."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.messagebus.errors import FencedError
from libs.messagebus.transport import Commit, Lease, LeaseView, Transport
from libs.testing.bus_contract import BusUnderTest, Case, expect


async def _commit(transport: Transport, lease: Lease, number: int) -> None:
    await transport.commit(Commit("r", lease.epoch, number, {"in": f"{number}-0"}, [], b"j"))


async def a_lease_nobody_ever_held_looks_empty(bus: BusUnderTest) -> None:
    """A standby may look before the first holder has come, and take over an engine that never ran."""
    nothing = await bus.transport.watch("r")
    assert nothing == LeaseView(0, 0, 0, False)
    lease = await bus.other.take_over("r", ["in"], nothing)
    assert lease == Lease(1, 0, {})
    assert await bus.transport.take_over("r", ["in"], nothing) is None


async def a_watched_holder_shows_every_sign_of_life(bus: BusUnderTest) -> None:
    """Each renewal and each commit changes what a standby sees; without either it sees the same, however often."""
    lease = await bus.transport.acquire("r", ["in"])
    views = [await bus.other.watch("r"), await bus.other.watch("r")]
    assert views[0] == views[1] == LeaseView(1, 0, 0, False)
    for _ in range(2):
        assert await bus.transport.renew("r", lease.epoch) is True
        views.append(await bus.other.watch("r"))
    await _commit(bus.transport, lease, 1)
    views.append(await bus.other.watch("r"))
    assert views[2:] == [LeaseView(1, 1, 0, False), LeaseView(1, 2, 0, False), LeaseView(1, 2, 1, False)]


async def a_holder_nobody_watches_is_told_so(bus: BusUnderTest) -> None:
    """Renewing is then only the question whether the lease still holds: it leaves no trace."""
    lease = await bus.transport.acquire("r", ["in"])
    for _ in range(3):
        assert await bus.transport.renew("r", lease.epoch) is False
    assert (await bus.other.watch("r")).beats == 0
    assert await bus.transport.renew("r", lease.epoch) is True


async def readers_are_watched_apart(bus: BusUnderTest) -> None:
    """Looking at one lease says nothing to the holder of another, nor does it move."""
    await bus.transport.acquire("r", ["in"])
    await bus.transport.acquire("rest", ["in"])
    await bus.other.watch("r")
    assert await bus.transport.renew("rest", 1) is False
    assert await bus.transport.renew("r", 1) is True
    assert (await bus.other.watch("rest")).beats == 0


async def an_idle_holder_learns_that_it_was_fenced_out(bus: BusUnderTest) -> None:
    """It need not commit for that: its next renewal is refused, and so is giving up what is no longer its own."""
    old = await bus.transport.acquire("r", ["in"])
    new = await bus.other.acquire("r", ["in"])
    for refused in (bus.transport.renew("r", old.epoch), bus.transport.release("r", old.epoch)):
        error = await expect(FencedError, refused)
        assert f"'r' must be {new.epoch}, was {old.epoch}" in str(error)
    await expect(FencedError, bus.transport.renew("nobody", 1))
    await expect(FencedError, bus.transport.release("nobody", 1))
    assert (await bus.other.watch("r")).released is False
    await bus.other.renew("r", new.epoch)


async def a_lease_given_up_is_seen_until_somebody_takes_it(bus: BusUnderTest) -> None:
    """Giving up is of one epoch: the next holder has not."""
    lease = await bus.transport.acquire("r", ["in"])
    await _commit(bus.transport, lease, 1)
    before = await bus.other.watch("r")
    await bus.transport.release("r", lease.epoch)
    await bus.transport.release("r", lease.epoch)
    seen = await bus.other.watch("r")
    assert seen == LeaseView(1, 0, 1, True)
    assert await bus.other.take_over("r", ["in"], before) is None  # it looked otherwise then
    assert await bus.other.take_over("r", ["in"], seen) == Lease(2, 1, {"in": "1-0"})
    assert (await bus.other.watch("r")).released is False


async def a_sign_of_life_forbids_the_takeover(bus: BusUnderTest) -> None:
    """Whatever moved since the look, a renewal, a commit or an epoch, the holder keeps what it has."""
    lease = await bus.transport.acquire("r", ["in"])
    seen = await bus.other.watch("r")
    await bus.transport.renew("r", lease.epoch)
    assert await bus.other.take_over("r", ["in"], seen) is None
    seen = await bus.other.watch("r")
    await _commit(bus.transport, lease, 1)
    assert await bus.other.take_over("r", ["in"], seen) is None
    seen = await bus.other.watch("r")
    lease = await bus.transport.acquire("r", ["in"])
    assert await bus.other.take_over("r", ["in"], seen) is None
    await _commit(bus.transport, lease, 2)


async def of_many_standbys_one_takes_over(bus: BusUnderTest) -> None:
    """All saw the same silence and all try; the holder before is fenced out, the losers are told that they lost."""
    old = await bus.transport.acquire("r", ["in"])
    await _commit(bus.transport, old, 1)
    seen = await bus.other.watch("r")
    clients = [bus.transport, bus.other] * 4
    tried = await asyncio.gather(*(client.take_over("r", ["in"], seen) for client in clients))
    assert [lease for lease in tried if lease is not None] == [Lease(2, 1, {"in": "1-0"})]
    await expect(FencedError, _commit(bus.transport, old, 2))
    await expect(FencedError, bus.transport.renew("r", old.epoch))
    assert (await bus.other.quiescence(["r"])).quiet


LEASE_CASES: Final[tuple[Case, ...]] = (
    a_lease_nobody_ever_held_looks_empty,
    a_watched_holder_shows_every_sign_of_life,
    a_holder_nobody_watches_is_told_so,
    readers_are_watched_apart,
    an_idle_holder_learns_that_it_was_fenced_out,
    a_lease_given_up_is_seen_until_somebody_takes_it,
    a_sign_of_life_forbids_the_takeover,
    of_many_standbys_one_takes_over,
)
