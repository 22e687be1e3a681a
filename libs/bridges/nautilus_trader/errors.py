"""Errors of the bridge to NautilusTrader.

::

    MessageBusError
    └── BridgeError
        ├── PayloadError         an entry is not what NautilusTrader writes
        ├── UnmappedError        a value has no counterpart on the other side; none is made up for it
        └── EntriesTrimmedError  entries were removed before they were read
"""

from __future__ import annotations

from libs.messagebus.errors import MessageBusError


class BridgeError(MessageBusError):
    """Base of the errors of this bridge."""


class PayloadError(BridgeError):
    """An entry that is not what NautilusTrader writes: a field is missing, or holds what it cannot."""


class UnmappedError(BridgeError):
    """A value that our contracts, or NautilusTrader's types, cannot express."""


class EntriesTrimmedError(BridgeError):
    """Entries of a stream were removed before they were read; what they held is missing here."""
