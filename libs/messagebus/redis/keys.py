"""Names of all Redis keys of a fleet, in one place.

Every key begins with the prefix, whose braces are a hash tag: in a Redis cluster all keys of a fleet share one slot, so
scripts may touch any of them.

=============================  ======  ===================================================================
key                            type    holds
=============================  ======  ===================================================================
``<prefix>:stream:<name>``     stream  record batches, field ``d``
``<prefix>:tails``             hash    stream name to its newest entry id (what quiescence compares with)
``<prefix>:trimmed``           hash    stream name to the newest id that was trimmed away
``<prefix>:producer:<id>``     string  last sequence a producer appended; expires a week after its last write
``<prefix>:readers``           hash    reader name to the names of its streams
``<prefix>:reader:<name>``     hash    ``epoch``, ``commits``, ``beats``, and ``released``: the epoch that was given up
``<prefix>:watch:<name>``      string  there while a standby watches the lease; expires after its last look
``<prefix>:positions:<name>``  hash    stream name to the last committed entry id
``<prefix>:journal:<name>``    stream  journal, entry id ``<commit number>-0``, field ``j``
``<prefix>:snapshots:<name>``  hash    the two newest snapshots
``<prefix>:bounds``            hash    reader name to the bound of its older snapshot
``<prefix>:log``               hash    identity of the server and stamp of the last write (see ``log.lua``)
``<prefix>:work:<group>:...``          of one consumer group (see :class:`WorkKeys`)
``<prefix>:letters``           hash    dead letter to what was done with it
=============================  ======  ===================================================================
"""

from __future__ import annotations


class Keys:
    """Builds the keys of one prefix."""

    __slots__ = ("bounds", "log", "prefix", "readers", "stream_prefix", "tails", "trimmed")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.stream_prefix = f"{prefix}:stream:"
        self.tails = f"{prefix}:tails"
        self.trimmed = f"{prefix}:trimmed"
        self.readers = f"{prefix}:readers"
        self.bounds = f"{prefix}:bounds"
        self.log = f"{prefix}:log"

    def stream(self, name: str) -> str:
        """Key of a stream."""
        return self.stream_prefix + name

    def producer(self, producer: str) -> str:
        """Key of a producer's last sequence."""
        return f"{self.prefix}:producer:{producer}"

    def reader(self, name: str) -> str:
        """Key of a reader's lease and commit count."""
        return f"{self.prefix}:reader:{name}"

    def watch(self, name: str) -> str:
        """Key that is there while a standby watches a reader's lease."""
        return f"{self.prefix}:watch:{name}"

    def positions(self, name: str) -> str:
        """Key of a reader's positions."""
        return f"{self.prefix}:positions:{name}"

    def journal(self, name: str) -> str:
        """Key of a reader's journal."""
        return f"{self.prefix}:journal:{name}"

    def snapshots(self, name: str) -> str:
        """Key of a reader's snapshots."""
        return f"{self.prefix}:snapshots:{name}"


class WorkKeys:
    """Builds the keys of one consumer group.

    ==============================================  ======  ==================================================
    ``<prefix>:work:<group>:entry:<stream>:<id>``   hash    progress in an entry: ``n`` settled events, ``s<index>``
                                                            of each, ``f<index>`` of those that failed
    ``<prefix>:work:<group>:holder:<stream>``       string  consumer that serves an ordered stream; expires
    ``<prefix>:work:<group>:cancels``               hash    jobs somebody asked to cancel; expires
    ==============================================  ======  ==================================================
    """

    __slots__ = ("_prefix", "cancels")

    def __init__(self, keys: Keys, group: str) -> None:
        self._prefix = f"{keys.prefix}:work:{group}"
        self.cancels = f"{self._prefix}:cancels"

    def entry(self, stream: str, entry_id: str) -> str:
        """Key of the progress inside an entry."""
        return f"{self._prefix}:entry:{stream}:{entry_id}"

    def holder(self, stream: str) -> str:
        """Key of the consumer that serves an ordered stream."""
        return f"{self._prefix}:holder:{stream}"
