"""Errors of the message bus.

::

    MessageBusError
    ├── ConfigurationError      a setting is unknown or out of bounds
    ├── TopicError              a topic is unknown, doubled or mistyped
    ├── DecodeError             an entry or an event cannot be decoded
    ├── PublishError
    │   ├── BufferFullError     the publisher's buffer is full and its policy says fail
    │   ├── EntryTooLargeError  a record batch is larger than the transport takes
    │   └── PublisherClosedError
    ├── FencedError             another host of this engine holds a newer epoch
    ├── StateLostError          the server holds an older state than this host has committed
    ├── TrimmedError            a reader asks for entries that were trimmed away
    └── TransportError          the server cannot be reached or is not able to (``retriable``)
        ├── TransportRefusedError   the server refuses until a setting changes: password, permission, version
        └── ReconnectLimitError     the client gave up after the attempts it was allowed
"""

from __future__ import annotations


class MessageBusError(Exception):
    """Base of all errors of this library.

    Attributes:
        retriable: Whether doing the same again later may succeed.
    """

    retriable = False


class ConfigurationError(MessageBusError, ValueError):
    """A setting of the client is unknown or out of bounds; the text names all of them."""


class TopicError(MessageBusError):
    """A topic is unknown, registered twice, or given the wrong event."""


class DecodeError(MessageBusError):
    """Bytes that are no record batch, or an event of no known type."""


class PublishError(MessageBusError):
    """An event was not published; the text says whether it may be retried."""


class BufferFullError(PublishError):
    """The publisher's bounded buffer is full and its policy is to fail."""

    retriable = True


class EntryTooLargeError(PublishError):
    """One record batch exceeds the transport's size limit."""


class PublisherClosedError(PublishError):
    """``publish`` was called after ``close``."""


class FencedError(MessageBusError):
    """A commit carried an epoch older than the current one: another host took over."""


class StateLostError(MessageBusError):
    """The server lost commits it had acknowledged (power loss, failover); the host must restart and recover.

    Its memory is ahead of what is stored, so no commit of it can be right any more, and repeating cannot help.
    """


class TrimmedError(MessageBusError):
    """Entries that a reader still needs are gone; guessing their content is refused."""


class TransportError(MessageBusError):
    """The transport failed; nothing is known about the last write but that retrying it is safe."""

    retriable = True


class TransportRefusedError(TransportError):
    """The server answered and refused; the same call fails again until somebody changes a setting."""

    retriable = False


class ReconnectLimitError(TransportError):
    """The bus stayed out of reach for as many attempts as the configuration allows."""

    retriable = False
