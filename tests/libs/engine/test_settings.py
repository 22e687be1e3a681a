"""Settings: every mistake of an environment is named in one go, and no secret is shown."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from pydantic import SecretStr

from libs.engine import setting_mistakes
from libs.engine.errors import SettingsError
from libs.engine.setting_mistakes import mask_url
from libs.engine.settings import BusSettings, CommaSeparated, EngineSettings, ProcessSettings, effective, engine_config

Set = Callable[..., None]


class DemoSettings(EngineSettings):
    model_config = engine_config("DEMO_")
    read_elsewhere = frozenset({"DEMO_OF_ANOTHER"})

    port: int = 8123
    names: CommaSeparated = ()
    weights: list[float] = []
    speed: float = 1.0
    api_key: SecretStr = SecretStr("")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of our own; and only this module's class beside the two of every process."""
    for name in list(os.environ):
        if name.startswith(("DEMO_", "NAUTILUS_", "BUS_", "REDIS_URL")):
            monkeypatch.delenv(name)
    monkeypatch.setattr(setting_mistakes, "CLASSES", [ProcessSettings, BusSettings, DemoSettings])


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Set:
    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


def test_values_come_from_the_environment_and_cannot_be_changed(environment: Set) -> None:
    environment(DEMO_PORT="9", DEMO_NAMES="a, b,", DEMO_WEIGHTS="[1, 2.5]", DEMO_LOG_LEVEL="DEBUG")
    settings = DemoSettings()
    assert (settings.port, settings.names, settings.weights, settings.log_level) == (9, ("a", "b"), [1.0, 2.5], "debug")
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


def test_empty_means_unset(environment: Set) -> None:
    environment(DEMO_PORT="", REDIS_URL="")
    assert DemoSettings().port == 8123
    assert ProcessSettings().redis_url is None


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("DEMO_PROT", "DEMO_PORT"),
        ("NAUTILUS_CLOKC_TYPE", "NAUTILUS_CLOCK_TYPE"),
        ("BUS_LINGER", "BUS_LINGER_MS"),
        ("REDIS_URLS", "REDIS_URL"),
        ("NAUTILUS_REDIS_URL", "REDIS_URL"),
    ],
)
def test_an_unknown_name_stops_the_start_and_names_the_nearest(environment: Set, name: str, nearest: str) -> None:
    environment(**{name: "1"})
    with pytest.raises(SettingsError, match=rf"^{name} is no setting; did you mean {nearest}\?$"):
        (DemoSettings(), ProcessSettings(), BusSettings())


def test_names_of_other_engines_are_theirs(environment: Set) -> None:
    environment(FEATURES_PORT="1", DEMO_OF_ANOTHER="x", UNRELATED="y")
    assert DemoSettings().port == 8123


def test_all_mistakes_of_all_classes_are_told_at_once(environment: Set) -> None:
    environment(
        DEMO_PORT="99999", DEMO_LOG_LEVEL="x", DEMO_WEIGHTS="[1,", NAUTILUS_SEED="-1", BUS_FULL_POLICY="wish",
        NAUTILUS_CLOCK_TYPE="test", DEMO_SPED="9",
    )  # fmt: skip
    with pytest.raises(SettingsError) as caught:
        ProcessSettings()
    correct = "correct it or remove it for the default"
    assert str(caught.value).splitlines() == [
        "NAUTILUS_CLOCK_START_TIME must be set when NAUTILUS_CLOCK_TYPE=test; write UNIX nanoseconds or ISO 8601",
        "NAUTILUS_SEED must be greater than or equal to 0, was '-1'; correct it or remove it for the default 42",
        f"BUS_FULL_POLICY must be 'wait', 'fail' or 'drop_low', was 'wish'; {correct} wait",
        "DEMO_SPED is no setting; did you mean DEMO_SPEED?",
        "DEMO_PORT must be a port from 0 (any free one) to 65535, was 99999",
        f"DEMO_LOG_LEVEL must be 'debug', 'info', 'warning' or 'error', was 'x'; {correct} info",
        "DEMO_WEIGHTS must be JSON, was something else; correct it or remove it",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("631238400000000000", 631238400000000000),
        ("1990-01-02T00:00:00Z", 631238400000000000),
        ("1990-01-02", 631238400000000000),
        ("1990-01-02T01:00:00+01:00", 631238400000000000),
        ("1990-01-02T00:00:00.000001", 631238400000001000),
    ],
)
def test_the_start_of_a_test_clock_is_nanoseconds_or_iso(environment: Set, text: str, expected: int) -> None:
    environment(NAUTILUS_CLOCK_TYPE="test", NAUTILUS_CLOCK_START_TIME=text)
    assert ProcessSettings().clock_start_time == expected


@pytest.mark.parametrize("text", ["tomorrow", "-1", str(2**64)])
def test_a_start_that_is_none_is_refused(environment: Set, text: str) -> None:
    environment(NAUTILUS_CLOCK_TYPE="test", NAUTILUS_CLOCK_START_TIME=text)
    with pytest.raises(SettingsError, match=r"NAUTILUS_CLOCK_START_TIME must .*, was"):
        ProcessSettings()


def test_what_is_shown_holds_no_secret(environment: Set) -> None:
    environment(REDIS_URL="redis://user:pa/ss@cache:6379/1?x=y", DEMO_API_KEY="hunter2")
    shown = effective(ProcessSettings(), DemoSettings())
    assert shown["REDIS_URL"] == "redis://***@cache:6379/1"
    assert shown["DEMO_API_KEY"] == setting_mistakes.MASK
    assert shown["DEMO_NAMES"] == []
    assert not any(secret in str(shown) for secret in ("hunter2", "pa/ss", "user"))


def test_a_secret_of_the_wrong_size_is_not_quoted(environment: Set) -> None:
    environment(NAUTILUS_JWT_SECRET="hunter2")
    with pytest.raises(SettingsError) as caught:
        ProcessSettings()
    assert "NAUTILUS_JWT_SECRET" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:p@h/0", "redis://***@h/0"),
        ("redis://u:p@ss/w@h/0?password=q", "redis://***@h/0"),
    ],
)
def test_urls_are_masked_whatever_the_password_holds(url: str, masked: str) -> None:
    assert mask_url(url) == masked


def test_a_prefix_is_checked_when_the_class_is_written() -> None:
    with pytest.raises(SettingsError, match="was 'demo'"):
        engine_config("demo")
