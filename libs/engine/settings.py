"""Settings: frozen, read once from the environment by a composition root, never at import.

A class declares the variables it reads; every class registers itself. A variable that carries the prefix of a
class but that nobody declares stops the start and names the nearest known one (pydantic-settings alone would ignore it
silently). All mistakes of one start are reported together, one sentence each, secrets masked.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.engine.errors import SettingsError
from libs.engine.setting_mistakes import (
    CLASSES,
    MASK,
    mask_url,
    mistakes_elsewhere,
    sentences_of,
    unknown_variables,
    variable_name,
)

LogLevel = Literal["debug", "info", "warning", "error"]

_NS_PER_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_COLLECTIONS = (list, tuple, dict, set, frozenset)


def engine_config(prefix: str) -> SettingsConfigDict:
    """Configuration of a settings class whose variables begin with ``prefix`` (``"FEATURES_"``).

    Raises:
        SettingsError: If the prefix is not upper case with a trailing underscore.
    """
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*_", prefix):
        raise SettingsError(f"settings prefix must be upper case and end with '_', was '{prefix}'; use e.g. 'RISK_'")
    # Empty counts as unset, because compose files pass ${NAME:-} for what nobody set.
    return SettingsConfigDict(
        env_prefix=prefix, frozen=True, extra="forbid", validate_default=True, populate_by_name=True,
        env_ignore_empty=True, hide_input_in_errors=True, enable_decoding=False,
    )  # fmt: skip


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


#: A tuple of strings written ``a,b,c`` in the environment; other collections are written as JSON.
CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Settings(BaseSettings):
    """Base of all settings classes.

    Attributes:
        read_elsewhere: Variables with this class's prefix that another engine's settings declare (the pre-trade
            gate of strategy reads ``RISK_MAX_NOTIONAL``); they are accepted here and have no effect here.

    Raises:
        SettingsError: On construction, for unknown variables and values that cannot be; one sentence each.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")
    read_elsewhere: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, **values: Any) -> None:
        unknown = unknown_variables(type(self))
        mistakes: list[str] = []
        try:
            super().__init__(**values)
        except ValidationError as error:
            mistakes = sentences_of(type(self), error)
        if unknown or mistakes:
            # A start that fails anyway looks at every class of this process, so that nobody fixes one at a time.
            everything = dict.fromkeys([*mistakes, *unknown, *mistakes_elsewhere(type(self))])
            raise SettingsError("\n".join(everything)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _collections_are_json(cls, value: Any, info: ValidationInfo) -> Any:
        # Done here and not by pydantic-settings, which would stop at the first that is not JSON.
        annotation = cls.model_fields[info.field_name].annotation if info.field_name else None
        kinds = (get_origin(annotation), *map(get_origin, get_args(annotation)))
        if isinstance(value, str) and value[:1] in ("[", "{") and any(kind in _COLLECTIONS for kind in kinds):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError("must be JSON, was something else; correct it or remove it") from None
        return value

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if cls.model_config.get("env_prefix"):
            CLASSES.append(cls)


class EngineSettings(Settings):
    """What every engine's settings have; a subclass sets ``model_config`` and the default of ``port``.

    Attributes:
        host: Address the HTTP surface listens on; loopback unless somebody decides otherwise.
        port: HTTP port; 0 takes any free one.
        log_level: Lines below it are not written.
    """

    host: str = "127.0.0.1"
    port: int
    log_level: LogLevel = "info"

    @field_validator("port")
    @classmethod
    def _port_exists(cls, port: int) -> int:
        if not 0 <= port <= 65_535:
            raise ValueError(f"must be a port from 0 (any free one) to 65535, was {port}")
        return port

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: Any) -> Any:
        return level.lower() if isinstance(level, str) else level


def parse_time_ns(value: Any) -> Any:
    """UNIX nanoseconds from an integer, its text, or ISO 8601 (without a zone: UTC); anything else is refused."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    text = str(value).strip()
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"must be UNIX nanoseconds or ISO 8601, was '{text}'; write e.g. 1990-01-02T00:00:00Z"
        ) from None
    elapsed = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * _NS_PER_SECOND + elapsed.microseconds * 1_000


class ProcessSettings(Settings):
    """What a process needs whatever engine it runs: ``NAUTILUS_*`` and ``REDIS_URL``.

    Attributes:
        mode: ``embedded`` = the whole fleet in one process with its own Redis; ``process`` = one engine a process.
        redis_url: Where the bus is; ``memory://`` is a bus that ends with the process.
        data_dir: Everything this process writes lies under it.
        clock_type: ``test`` starts at ``clock_start_time`` and moves only when told.
        clock_start_time: UNIX nanoseconds; written as that or as ISO 8601. A live clock has no use for it.
        seed: Of everything drawn at random.
        stream_prefix: Of all keys of this fleet; the braces keep them on one node of a Redis cluster.
        snapshot_seconds: Time between the snapshots of a host while anything changes.
        lease_seconds: Silence of a primary after which its standby takes over; equal in both.
        snapshot_events: Events a host reads between two snapshots at most, 0 = any number.
        replay_other_code: Replay a journal that other code wrote, every output compared; see ``docs/operations.md``.
        auth: ``on`` = writes need a token, ``strict`` = reads too, ``off`` = nothing does (loopback only).
        jwt_secret: What tokens are signed with, equal in all processes of a fleet; unset = a file under ``data_dir``.
    """

    model_config = engine_config("NAUTILUS_")

    mode: Literal["embedded", "process"] = "embedded"
    redis_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("REDIS_URL"))
    data_dir: Path = Path("var")
    clock_type: Literal["live", "test"] = "live"
    clock_start_time: Annotated[int | None, BeforeValidator(parse_time_ns)] = None
    seed: int = Field(default=42, ge=0, lt=2**63)
    stream_prefix: str = Field(default="{nautilus}", min_length=1)
    snapshot_seconds: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    snapshot_events: int = Field(default=250_000, ge=0)
    replay_other_code: bool = False
    lease_seconds: float = Field(default=1.0, ge=0.2, le=60, allow_inf_nan=False)
    auth: Literal["on", "strict", "off"] = "on"
    jwt_secret: SecretStr | None = Field(default=None, min_length=32)

    @field_validator("clock_start_time")
    @classmethod
    def _start_fits_clock(cls, start: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("clock_type") == "test" and start is None:
            raise ValueError("must be set when NAUTILUS_CLOCK_TYPE=test; write UNIX nanoseconds or ISO 8601")
        if start is not None and not 0 <= start < 2**64:
            raise ValueError(f"must lie in 0 .. 2**64 - 1 nanoseconds, was {start}")
        return start


class BusSettings(Settings):
    """How a process publishes: ``BUS_*``.

    Attributes:
        linger_ms: How long a publisher waits for company before it writes; 0 = only while a write is in flight.
        max_buffer: Events a publisher holds at most.
        batch_max: Events of one record batch at most.
        full_policy: What a full buffer does to the caller.
        heartbeat_seconds: Between two signs of life of a process; readers complain after four of them.
        fsync: When the embedded Redis writes to disk; ``everysec`` may lose a second on power loss.
    """

    model_config = engine_config("BUS_")

    linger_ms: float = Field(default=0.0, ge=0, le=1_000, allow_inf_nan=False)
    max_buffer: int = Field(default=10_000, ge=1)
    batch_max: int = Field(default=1_024, ge=1, le=65_536)
    full_policy: Literal["wait", "fail", "drop_low"] = "wait"
    heartbeat_seconds: float = Field(default=2.0, gt=0, le=30, allow_inf_nan=False)
    fsync: Literal["always", "everysec"] = "everysec"


# -- showing them ---------------------------------------------------------------------------------


def effective(*settings: Settings) -> dict[str, Any]:
    """What is in force, by variable name, secrets masked: plain data for ``/status``."""
    shown: dict[str, Any] = {}
    for one in settings:
        plain = one.model_dump(mode="json")
        for name in sorted(type(one).model_fields):
            value = getattr(one, name)
            if isinstance(value, SecretStr):
                text = value.get_secret_value()
                plain[name] = mask_url(text) if name.endswith("_url") and text else (MASK if text else "")
            elif isinstance(value, str) and "://" in value:
                plain[name] = mask_url(value)
            shown[variable_name(type(one), name)] = plain[name]
    return shown
