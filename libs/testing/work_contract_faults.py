"""What every work queue does with dead letters, ordered streams, trimmed entries and lost groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from libs.messagebus.transport import LAST, Commit, Output, StoredSnapshot
from libs.messagebus.workers.errors import GroupLostError, InactiveError, SharedStreamError
from libs.messagebus.workers.queue import Settlement, Verdict
from libs.testing.bus_contract import PATIENCE_MS, all_of, expect, put
from libs.testing.work_contract import LETTERS, WORK_CASES, Case, WorkUnderTest, ids, payloads, settle, taken


async def is_told(taking: Awaitable[object]) -> None:
    """A group is lost; on an ordered stream the lease is as well, and may be what is noticed first."""
    try:
        await taking
    except (GroupLostError, InactiveError):
        return
    raise AssertionError("the loss of the group must be told, was not")


# -- ordered streams ------------------------------------------------------------------------------


async def an_ordered_stream_has_one_worker(work: WorkUnderTest) -> None:
    """Nobody else takes from it or settles on it, until the lease has run out or was given up."""
    await put(work.transport, "s", b"1", b"2")
    await work.queue.open_group("s", "g")
    await expect(InactiveError, work.queue.take("s", "g", "a", 9, 0, ordered=True))
    assert await work.queue.hold("s", "g", "a", 60_000) is True
    assert await work.queue.hold("s", "g", "a", 60_000) is True
    assert await work.other.hold("s", "g", "b", 60_000) is False
    await expect(InactiveError, work.other.take("s", "g", "b", 9, 0, ordered=True))
    first = ids(await work.queue.take("s", "g", "a", 1, 0, ordered=True))
    await work.lapse("s", "g")
    assert await work.other.hold("s", "g", "b", 60_000) is True
    assert ids((await work.other.claim("s", "g", "b", 0, 9)).deliveries) == first
    await expect(InactiveError, work.queue.take("s", "g", "a", 9, 0, ordered=True))
    done = Settlement(first[0], 1, [0])
    await expect(InactiveError, settle(work.queue, done, ordered=True))
    assert (await work.queue.backlog("s", "g")).pending == 1
    assert await settle(work.other, done, consumer="b", ordered=True) == [Verdict.FINISHED]
    assert payloads(await work.other.take("s", "g", "b", 9, 0, ordered=True)) == [b"2"]
    await work.other.release("s", "g", "b")
    assert await work.queue.hold("s", "g", "a", 60_000) is True


async def a_blocked_take_of_an_ordered_stream_wakes(work: WorkUnderTest) -> None:
    """On an empty stream, and behind everything that was given out."""
    await work.queue.open_group("s", "g")
    await work.queue.hold("s", "g", "a", 60_000)
    assert await work.queue.take("s", "g", "a", 9, 10, ordered=True) == []
    for payload in (b"1", b"2"):
        waiting = asyncio.create_task(work.queue.take("s", "g", "a", 9, PATIENCE_MS, ordered=True))
        await work.wait_until_blocked(1)
        await put(work.transport, "s", payload)
        assert payloads(await waiting) == [payload]


# -- what is lost ---------------------------------------------------------------------------------


async def a_lost_group_is_told_and_begins_again_at_the_oldest(work: WorkUnderTest) -> None:
    """Nothing published since is missed, and news of before are told to be about nothing."""
    (entry,) = await taken(work, b"before")
    await work.lose_everything()
    await expect(GroupLostError, work.queue.take("s", "g", "a", 9, 0))
    await expect(GroupLostError, work.queue.claim("s", "g", "a", 0, 9))
    assert await settle(work.queue, Settlement(entry, 2, [0])) == [Verdict.GONE]
    assert await work.queue.extend("s", "g", "a", [entry]) == [entry]
    await work.queue.release("s", "g", "a")
    assert await work.queue.leave("s", "g", "a") is False
    await put(work.transport, "s", b"after", producer="new")
    assert await work.queue.open_group("s", "g") is True
    assert payloads(await work.queue.take("s", "g", "a", 9, 0)) == [b"after"]


async def a_group_lost_while_blocked_is_told(work: WorkUnderTest) -> None:
    """Both kinds of reading."""
    for ordered in (False, True):
        await work.queue.open_group("s", "g")
        await work.queue.hold("s", "g", "a", 60_000)
        waiting = asyncio.create_task(work.queue.take("s", "g", "a", 9, PATIENCE_MS, ordered=ordered))
        await work.wait_until_blocked(1)
        await work.lose_everything()
        # An ordered one waits with a plain read, which a lost stream does not disturb; the next entry does.
        await put(work.transport, "s", b"x", producer=f"p{ordered}")
        await is_told(waiting)
        await work.lose_everything()


async def an_ordered_take_without_group_is_told(work: WorkUnderTest) -> None:
    """Held, but the group is gone."""
    await put(work.transport, "s", b"1")
    await work.queue.open_group("s", "g")
    await work.queue.hold("s", "g", "a", 60_000)
    await work.lose_everything()
    await put(work.transport, "s", b"2", producer="new")
    await is_told(work.queue.take("s", "g", "a", 9, 0, ordered=True))


async def entries_trimmed_under_a_worker_are_named(work: WorkUnderTest) -> None:
    """Their jobs cannot be done any more; whoever claims them hears it once."""
    one, two = await taken(work, b"1", b"2")
    await work.grow_old("s", "g", 60_000)
    await work.erase("s", [one])
    claimed = await work.queue.claim("s", "g", "b", 60_000, 9)
    assert (ids(claimed.deliveries), claimed.lost) == ([two], [one])
    assert (await work.queue.backlog("s", "g")).pending == 1


async def trimming_leaves_what_a_group_needs(work: WorkUnderTest) -> None:
    """Pending entries and those not given out yet, whatever the retention says; with and without engines."""
    await put(work.transport, "s", *(bytes([i]) for i in range(6)))
    await work.queue.open_group("s", "g")
    assert await work.transport.trim({"s": 0}) == 0
    found = ids(await work.queue.take("s", "g", "a", 4, 0))
    await settle(work.queue, *(Settlement(entry, 1, [0]) for entry in found[:2]))
    assert await work.transport.trim({"s": 0}) == 2
    await settle(work.queue, *(Settlement(entry, 1, [0]) for entry in found[2:]))
    tail = await work.transport.tails(["s"])
    lease = await work.transport.acquire("engine", ["s"])
    for number in (1, 2):
        await work.transport.commit(Commit("engine", lease.epoch, number, tail, [], b"j"))
        await work.transport.save_snapshot("engine", lease.epoch, StoredSnapshot(number, b"s"), tail)
    await work.transport.trim({"s": 0})
    left = await work.transport.read_range("s", found[0], LAST, 9)
    assert [entry.data for entry in left] == [bytes([4]), bytes([5])]
    assert payloads(await work.queue.take("s", "g", "a", 9, 0)) == [bytes([4]), bytes([5])]


# -- dead letters ---------------------------------------------------------------------------------


async def a_letter_is_retried_or_dropped_once(work: WorkUnderTest) -> None:
    """The second attempt, by whomever, is told what was done before and does nothing."""
    again = Output("s", b"again")
    assert await work.queue.settle_letter("5-0.0", "retried by x", again, "g", shared=False) == ""
    assert await work.other.settle_letter("5-0.0", "retried by y", again, "g", shared=False) == "retried by x"
    assert await work.other.settle_letter("5-0.0", "dropped by y", None, "g", shared=False) == "retried by x"
    assert await work.queue.settle_letter("5-0.1", "dropped by x", None, "g", shared=False) == ""
    assert await work.queue.settle_letter("5-0.1", "retried by y", again, "g", shared=False) == "dropped by x"
    assert await all_of(work.transport, "s") == [b"again"]
    assert await work.queue.letter_states(["5-0.1", "6-0.0", "5-0.0"]) == ["dropped by x", "", "retried by x"]
    assert await work.queue.letter_states([]) == []


async def a_retried_letter_is_meant_for_the_reader_that_failed(work: WorkUnderTest) -> None:
    """Every group is given it, and told for whom it is."""
    for group in ("g", "h"):
        await work.queue.open_group("s", group)
    await put(work.transport, "s", b"usual")
    await work.queue.settle_letter("5-0.0", "retried", Output("s", b"again"), "g", shared=False)
    for group in ("g", "h"):
        found = await work.queue.take("s", group, "a", 9, 0)
        assert [(one.entry.data, one.target) for one in found] == [(b"usual", ""), (b"again", "g")]
    await work.grow_old("s", "g", 60_000)
    assert [one.target for one in (await work.queue.claim("s", "g", "b", 1, 9)).deliveries] == ["", "g"]


async def a_letter_is_not_given_to_other_engines_unasked(work: WorkUnderTest) -> None:
    """They have handled the event; a second time could be a second order."""
    await work.transport.acquire("risk", ["s", "t"])
    await work.transport.acquire("ml", ["s"])
    await work.transport.acquire("features", ["t"])
    again = Output("s", b"again")
    error = await expect(SharedStreamError, work.queue.settle_letter("5-0.0", "r", again, "risk", shared=False))
    assert "handled by ml," in str(error)
    error = await expect(SharedStreamError, work.queue.settle_letter("5-0.0", "r", again, "group", shared=False))
    assert "handled by ml, risk," in str(error)
    assert await all_of(work.transport, "s") == []
    assert await work.queue.settle_letter("5-0.0", "r", again, "risk", shared=True) == ""
    assert await work.queue.settle_letter("5-0.1", "r", Output("inbox", b"x"), "risk", shared=False) == ""
    assert await all_of(work.transport, "s") == [b"again"]


async def letters_are_listed_newest_first(work: WorkUnderTest) -> None:
    """In pages."""
    assert await work.queue.newest(LETTERS, "", 9) == []
    await put(work.transport, LETTERS, *(bytes([i]) for i in range(5)))
    first = await work.queue.newest(LETTERS, "", 3)
    assert [entry.data for entry in first] == [bytes([4]), bytes([3]), bytes([2])]
    rest = await work.queue.newest(LETTERS, first[-1].entry_id, 3)
    assert [entry.data for entry in rest] == [bytes([1]), bytes([0])]
    assert await work.queue.newest(LETTERS, rest[-1].entry_id, 3) == []
    assert await work.queue.newest(LETTERS, "0-0", 3) == []


CASES: Final[tuple[Case, ...]] = (
    *WORK_CASES,
    an_ordered_stream_has_one_worker,
    a_blocked_take_of_an_ordered_stream_wakes,
    a_lost_group_is_told_and_begins_again_at_the_oldest,
    a_group_lost_while_blocked_is_told,
    an_ordered_take_without_group_is_told,
    entries_trimmed_under_a_worker_are_named,
    trimming_leaves_what_a_group_needs,
    a_letter_is_retried_or_dropped_once,
    a_retried_letter_is_meant_for_the_reader_that_failed,
    a_letter_is_not_given_to_other_engines_unasked,
    letters_are_listed_newest_first,
)
