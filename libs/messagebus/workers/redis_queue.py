"""The work queue on Redis consumer groups; each step that must be whole is one Lua script (``redis/work_*.lua``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.messagebus.errors import MessageBusError
from libs.messagebus.redis.connection import Argument, Command
from libs.messagebus.redis.keys import WorkKeys
from libs.messagebus.redis.replies import ReplyError
from libs.messagebus.redis.scripts import load
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.transport import START, Entry, Output, entry_before
from libs.messagebus.workers.errors import GroupLostError, InactiveError, SharedStreamError
from libs.messagebus.workers.queue import (
    PROGRESS_SECONDS,
    Backlog,
    Claimed,
    Delivery,
    Failure,
    Settlement,
    Standing,
    Verdict,
)

#: Silence that released entries are given: longer than any visibility.
_RELEASED_MS = 30 * 24 * 3600 * 1000
_MAX_RELEASED = 10_000
_CANCEL_SECONDS = 24 * 3600


class RedisWorkQueue:
    """A :class:`~libs.messagebus.workers.queue.WorkQueue` on the server and under the keys of a transport."""

    def __init__(self, transport: RedisTransport) -> None:
        """Use the connections of ``transport``, which stays its owner's to connect and close."""
        self._pool = transport._pool
        self._keys = transport._keys
        self._label = transport._label

    # -- taking -----------------------------------------------------------------------------------

    async def open_group(self, stream: str, group: str) -> bool:
        """See :meth:`WorkQueue.open_group`."""
        reply = await self._raw(("XGROUP", "CREATE", self._keys.stream(stream), group, "0", "MKSTREAM"))
        if isinstance(reply, ReplyError):
            if reply.code == "BUSYGROUP":
                return False
            raise self._meaning(reply)
        return True

    async def take(
        self, stream: str, group: str, consumer: str, count: int, block_ms: int, *, ordered: bool = False
    ) -> list[Delivery]:
        """See :meth:`WorkQueue.take`."""
        if ordered:
            return await self._take_ordered(stream, group, consumer, count, block_ms)
        block: tuple[Argument, ...] = ("BLOCK", block_ms) if block_ms else ()
        reply = await self._blocking(
            ("XREADGROUP", "GROUP", group, consumer, "COUNT", count, *block, "STREAMS", self._keys.stream(stream), ">"),
            block_ms,
        )
        return [_delivery(stream, entry_id, fields) for entry_id, fields in reply[0][1]] if reply else []

    async def _take_ordered(self, stream: str, group: str, consumer: str, count: int, block_ms: int) -> list[Delivery]:
        # XREADGROUP cannot ask who holds the stream, and a script cannot block; so a plain XREAD waits for the script.
        key, keys = self._keys.stream(stream), WorkKeys(self._keys, group)
        found, newest = await self._script("take", (key, keys.holder(stream)), (group, consumer, count))
        if not found and block_ms:
            await self._blocking(("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", key, newest), block_ms)
            found, _ = await self._script("take", (key, keys.holder(stream)), (group, consumer, count))
        return [_delivery(stream, entry_id, fields) for entry_id, fields in found]

    async def hold(self, stream: str, group: str, consumer: str, lease_ms: int) -> bool:
        """See :meth:`WorkQueue.hold`."""
        return bool(await self._script("hold", (WorkKeys(self._keys, group).holder(stream),), (consumer, lease_ms)))

    async def claim(self, stream: str, group: str, consumer: str, idle_ms: int, count: int) -> Claimed:
        """See :meth:`WorkQueue.claim`."""
        taken, lost = await self._script("claim", (self._keys.stream(stream),), (group, consumer, idle_ms, count))
        found = [_delivery(stream, entry_id, fields, deliveries) for entry_id, fields, deliveries in taken]
        return Claimed(found, [entry_id.decode() for entry_id in lost])

    async def standing(self, stream: str, group: str, entry_ids: Sequence[str]) -> list[Standing]:
        """See :meth:`WorkQueue.standing`."""
        if not entry_ids:
            return []
        keys = WorkKeys(self._keys, group)
        replies = await (await self._pool.writer()).send([("HGETALL", keys.entry(stream, one)) for one in entry_ids])
        return [_standing(self._checked(reply)) for reply in replies]

    async def extend(self, stream: str, group: str, consumer: str, entry_ids: Sequence[str]) -> list[str]:
        """See :meth:`WorkQueue.extend`."""
        others = await self._script("extend", (self._keys.stream(stream),), (group, consumer, *entry_ids))
        return [entry_id.decode() for entry_id in others]

    async def settle(
        self, stream: str, group: str, consumer: str, news: Sequence[Settlement], letters: str, *, ordered: bool = False
    ) -> list[Verdict]:
        """See :meth:`WorkQueue.settle`."""
        named, keys = self._keys, WorkKeys(self._keys, group)
        arguments: list[Argument] = [group, consumer, int(ordered), PROGRESS_SECONDS, letters]
        for one in news:
            arguments += _arguments(one)
        verdicts = await self._script(
            "settle",
            (
                named.stream(stream), keys.holder(stream), named.stream(letters), named.tails,
                *(keys.entry(stream, one.entry_id) for one in news),
            ),
            tuple(arguments),
        )  # fmt: skip
        return [Verdict(verdict) for verdict in verdicts]

    async def release(self, stream: str, group: str, consumer: str) -> None:
        """See :meth:`WorkQueue.release`."""
        keys = (self._keys.stream(stream), WorkKeys(self._keys, group).holder(stream))
        await self._script("release", keys, (group, consumer, _RELEASED_MS, _MAX_RELEASED))

    async def leave(self, stream: str, group: str, consumer: str) -> bool:
        """See :meth:`WorkQueue.leave`."""
        return bool(await self._script("forget", (self._keys.stream(stream),), (group, consumer, 0)))

    async def sweep(self, stream: str, group: str, idle_ms: int) -> int:
        """See :meth:`WorkQueue.sweep`."""
        return int(await self._script("forget", (self._keys.stream(stream),), (group, "", idle_ms)))

    async def backlog(self, stream: str, group: str) -> Backlog:
        """See :meth:`WorkQueue.backlog`."""
        pending, *oldest = await self._script("backlog", (self._keys.stream(stream),), (group,))
        first = oldest[0] if oldest else None
        return Backlog(pending, Entry(stream, first[0].decode(), first[1][1]) if first else None)

    async def ask_to_cancel(self, group: str, job_id: str) -> None:
        """See :meth:`WorkQueue.ask_to_cancel`; forgotten a day after the last one that was asked for."""
        key = WorkKeys(self._keys, group).cancels
        for reply in await (await self._pool.writer()).send(
            [("HSET", key, job_id, ""), ("EXPIRE", key, _CANCEL_SECONDS)]
        ):
            self._checked(reply)

    async def cancels(self, group: str) -> frozenset[str]:
        """See :meth:`WorkQueue.cancels`."""
        found = self._checked(await self._raw(("HKEYS", WorkKeys(self._keys, group).cancels)))
        return frozenset(job_id.decode() for job_id in found)

    async def forget_cancels(self, group: str, job_ids: Sequence[str]) -> None:
        """See :meth:`WorkQueue.forget_cancels`."""
        if job_ids:
            self._checked(await self._raw(("HDEL", WorkKeys(self._keys, group).cancels, *job_ids)))

    # -- dead letters -----------------------------------------------------------------------------

    async def newest(self, stream: str, before: str, count: int) -> list[Entry]:
        """See :meth:`WorkQueue.newest`."""
        if before == START:
            return []
        end = entry_before(before) if before else "+"
        found = await self._blocking(("XREVRANGE", self._keys.stream(stream), end, "-", "COUNT", count), 0)
        return [Entry(stream, entry_id.decode(), fields[1]) for entry_id, fields in found]

    async def letter_states(self, letter_ids: Sequence[str]) -> list[str]:
        """See :meth:`WorkQueue.letter_states`."""
        if not letter_ids:
            return []
        found = self._checked(await self._raw(("HMGET", f"{self._keys.prefix}:letters", *letter_ids)))
        return [state.decode() if state else "" for state in found]

    async def settle_letter(
        self, letter_id: str, state: str, retry: Output | None, reader: str, *, shared: bool
    ) -> str:
        """See :meth:`WorkQueue.settle_letter`."""
        named = self._keys
        keys: tuple[str, ...] = (f"{named.prefix}:letters", named.readers, named.tails)
        arguments: tuple[Argument, ...] = (letter_id, state, reader, int(shared))
        if retry is not None:
            keys, arguments = (*keys, named.stream(retry.stream)), (*arguments, *retry)
        before: bytes = await self._script("letter", keys, arguments)
        return before.decode()

    # -- internals --------------------------------------------------------------------------------

    async def _raw(self, command: Command) -> Any:
        return await self._pool.call(command)

    async def _blocking(self, command: Command, block_ms: int) -> Any:
        (reply,) = await self._pool.converse([command], block_ms / 1000)
        return self._checked(reply)

    async def _script(self, name: str, keys: tuple[str, ...], arguments: tuple[Argument, ...]) -> Any:
        script = load(f"work_{name}")
        command = ("EVALSHA", script.digest, len(keys), *keys, *arguments)
        reply = await self._raw(command)
        if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT":
            self._checked(await self._raw(("SCRIPT", "LOAD", script.source)))
            reply = await self._raw(command)
        return self._checked(reply)

    def _checked(self, reply: Any) -> Any:
        if isinstance(reply, ReplyError):
            raise self._meaning(reply)
        return reply

    def _meaning(self, reply: ReplyError) -> MessageBusError:
        error = self._pool.meaning_of(reply)
        # The first comes to a read that was blocked when the stream went away, the second to all others; inside a
        # script of 6.2 the code stands in the middle of the text.
        if "no longer exists" in str(reply) or "NOGROUP" in str(reply):
            return GroupLostError(f"consumer group on Redis at {self._label} must exist, was gone: {reply}")
        if reply.code == "INACTIVE":
            return InactiveError(f"ordered stream must be held by this worker, was by '{reply.detail}'")
        if reply.code == "SHARED":
            return SharedStreamError(shared_text(reply.detail))
        return error


def shared_text(others: str) -> str:
    """Why a letter is not published again unasked."""
    return (
        f"the event must be for the failed reader alone, was also handled by {others}, which would handle it a second "
        "time; if that does no harm, retry with --shared"
    )


def _delivery(stream: str, entry_id: bytes, fields: Sequence[bytes], deliveries: int = 1) -> Delivery:
    target = fields[3].decode() if len(fields) > 3 and fields[2] == b"g" else ""
    return Delivery(Entry(stream, entry_id.decode(), fields[1]), target, deliveries)


def _arguments(news: Settlement) -> list[Argument]:
    whole = len(news.settled) >= news.total and not news.letters
    listed: Sequence[int] = () if whole else news.settled
    failed = [part for one in news.failed for part in (one.index, f"{one.attempts},{one.due_ms}")]
    letters = [part for letter in news.letters for part in (letter.index, letter.data)]
    return [
        news.entry_id, news.total, -1 if whole else len(listed), *listed, len(news.failed), *failed,
        len(news.letters), *letters,
    ]  # fmt: skip


def _standing(flat: Sequence[bytes]) -> Standing:
    settled: set[int] = set()
    failed: dict[int, Failure] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        if name[:1] == b"s":
            settled.add(int(name[1:]))
        elif name[:1] == b"f":
            attempts, _, due = value.partition(b",")
            failed[int(name[1:])] = Failure(int(name[1:]), int(attempts), int(due))
    return Standing(frozenset(settled), {index: one for index, one in failed.items() if index not in settled})
