"""One journal entry per commit: what was read, in which order, at what time, and what came of it.

The timers fired are not written down, because they follow from what is: a snapshot holds the armed timers, the engine
arms others in handlers that are done again, and its clock moves nowhere but to ``ts_batch`` (or to the times of the
events read, in a replay). An entry that listed them would hold a second truth that could disagree with the first; a
timer that fired at another moment shows in the outputs, whose hash is compared.

The input is not copied either: entries lie on their streams and are kept there until a later snapshot makes them
needless, so an entry of the journal is about 150 bytes however many events its batch had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from libs.messagebus.transport import Entry, Output


class Range(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``count`` consecutive entries of ``stream`` from ``first`` to ``last``, read in one go."""

    stream: str
    first: str
    last: str
    count: int


class JournalEntry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is needed to do one batch again.

    Attributes:
        ts_batch: The clock the host set before the batch, UNIX nanoseconds.
        ranges: Input in processing order.
        outputs: Events published.
        output_hash: BLAKE2b (8 bytes) over the encoded outputs in order.
        first_sequence: Sequence number of the first published event.
        code: Version of the code that wrote it, see :func:`libs.version.version_of`.
        epoch: Under which lease it was written, 0 = by a program without one (a test, an old version).
        strategies: Versions of the strategies loaded after the batch, "" for an engine without strategies.
    """

    ts_batch: int
    ranges: list[Range]
    outputs: int
    output_hash: bytes
    first_sequence: int
    code: str
    epoch: int = 0
    strategies: str = ""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(JournalEntry)


def encode_journal(entry: JournalEntry) -> bytes:
    """Encode a journal entry."""
    return _ENCODER.encode(entry)


def decode_journal(data: bytes) -> JournalEntry:
    """Decode a journal entry; raises ``msgspec.DecodeError`` on anything else."""
    return _DECODER.decode(data)


def output_hash(outputs: Sequence[Output]) -> bytes:
    """Hash of what a batch published: equal outputs in equal order give equal hashes."""
    digest = hashlib.blake2b(digest_size=8)
    for stream, data in outputs:
        digest.update(stream.encode())
        digest.update(data)
    return digest.digest()


def ranges_of(entries: Sequence[Entry]) -> list[Range]:
    """Run-length form of the entries of a batch, keeping their order."""
    ranges: list[Range] = []
    start = 0
    for index in range(1, len(entries) + 1):
        if index == len(entries) or entries[index].stream != entries[start].stream:
            ranges.append(
                Range(entries[start].stream, entries[start].entry_id, entries[index - 1].entry_id, index - start)
            )
            start = index
    return ranges
