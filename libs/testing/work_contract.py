"""What every work queue does, as cases: one suite for memory and for real servers.

A case is an ``async`` function of a :class:`WorkUnderTest` whose bus is empty. Cases of dead letters, ordered streams
and lost groups are in :mod:`libs.testing.work_contract_faults`; its ``CASES`` has both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.messagebus.transport import Transport
from libs.messagebus.workers.queue import Delivery, Failure, Letter, Settlement, Verdict, WorkQueue
from libs.testing.bus_contract import PATIENCE_MS, all_of, put

LETTERS = "letters"


@dataclass(frozen=True, slots=True)
class WorkUnderTest:
    """A work queue and what a case needs to know about it.

    Attributes:
        transport: The bus below.
        queue: A work queue on it.
        other: A second client of the same bus.
        wait_until_blocked: Returns when this many readers are blocked inside ``take``.
        grow_old: Makes every pending entry of (stream, group) look as if nobody had shown interest for so many ms.
        lapse: Lets the lease on an ordered (stream, group) run out.
        erase: Removes the entries with these ids from a stream, read or not.
        lose_everything: Removes streams, groups, leases and progress, as FLUSHALL does.
    """

    transport: Transport
    queue: WorkQueue
    other: WorkQueue
    wait_until_blocked: Callable[[int], Awaitable[None]]
    grow_old: Callable[[str, str, int], Awaitable[None]]
    lapse: Callable[[str, str], Awaitable[None]]
    erase: Callable[[str, list[str]], Awaitable[None]]
    lose_everything: Callable[[], Awaitable[None]]


Case = Callable[[WorkUnderTest], Awaitable[None]]


def payloads(found: list[Delivery]) -> list[bytes]:
    """What was given out."""
    return [delivery.entry.data for delivery in found]


def ids(found: list[Delivery]) -> list[str]:
    """Where it lies."""
    return [delivery.entry.entry_id for delivery in found]


async def taken(work: WorkUnderTest, *data: bytes, group: str = "g", consumer: str = "a") -> list[str]:
    """Ids of new entries that ``consumer`` has taken."""
    await put(work.transport, "s", *data)
    await work.queue.open_group("s", group)
    return ids(await work.queue.take("s", group, consumer, 100, 0))


async def settle(queue: WorkQueue, *news: Settlement, consumer: str = "a", ordered: bool = False) -> list[Verdict]:
    """Settle on stream ``s`` for group ``g``."""
    return await queue.settle("s", "g", consumer, news, LETTERS, ordered=ordered)


# -- taking ---------------------------------------------------------------------------------------


async def a_group_begins_at_the_oldest_entry(work: WorkUnderTest) -> None:
    """What was published before anybody worked is not lost, and opening twice changes nothing."""
    await put(work.transport, "s", b"1", b"2")
    assert await work.queue.open_group("s", "g") is True
    assert await work.other.open_group("s", "g") is False
    first = await work.queue.take("s", "g", "a", 1, 0)
    assert payloads(first) == [b"1"]
    assert (first[0].deliveries, first[0].target) == (1, "")
    assert await work.queue.open_group("s", "g") is False
    assert payloads(await work.queue.take("s", "g", "a", 9, 0)) == [b"2"]
    assert await work.queue.take("s", "g", "a", 9, 0) == []


async def a_group_of_an_empty_stream_waits_for_it(work: WorkUnderTest) -> None:
    """The group may come before the stream."""
    assert await work.queue.open_group("s", "g") is True
    assert await work.queue.take("s", "g", "a", 9, 0) == []
    await put(work.transport, "s", b"1")
    assert payloads(await work.queue.take("s", "g", "a", 9, 0)) == [b"1"]


async def every_entry_goes_to_one_consumer_of_each_group(work: WorkUnderTest) -> None:
    """Consumers of one group share, groups do not."""
    await put(work.transport, "s", *(bytes([i]) for i in range(9)))
    for group in ("g", "h"):
        await work.queue.open_group("s", group)
    shared = [await queue.take("s", "g", name, 3, 0) for queue, name in ((work.queue, "a"), (work.other, "b")) * 2]
    assert payloads([one for part in shared for one in part]) == [bytes([i]) for i in range(9)]
    assert [len(part) for part in shared] == [3, 3, 3, 0]
    assert len(await work.queue.take("s", "h", "a", 100, 0)) == 9


async def a_blocked_take_wakes(work: WorkUnderTest) -> None:
    """It comes back with the entry, or empty after its time."""
    await work.queue.open_group("s", "g")
    assert await work.queue.take("s", "g", "a", 9, 10) == []
    waiting = asyncio.create_task(work.queue.take("s", "g", "a", 9, PATIENCE_MS))
    await work.wait_until_blocked(1)
    await put(work.transport, "s", b"x")
    assert payloads(await waiting) == [b"x"]


# -- settling -------------------------------------------------------------------------------------


async def an_entry_is_finished_when_all_its_events_are(work: WorkUnderTest) -> None:
    """Event by event or all at once; what is finished is given to nobody again."""
    one, two, none = await taken(work, b"1", b"2", b"3")
    verdicts = await settle(work.queue, Settlement(one, 3, [0, 2]), Settlement(two, 2, [0, 1]), Settlement(none, 0))
    assert verdicts == [Verdict.OPEN, Verdict.FINISHED, Verdict.FINISHED]
    assert await settle(work.queue, Settlement(one, 3, [1])) == [Verdict.FINISHED]
    await work.grow_old("s", "g", 1000)
    assert (await work.queue.claim("s", "g", "b", 1, 9)).deliveries == []
    assert (await work.queue.backlog("s", "g")).pending == 0


async def settling_twice_changes_nothing(work: WorkUnderTest) -> None:
    """After a lost reply the same news come again; they count once, and a letter is written once."""
    (entry,) = await taken(work, b"1")
    news = Settlement(entry, 4, [0], [Failure(1, 2, 5000)], [Letter(3, b"dead")])
    for queue in (work.queue, work.other, work.queue):
        assert await settle(queue, news) == [Verdict.OPEN]
    assert await all_of(work.transport, LETTERS) == [b"dead"]
    (standing,) = await work.queue.standing("s", "g", [entry])
    assert standing.settled == {0, 3}
    assert standing.failed == {1: Failure(1, 2, 5000)}
    last = Settlement(entry, 4, [1, 2])
    assert await settle(work.queue, last) == [Verdict.FINISHED]
    assert await settle(work.queue, last) == [Verdict.GONE]
    assert await settle(work.queue, news) == [Verdict.GONE]
    assert await all_of(work.transport, LETTERS) == [b"dead"]


async def a_failure_never_undoes_what_was_done(work: WorkUnderTest) -> None:
    """News may come late, from a worker that lost its entry: done stays done."""
    (entry,) = await taken(work, b"1")
    await settle(work.queue, Settlement(entry, 2, [0]))
    await settle(work.other, Settlement(entry, 2, failed=[Failure(0, 3, 9000)], letters=[Letter(0, b"late")]))
    (standing,) = await work.queue.standing("s", "g", [entry])
    assert standing.settled == {0}
    assert standing.failed == {}
    assert await all_of(work.transport, LETTERS) == []


async def many_events_of_one_entry_are_settled_at_once(work: WorkUnderTest) -> None:
    """More than a script can take as arguments of one command."""
    (entry,) = await taken(work, b"1")
    assert await settle(work.queue, Settlement(entry, 20_000, list(range(19_999)))) == [Verdict.OPEN]
    (standing,) = await work.queue.standing("s", "g", [entry])
    assert len(standing.settled) == 19_999
    assert await settle(work.queue, Settlement(entry, 20_000, [19_999])) == [Verdict.FINISHED]


# -- taking over ----------------------------------------------------------------------------------


async def what_a_dead_worker_left_is_taken_over(work: WorkUnderTest) -> None:
    """After its time, once, with the progress it made."""
    one, two = await taken(work, b"1", b"2")
    await settle(work.queue, Settlement(one, 3, [1], [Failure(2, 1, 700)]))
    assert (await work.other.claim("s", "g", "b", 60_000, 9)).deliveries == []
    await work.grow_old("s", "g", 60_000)
    first = await work.other.claim("s", "g", "b", 60_000, 1)
    assert (ids(first.deliveries), first.deliveries[0].deliveries, first.lost) == ([one], 2, [])
    assert payloads(first.deliveries) == [b"1"]
    assert ids((await work.queue.claim("s", "g", "c", 60_000, 9)).deliveries) == [two]
    assert (await work.queue.claim("s", "g", "c", 60_000, 9)).deliveries == []
    here, there = await work.other.standing("s", "g", [one, two])
    assert here.settled == {1}
    assert here.failed == {2: Failure(2, 1, 700)}
    assert not there.settled
    assert not there.failed
    await work.grow_old("s", "g", 60_000)
    again = await work.queue.claim("s", "g", "c", 60_000, 9)
    assert [one.deliveries for one in again.deliveries] == [3, 3]


async def signs_of_life_keep_entries(work: WorkUnderTest) -> None:
    """What is extended is not claimed, and does not count as given out again; who lost an entry is told."""
    one, two = await taken(work, b"1", b"2")
    await work.grow_old("s", "g", 60_000)
    assert await work.queue.extend("s", "g", "a", [one]) == []
    claimed = await work.other.claim("s", "g", "b", 60_000, 9)
    assert ids(claimed.deliveries) == [two]
    assert await work.queue.extend("s", "g", "a", [one, two]) == [two]
    await settle(work.queue, Settlement(one, 1, [0]))
    assert await work.queue.extend("s", "g", "a", [one]) == [one]
    assert await work.queue.extend("s", "nobody", "a", [one]) == [one]


async def what_is_given_back_is_free_at_once(work: WorkUnderTest) -> None:
    """And nobody is blamed for it, unless somebody was before."""
    await taken(work, b"1", b"2")
    await work.queue.release("s", "g", "a")
    claimed = await work.other.claim("s", "g", "b", 60_000, 9)
    assert [(one.entry.data, one.deliveries) for one in claimed.deliveries] == [(b"1", 1), (b"2", 1)]
    await work.grow_old("s", "g", 60_000)
    assert len((await work.other.claim("s", "g", "c", 60_000, 9)).deliveries) == 2
    await work.queue.release("s", "g", "c")
    claimed = await work.other.claim("s", "g", "b", 60_000, 9)
    assert [one.deliveries for one in claimed.deliveries] == [3, 3]


async def a_consumer_with_work_is_not_forgotten(work: WorkUnderTest) -> None:
    """Its entries would be lost with it."""
    (entry,) = await taken(work, b"1")
    assert await work.queue.leave("s", "g", "a") is False
    assert await work.queue.sweep("s", "g", 0) == 0
    await settle(work.queue, Settlement(entry, 1, [0]))
    assert await work.queue.sweep("s", "g", 3_600_000) == 0
    assert await work.queue.leave("s", "g", "a") is True
    assert await work.queue.leave("s", "g", "a") is False
    await taken(work, b"2", consumer="b")
    assert (await work.queue.backlog("s", "g")).pending == 1


async def the_backlog_names_the_oldest_unfinished_entry(work: WorkUnderTest) -> None:
    """Given out or not."""
    nothing = await work.queue.backlog("s", "g")
    assert (nothing.pending, nothing.oldest) == (0, None)
    await put(work.transport, "s", b"1", b"2", b"3")
    await work.queue.open_group("s", "g")
    before = await work.queue.backlog("s", "g")
    assert (before.pending, before.oldest and before.oldest.data) == (0, b"1")
    one, two = ids(await work.queue.take("s", "g", "a", 2, 0))
    await settle(work.queue, Settlement(one, 1, [0]))
    middle = await work.queue.backlog("s", "g")
    assert (middle.pending, middle.oldest and middle.oldest.data) == (1, b"2")
    await settle(work.queue, Settlement(two, 1, [0]))
    after = await work.queue.backlog("s", "g")
    assert (after.pending, after.oldest and after.oldest.data) == (0, b"3")


async def cancels_are_heard_by_the_group(work: WorkUnderTest) -> None:
    """Until the job has ended."""
    await work.queue.ask_to_cancel("g", "p:1")
    await work.other.ask_to_cancel("g", "p:2")
    assert await work.other.cancels("g") == {"p:1", "p:2"}
    assert await work.other.cancels("h") == frozenset()
    await work.queue.forget_cancels("g", ["p:1"])
    await work.queue.forget_cancels("g", [])
    assert await work.other.cancels("g") == {"p:2"}


WORK_CASES: tuple[Case, ...] = (
    a_group_begins_at_the_oldest_entry,
    a_group_of_an_empty_stream_waits_for_it,
    every_entry_goes_to_one_consumer_of_each_group,
    a_blocked_take_wakes,
    an_entry_is_finished_when_all_its_events_are,
    settling_twice_changes_nothing,
    a_failure_never_undoes_what_was_done,
    many_events_of_one_entry_are_settled_at_once,
    what_a_dead_worker_left_is_taken_over,
    signs_of_life_keep_entries,
    what_is_given_back_is_free_at_once,
    a_consumer_with_work_is_not_forgotten,
    the_backlog_names_the_oldest_unfinished_entry,
    cancels_are_heard_by_the_group,
)
