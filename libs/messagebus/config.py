"""The configuration of a bus client, under the names its users know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

from libs.clock import Clock, LiveClock
from libs.messagebus.buffer import FullPolicy
from libs.messagebus.errors import ConfigurationError

_BOUNDS: dict[str, tuple[float, float]] = {
    "redis_port": (1, 65_535),
    "redis_database": (0, 1_000_000),
    "buffer_interval_ms": (0, 1_000),
    "max_buffer_size": (1, 100_000_000),
    "max_batch_size": (1, 65_536),
    "heartbeat_interval_secs": (0.01, 3_600),
    "connection_timeout": (0.01, 600),
    "reconnect_base_delay": (0.001, 3_600),
    "reconnect_max_delay": (0.001, 3_600),
    "health_check_interval": (0.01, 3_600),
}


@dataclass(frozen=True, kw_only=True)
class MessageBusConfig:
    """How a client reaches the bus and what it does when it cannot.

    Attributes:
        redis_host: Server; :attr:`redis_url` names any other kind of place (TLS, socket, sentinel, cluster, memory).
        redis_port: Its port.
        redis_database: Logical database.
        redis_username: ACL user, ``""`` for the default one.
        redis_password: Never shown.
        redis_url: Used instead of host, port, database, user and password where it is given.
        stream_key: Beginning of every key; the braces keep a fleet in one slot of a cluster.
        consumer_group: Whose work this client shares (worker reading).
        consumer_name: Its name among them; ``""``: one is drawn.
        buffer_interval_ms: How long a lone event waits for company before it is written.
        max_buffer_size: Events that may wait.
        max_batch_size: Events of one write at most.
        full_policy: What a full buffer does: ``wait``, ``fail`` or ``drop_low``.
        heartbeat_interval_secs: Between two signs of life.
        connection_timeout: Limit of connecting with login, seconds.
        max_reconnect_attempts: After so many failures in a row the client gives up; None: never.
        reconnect_base_delay: Seconds before the first new attempt.
        reconnect_max_delay: Most seconds between two.
        health_check_interval: Seconds between two looks at an idle connection.
        clock: Stamps what is published.
    """

    redis_host: str = "127.0.0.1"
    redis_port: int = 6379
    redis_database: int = 0
    redis_username: str = ""
    redis_password: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    stream_key: str = "{nautilus}"
    consumer_group: str = "nautilus"
    consumer_name: str = ""
    buffer_interval_ms: float = 0.0
    max_buffer_size: int = 10_000
    max_batch_size: int = 1_024
    full_policy: FullPolicy = "wait"
    heartbeat_interval_secs: float = 2.0
    connection_timeout: float = 5.0
    max_reconnect_attempts: int | None = None
    reconnect_base_delay: float = 1.0
    reconnect_max_delay: float = 60.0
    health_check_interval: float = 30.0
    clock: Clock = field(default_factory=LiveClock, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ConfigurationError: One sentence for each that is out of bounds.
        """
        mistakes = [
            f"{name} must be between {least:,g} and {most:,g}, was {value!r}"
            for name, (least, most) in _BOUNDS.items()
            if not _is_number(value := getattr(self, name)) or not least <= value <= most
        ]
        attempts = self.max_reconnect_attempts
        if attempts is not None and (not isinstance(attempts, int) or attempts < 1):
            mistakes.append(f"max_reconnect_attempts must be at least 1, or None for no limit, was {attempts!r}")
        if not mistakes and self.reconnect_max_delay < self.reconnect_base_delay:
            mistakes.append(
                f"reconnect_max_delay must be at least reconnect_base_delay ({self.reconnect_base_delay:g}), "
                f"was {self.reconnect_max_delay:g}"
            )
        if self.full_policy not in ("wait", "fail", "drop_low"):
            mistakes.append(f"full_policy must be wait, fail or drop_low, was {self.full_policy!r}")
        if not (self.stream_key.startswith("{") and self.stream_key.find("}") > 1):
            mistakes.append(f"stream_key must begin with a name in braces, e.g. {{nautilus}}, was {self.stream_key!r}")
        empty = [name for name in ("redis_host", "consumer_group") if not getattr(self, name)]
        mistakes += [f"{name} must be given, was empty" for name in empty]
        if mistakes:
            raise ConfigurationError("; ".join(mistakes))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> MessageBusConfig:
        """Make one of a mapping, e.g. a section of a file.

        Raises:
            ConfigurationError: If a name is unknown (the nearest is suggested) or a value out of bounds.
        """
        known = [one.name for one in fields(cls)]
        mistakes = []
        for name in values:
            if name not in known:
                near = get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                mistakes.append(f"{name} is no setting of the message bus; {hint}")
        if mistakes:
            raise ConfigurationError("; ".join(mistakes))
        return cls(**values)

    @property
    def url(self) -> str:
        """Where the bus is; it may hold the password."""
        if self.redis_url:
            return self.redis_url
        login = ""
        if self.redis_username or self.redis_password:
            login = f"{quote(self.redis_username, safe='')}:{quote(self.redis_password, safe='')}@"
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{login}{host}:{self.redis_port}/{self.redis_database}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
