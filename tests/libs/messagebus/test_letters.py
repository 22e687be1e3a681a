"""The desk of the dead letters: what is retried comes back once, as it was, to the one that failed on it."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from libs.contracts.dead_letters import MAX_PAYLOAD, dead_letter
from libs.contracts.system import EventDeadLettered
from libs.contracts.topics import DEAD_LETTER
from libs.messagebus.envelope import Input, ReferringBatch
from libs.messagebus.transport import START, Entry, Output
from libs.messagebus.workers import (
    LetterDesk,
    LetterLostError,
    LetterSettledError,
    LetterUnknownError,
    RetryPolicy,
    SharedStreamError,
)
from libs.testing.bus_topics import TICKED, Ticked
from tests.libs.messagebus.working import CODEC, NOW, REGISTRY, Bench, Script, run, ticks

ONCE = RetryPolicy(max_attempts=1)


def desk_of(bench: Bench) -> LetterDesk:
    return LetterDesk(bench.queue, bench.memory, CODEC, REGISTRY, bench.clock)


async def write(bench: Bench, *letters: EventDeadLettered) -> None:
    await bench.publish_events(*letters, stream=DEAD_LETTER.stream)


def letter_of(entry: Entry, **changes: Any) -> EventDeadLettered:
    given = {"event_id": "p:0", "topic": TICKED.name, "error": "E: x", "payload": b"", "place": "here"} | changes
    return dead_letter(NOW, given.pop("reader", "g"), entry, given.pop("index", 0), **given)


def test_a_retried_job_is_done_by_its_group_alone_under_its_old_key() -> None:
    async def scenario(bench: Bench) -> None:
        broken = Script(failing={2.0: 9})
        other = Script()
        await bench.publish(1.0, 2.0, 3.0)
        failing = bench.start(ticks(broken, retry=ONCE))
        bench.start(ticks(other), group="other")
        await bench.until(lambda: other.done == [1.0, 2.0, 3.0])
        await bench.settle_down()
        (stored,) = await desk_of(bench).letters()
        assert (stored.letter.event_id, stored.state, stored.is_open) == ("p:1", "", True)
        await bench.stop(failing)
        mended = Script()
        bench.start(ticks(mended))
        done = await desk_of(bench).retry(stored.id, "ann")
        assert done.state == "retried by ann at 2020-09-13T12:26:40Z"
        await bench.until(lambda: mended.done == [2.0])
        await bench.settle_down()
        assert mended.keys == ["g/p:1"]
        assert other.done == [1.0, 2.0, 3.0]
        assert await bench.pending() == await bench.pending("other") == 0

    run(scenario)


def test_a_letter_is_settled_once() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.publish(1.0, 2.0)
        entry = (await bench.memory.read({TICKED.stream: START}, 1, 0))[0]
        await write(bench, letter_of(entry), letter_of(entry, index=1, event_id="p:1"))
        desk = desk_of(bench)
        second, first = await desk.letters()
        await desk.retry(first.id, "ann")
        for again in (desk.retry(first.id, "bob"), desk.drop(first.id, "bob")):
            with pytest.raises(LetterSettledError, match="must be open, was retried by ann"):
                await again
        assert (await desk.drop(second.id, "bob", "old")).state.endswith(": old")
        with pytest.raises(LetterSettledError, match="was dropped by bob"):
            await desk.retry(second.id, "ann")
        assert await desk.letters() == []
        assert [one.id for one in await desk.letters(settled=True)] == [second.id, first.id]
        assert len(await bench.memory.read({TICKED.stream: START}, 9, 0)) == 2

    run(scenario)


def test_a_retried_event_still_names_its_cause_and_what_it_was_computed_from() -> None:
    async def scenario(bench: Bench) -> None:
        events = [Ticked(NOW, "A", 1.0), Ticked(NOW, "A", 2.0)]
        batch = ReferringBatch(
            "p", 0, NOW, events, [Input("q", 7, 1)], [-1, 0], ["", "r:3"], [["x:1"], ["x:2", "y:5"]]
        )  # fmt: skip
        await bench.memory.append("p", 0, 2, [Output(TICKED.stream, CODEC.encode(batch))])
        bench.start(ticks(Script(failing={2.0: 9}), retry=ONCE))
        await bench.until(lambda: True)
        await bench.settle_down()
        (stored,) = await desk_of(bench).letters()
        await desk_of(bench).retry(stored.id, "ann")
        entries = await bench.memory.read({TICKED.stream: START}, 9, 0)
        again = CODEC.decode(entries[-1].data)
        assert len(entries) == 2
        assert (again.event_id(0), again.events) == ("p:1", events[1:])
        assert (again.causation_id(0), again.correlation_id(0)) == ("q:7", "r:3")
        assert again.references_of(0) == ["x:2", "y:5"]

    run(scenario)


def test_two_at_once_retry_a_letter_once() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.publish(1.0)
        await write(bench, letter_of((await bench.memory.read({TICKED.stream: START}, 1, 0))[0]))
        (stored,) = await desk_of(bench).letters()
        results = await asyncio.gather(
            *(desk_of(bench).retry(stored.id, str(number)) for number in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, LetterSettledError) for result in results) == 4
        assert len(await bench.memory.read({TICKED.stream: START}, 9, 0)) == 2

    run(scenario)


def test_the_event_is_published_byte_for_byte_with_its_ids_and_causes() -> None:
    async def scenario(bench: Bench) -> None:
        # A field that this version does not know yet must not be lost on the way.
        newer = msgspec.Raw(msgspec.msgpack.encode(["test.ticked.v1", NOW, "X", 1.0, "a field of tomorrow"]))
        batch = ["maker", 40, NOW, [newer, newer], [["source", 7, 3]], [2, 1], ["root:1", ""]]
        await bench.publish_bytes(msgspec.msgpack.encode(batch), 2)
        entry = (await bench.memory.read({TICKED.stream: START}, 1, 0))[0]
        payload = CODEC.encode_event(Ticked(NOW, "X", 1.0))
        await write(bench, *(letter_of(entry, index=i, event_id=f"maker:{40 + i}", payload=payload) for i in (0, 1)))
        for stored in await desk_of(bench).letters():
            await desk_of(bench).retry(stored.id, "ann")
        again = [one.data for one in (await bench.memory.read({TICKED.stream: START}, 9, 0))[1:]]
        for data, index in zip(again, (1, 0), strict=True):
            found, before = CODEC.decode(data), CODEC.decode(entry.data)
            assert found.event_id(0) == before.event_id(index) == f"maker:{40 + index}"
            assert found.causation_id(0) == before.causation_id(index) == f"source:{9 - index}"
            assert found.correlation_id(0) == before.correlation_id(index)
            assert bytes(newer) in data

    run(scenario)


def test_an_entry_that_was_trimmed_is_published_from_its_letter_if_that_is_whole() -> None:
    async def scenario(bench: Bench) -> None:
        gone = Entry(TICKED.stream, "99-0", b"")
        whole = CODEC.encode_event(Ticked(NOW, "X", 5.0))
        await write(
            bench,
            letter_of(gone, event_id="maker:4", payload=whole),
            letter_of(gone, payload=bytes(MAX_PAYLOAD + 1)),
            letter_of(gone, event_id="", payload=b"rubbish"),
            letter_of(Entry("", "", b"")),
        )
        timer, rubbish, cut, kept = await desk_of(bench).letters()
        await desk_of(bench).retry(kept.id, "ann")
        await desk_of(bench).retry(rubbish.id, "ann")
        with pytest.raises(LetterLostError, match="must be whole, was cut at 65536 bytes"):
            await desk_of(bench).retry(cut.id, "ann")
        with pytest.raises(LetterLostError, match="was about a timer"):
            await desk_of(bench).retry(timer.id, "ann")
        first, second = [one.data for one in await bench.memory.read({TICKED.stream: START}, 9, 0)]
        found = CODEC.decode(first)
        assert (found.event_id(0), found.events) == ("maker:4", [Ticked(NOW, "X", 5.0)])
        assert second == b"rubbish"
        assert [one.id for one in await desk_of(bench).letters()] == [timer.id, cut.id]

    run(scenario)


def test_other_engines_are_not_given_the_event_again_unasked() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.publish(1.0)
        for engine in ("risk", "portfolio"):
            await bench.memory.acquire(engine, [TICKED.stream])
        await write(bench, letter_of((await bench.memory.read({TICKED.stream: START}, 1, 0))[0], reader="risk"))
        (stored,) = await desk_of(bench).letters()
        with pytest.raises(SharedStreamError, match="was also handled by portfolio,"):
            await desk_of(bench).retry(stored.id, "ann")
        assert (await desk_of(bench).get(stored.id)).is_open
        await desk_of(bench).retry(stored.id, "ann", shared=True)

    run(scenario)


def test_letters_are_listed_in_pages_and_by_what_they_are_about() -> None:
    async def scenario(bench: Bench) -> None:
        entry = Entry(TICKED.stream, "1-0", b"")
        for number in range(5):
            await write(bench, *(letter_of(entry, reader=f"r{number % 2}", error=f"{number}.{i}") for i in range(3)))
        desk = desk_of(bench)
        everything = [one.letter.error for one in await desk.letters(limit=100)]
        assert everything == [f"{number}.{i}" for number in (4, 3, 2, 1, 0) for i in (2, 1, 0)]
        paged: list[str] = []
        cursor = ""
        while page := await desk.letters(limit=4, before=cursor):
            paged += [one.letter.error for one in page]
            cursor = page[-1].id
        assert paged == everything
        assert [one.letter.error for one in await desk.letters(limit=2, reader="r1")] == ["3.2", "3.1"]
        assert await desk.letters(topic="another") == []

    run(scenario)


@pytest.mark.parametrize("letter_id", ["", "5", "5-0", "x-0.0", "5-0.x", "5-0.0.0", "²-0.0", "9" * 30 + "-0.0"])
def test_an_id_that_is_none_is_refused(letter_id: str) -> None:
    async def scenario(bench: Bench) -> None:
        for asked in (desk_of(bench).get(letter_id), desk_of(bench).drop(letter_id, "ann")):
            with pytest.raises(LetterUnknownError):
                await asked

    run(scenario)


def test_a_letter_that_is_gone_is_unknown() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.publish_events(Ticked(NOW, "X", 1.0), stream=DEAD_LETTER.stream)
        for letter_id in ("1-0.0", "7-0.0"):
            with pytest.raises(LetterUnknownError, match="must exist"):
                await desk_of(bench).get(letter_id)
        await bench.publish_bytes(b"rubbish", stream=DEAD_LETTER.stream)
        assert await desk_of(bench).letters() == []

    run(scenario)
