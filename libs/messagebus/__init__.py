"""The message bus: typed topics, record batches, and two transports with one meaning."""

from libs.messagebus.client import MessageBus
from libs.messagebus.codec import Codec
from libs.messagebus.config import MessageBusConfig
from libs.messagebus.envelope import EventEnvelope, RecordBatch
from libs.messagebus.errors import (
    BufferFullError,
    ConfigurationError,
    DecodeError,
    EntryTooLargeError,
    FencedError,
    MessageBusError,
    PublisherClosedError,
    PublishError,
    ReconnectLimitError,
    StateLostError,
    TopicError,
    TransportError,
    TransportRefusedError,
    TrimmedError,
)
from libs.messagebus.memory import MemoryTransport
from libs.messagebus.priority import Priority
from libs.messagebus.publisher import Publisher, new_incarnation
from libs.messagebus.redis.transport import RedisTransport
from libs.messagebus.topic import Event, Topic, TopicRegistry, on
from libs.messagebus.transport import Transport

__all__ = [
    "BufferFullError",
    "Codec",
    "ConfigurationError",
    "DecodeError",
    "EntryTooLargeError",
    "Event",
    "EventEnvelope",
    "FencedError",
    "MemoryTransport",
    "MessageBus",
    "MessageBusConfig",
    "MessageBusError",
    "Priority",
    "PublishError",
    "Publisher",
    "PublisherClosedError",
    "ReconnectLimitError",
    "RecordBatch",
    "RedisTransport",
    "StateLostError",
    "Topic",
    "TopicError",
    "TopicRegistry",
    "Transport",
    "TransportError",
    "TransportRefusedError",
    "TrimmedError",
    "new_incarnation",
    "on",
]
