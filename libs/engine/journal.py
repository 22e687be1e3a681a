"""One journal entry per commit: what was read, in which order, at what time, and what came of it."""

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
        code: Version of the code that wrote it.
    """

    ts_batch: int
    ranges: list[Range]
    outputs: int
    output_hash: bytes
    first_sequence: int
    code: str


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
