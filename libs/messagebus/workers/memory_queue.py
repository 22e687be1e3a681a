"""The work queue of the memory transport: the same semantics in one process, surviving nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.clock import Clock
from libs.messagebus.groups import ConsumerGroup, PendingEntry
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.memory_state import number_of
from libs.messagebus.transport import START, Entry, Output, entry_before
from libs.messagebus.workers.errors import GroupLostError, InactiveError, SharedStreamError
from libs.messagebus.workers.queue import Backlog, Claimed, Delivery, Failure, Settlement, Standing, Verdict
from libs.messagebus.workers.redis_queue import shared_text

_MS = 1_000_000


class MemoryWorkQueue:
    """A :class:`~libs.messagebus.workers.queue.WorkQueue` over the streams of a memory transport."""

    def __init__(self, transport: MemoryTransport, clock: Clock) -> None:
        """Use the streams of ``transport``; silence and leases are measured by ``clock``."""
        self._transport = transport
        self._book = transport.groups
        self._clock = clock

    # -- taking -----------------------------------------------------------------------------------

    async def open_group(self, stream: str, group: str) -> bool:
        """See :meth:`WorkQueue.open_group`."""
        await self._transport.ping()
        groups = self._book.groups.setdefault(stream, {})
        if group in groups:
            return False
        groups[group] = ConsumerGroup()
        return True

    async def take(
        self, stream: str, group: str, consumer: str, count: int, block_ms: int, *, ordered: bool = False
    ) -> list[Delivery]:
        """See :meth:`WorkQueue.take`."""
        found = self._take(stream, group, consumer, count, ordered)
        if found or not block_ms:
            await asyncio.sleep(0)
            return found
        position = f"{self._group(stream, group).last}-0"
        await self._transport.read({stream: position}, 1, block_ms)
        return self._take(stream, group, consumer, count, ordered)

    def _take(self, stream: str, group: str, consumer: str, count: int, ordered: bool) -> list[Delivery]:
        state = self._group(stream, group)
        if ordered:
            self._check_holder(state, consumer)
        now = self._clock.timestamp_ns()
        state.consumers[consumer] = now
        # What was trimmed away cannot be given out; Redis passes over it as well.
        state.last = max(state.last, self._first(stream) - 1)
        entries = self._transport.read_nowait({stream: f"{state.last}-0"}, count)
        for entry in entries:
            state.last = number_of(entry.entry_id)
            state.pending[state.last] = PendingEntry(consumer, now)
        return [self._delivery(entry, 1) for entry in entries]

    async def hold(self, stream: str, group: str, consumer: str, lease_ms: int) -> bool:
        """See :meth:`WorkQueue.hold`."""
        await self._transport.ping()
        state, now = self._group(stream, group), self._clock.timestamp_ns()
        holder, until = state.holder
        if holder not in ("", consumer) and until > now:
            return False
        state.holder = (consumer, now + lease_ms * _MS)
        return True

    async def claim(self, stream: str, group: str, consumer: str, idle_ms: int, count: int) -> Claimed:
        """See :meth:`WorkQueue.claim`."""
        await self._transport.ping()
        state, now = self._group(stream, group), self._clock.timestamp_ns()
        claimed = Claimed([], [])
        for number, pending in sorted(state.pending.items()):
            if len(claimed.deliveries) >= count:
                break
            if now - pending.since_ns < idle_ms * _MS:
                continue
            entry = await self._entry(stream, number)
            if entry is None:
                del state.pending[number]
                claimed.lost.append(f"{number}-0")
                continue
            pending.consumer, pending.since_ns = consumer, now
            pending.deliveries += 1
            claimed.deliveries.append(self._delivery(entry, pending.deliveries))
        state.consumers[consumer] = now
        return claimed

    async def standing(self, stream: str, group: str, entry_ids: Sequence[str]) -> list[Standing]:
        """See :meth:`WorkQueue.standing`."""
        progress = self._group(stream, group).progress
        found = [progress.get(number_of(entry_id), (set(), {})) for entry_id in entry_ids]
        return [
            Standing(frozenset(settled), {index: Failure(index, *one) for index, one in sorted(failed.items())})
            for settled, failed in found
        ]

    async def extend(self, stream: str, group: str, consumer: str, entry_ids: Sequence[str]) -> list[str]:
        """See :meth:`WorkQueue.extend`."""
        await self._transport.ping()
        state = self._book.groups.get(stream, {}).get(group, ConsumerGroup())
        others = []
        for entry_id in entry_ids:
            pending = state.pending.get(number_of(entry_id))
            if pending is None or pending.consumer != consumer:
                others.append(entry_id)
            else:
                pending.since_ns = self._clock.timestamp_ns()
        return others

    async def settle(
        self, stream: str, group: str, consumer: str, news: Sequence[Settlement], letters: str, *, ordered: bool = False
    ) -> list[Verdict]:
        """See :meth:`WorkQueue.settle`."""
        await self._transport.ping()
        state = self._book.groups.get(stream, {}).get(group, ConsumerGroup())
        if ordered:
            self._check_holder(state, consumer)
        await asyncio.sleep(0)
        return [self._settle(state, one, letters) for one in news]

    def _settle(self, state: ConsumerGroup, news: Settlement, letters: str) -> Verdict:
        number = number_of(news.entry_id)
        if number not in state.pending:
            return Verdict.GONE
        settled, failed = state.progress.setdefault(number, (set(), {}))
        for letter in news.letters:
            if letter.index not in settled:
                self._transport._put([Output(letters, letter.data)])
                settled.add(letter.index)
        settled.update(news.settled)
        for one in news.failed:
            failed[one.index] = (one.attempts, one.due_ms)
        for index in settled.intersection(failed):
            del failed[index]
        if len(settled) < news.total:
            return Verdict.OPEN
        del state.pending[number], state.progress[number]
        return Verdict.FINISHED

    async def release(self, stream: str, group: str, consumer: str) -> None:
        """See :meth:`WorkQueue.release`."""
        await self._transport.ping()
        state = self._book.groups.get(stream, {}).get(group, ConsumerGroup())
        if state.holder[0] == consumer:
            state.holder = ("", 0)
        for pending in state.pending.values():
            if pending.consumer == consumer:
                pending.since_ns = 0
                pending.deliveries = 0 if pending.deliveries == 1 else pending.deliveries

    async def leave(self, stream: str, group: str, consumer: str) -> bool:
        """See :meth:`WorkQueue.leave`."""
        return bool(self._forget(stream, group, [consumer]))

    async def sweep(self, stream: str, group: str, idle_ms: int) -> int:
        """See :meth:`WorkQueue.sweep`."""
        state, now = self._group(stream, group), self._clock.timestamp_ns()
        silent = [name for name, seen in sorted(state.consumers.items()) if now - seen >= idle_ms * _MS]
        return self._forget(stream, group, silent)

    def _forget(self, stream: str, group: str, consumers: Sequence[str]) -> int:
        state = self._book.groups.get(stream, {}).get(group, ConsumerGroup())
        busy = {pending.consumer for pending in state.pending.values()}
        gone = [name for name in consumers if name in state.consumers and name not in busy]
        for name in gone:
            del state.consumers[name]
        return len(gone)

    async def backlog(self, stream: str, group: str) -> Backlog:
        """See :meth:`WorkQueue.backlog`."""
        await self._transport.ping()
        state = self._book.groups.get(stream, {}).get(group)
        if state is None:
            return Backlog(0, None)
        first = min(state.pending, default=state.last + 1)
        found = await self._transport.read_range(stream, f"{first}-0", f"{2**63}-0", 1)
        return Backlog(len(state.pending), found[0] if found else None)

    async def ask_to_cancel(self, group: str, job_id: str) -> None:
        """See :meth:`WorkQueue.ask_to_cancel`."""
        await self._transport.ping()
        self._book.cancels.setdefault(group, set()).add(job_id)

    async def cancels(self, group: str) -> frozenset[str]:
        """See :meth:`WorkQueue.cancels`."""
        await self._transport.ping()
        return frozenset(self._book.cancels.get(group, ()))

    async def forget_cancels(self, group: str, job_ids: Sequence[str]) -> None:
        """See :meth:`WorkQueue.forget_cancels`."""
        self._book.cancels.get(group, set()).difference_update(job_ids)

    # -- dead letters -----------------------------------------------------------------------------

    async def newest(self, stream: str, before: str, count: int) -> list[Entry]:
        """See :meth:`WorkQueue.newest`."""
        await self._transport.ping()
        if before == START:
            return []
        last = entry_before(before) if before else f"{2**63}-0"
        found = await self._transport.read_range(stream, START, last, 2**62)
        return found[::-1][:count]

    async def letter_states(self, letter_ids: Sequence[str]) -> list[str]:
        """See :meth:`WorkQueue.letter_states`."""
        return [self._book.letters.get(letter_id, "") for letter_id in letter_ids]

    async def settle_letter(
        self, letter_id: str, state: str, retry: Output | None, reader: str, *, shared: bool
    ) -> str:
        """See :meth:`WorkQueue.settle_letter`."""
        await self._transport.ping()
        if before := self._book.letters.get(letter_id, ""):
            return before
        if retry is not None:
            others = sorted(
                name
                for name, state_of in self._transport._readers.items()
                if name != reader and retry.stream in state_of.streams
            )
            if others and not shared:
                raise SharedStreamError(shared_text(", ".join(others)))
            self._transport._put([retry])
            tail = (await self._transport.tails([retry.stream]))[retry.stream]
            self._book.targets[retry.stream, number_of(tail)] = reader
        self._book.letters[letter_id] = state
        return ""

    # -- internals --------------------------------------------------------------------------------

    def _group(self, stream: str, group: str) -> ConsumerGroup:
        state = self._book.groups.get(stream, {}).get(group)
        if state is None:
            raise GroupLostError(f"consumer group '{group}' on '{stream}' must exist, was gone")
        return state

    def _check_holder(self, state: ConsumerGroup, consumer: str) -> None:
        holder, until = state.holder
        if holder != consumer or until <= self._clock.timestamp_ns():
            raise InactiveError(f"ordered stream must be held by this worker, was by '{holder or 'nobody'}'")

    async def _entry(self, stream: str, number: int) -> Entry | None:
        found = await self._transport.read_range(stream, f"{number}-0", f"{number}-0", 1)
        return found[0] if found else None

    def _first(self, stream: str) -> int:
        held = self._transport._streams.get(stream)
        return held.first if held is not None else 1

    def _delivery(self, entry: Entry, deliveries: int) -> Delivery:
        return Delivery(entry, self._book.targets.get((entry.stream, number_of(entry.entry_id)), ""), deliveries)
