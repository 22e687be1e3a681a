"""Logs: one JSON line an event, no secret, repeats counted instead of written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from libs.clock import TestClock
from libs.engine.logging import REPEAT_NS, configure_logging
from libs.engine.setting_mistakes import MASK


class _Log:
    """Logging set up on a clock of ours; ``lines`` is what was written."""

    def __init__(self, **options: Any) -> None:
        self.clock = TestClock(1_700_000_000_123_456_789)
        self._stream = io.StringIO()
        configure_logging(self.clock, stream=self._stream, **options)
        self.write = structlog.get_logger("test")

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    """Leave logging as it was found."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in ("uvicorn", "asyncio")}
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_line_is_json_with_time_level_engine_and_correlation_id() -> None:
    log = _Log(engine="risk")
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        log.write.info("limit_breached", limit="daily_loss")
    log.write.info("state_changed", engine="paper")
    assert log.lines == [
        {"event": "limit_breached", "limit": "daily_loss", "correlation_id": "c-1", "level": "info",
         "engine": "risk", "timestamp": "2023-11-14T22:13:20.123456Z"},
        {"event": "state_changed", "engine": "paper", "level": "info", "timestamp": "2023-11-14T22:13:20.123456Z"},
    ]  # fmt: skip


def test_lines_below_the_level_are_not_written() -> None:
    log = _Log(level="warning")
    log.write.info("quiet")
    log.write.warning("loud")
    assert [line["event"] for line in log.lines] == ["loud"]


def test_repeats_within_five_seconds_are_counted() -> None:
    log = _Log()
    for number in range(4):
        log.write.warning("bus_unreachable", error="refused", attempt=number)
    log.clock.advance_time(REPEAT_NS)
    log.write.warning("bus_unreachable", error="refused", attempt=4)
    log.clock.advance_time(REPEAT_NS)
    log.write.warning("bus_unreachable", error="refused", attempt=5)
    assert [(line["attempt"], line.get("repeated")) for line in log.lines] == [(0, None), (4, 3), (5, None)]


@pytest.mark.parametrize(
    "other", [{"event": "b"}, {"error": "b"}, {"engine": "b"}], ids=["another event", "another error", "another engine"]
)
def test_what_differs_is_no_repeat(other: dict[str, str]) -> None:
    log = _Log()
    for fields in ({}, other):
        line = {"event": "a", "error": "a", "engine": "a"} | fields
        log.write.error(line.pop("event"), **line)
    assert len(log.lines) == 2


def test_another_level_is_no_repeat() -> None:
    log = _Log()
    log.write.info("a")
    log.write.error("a")
    assert len(log.lines) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"jwt_secret": "hunter2"},
        {"headers": {"Authorization": "hunter2"}},
        {"error": "cannot reach redis://user:hunter2@cache:6379/0"},
        {"error": "cannot reach redis://:hunter2@cache:6379/0"},
        {"url": "https://api.example/v1?apikey=hunter2&symbol=A"},
        {"urls": ["https://api.example/v1?symbol=A&token=hunter2"]},
    ],
)
def test_secrets_are_masked(fields: dict[str, Any]) -> None:
    log = _Log()
    log.write.info("event", **fields)
    assert "hunter2" not in log.text
    assert MASK in log.text


def test_what_is_no_secret_stays() -> None:
    log = _Log()
    log.write.info("event", url="https://api.example/v1?symbol=A", note="a=b", api_key="")
    assert (log.lines[0]["url"], log.lines[0]["note"]) == ("https://api.example/v1?symbol=A", "a=b")


def test_an_exception_is_written_with_its_frames_and_without_variables() -> None:
    log = _Log()

    def fail() -> None:
        local = "a-local-value"
        raise ValueError(f"price must be positive, was {len(local)}; https://x?token=hunter2")

    try:
        fail()
    except ValueError:
        log.write.exception("request_failed")
    text = log.lines[0]["exception"]
    assert "in fail" in text
    assert "price must be positive, was 13" in text
    assert "hunter2" not in text
    pretty = _Log(pretty=True)
    try:
        fail()
    except ValueError:
        pretty.write.exception("request_failed")
    assert "in fail" in pretty.text
    assert "'a-local-value'" not in pretty.text


def test_the_standard_library_passes_through() -> None:
    log = _Log(engine="risk")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received from %s", "x")
    assert [(line["event"], line["logger"], line["engine"]) for line in log.lines] == [
        ("Invalid HTTP request received from x", "uvicorn.error", "risk")
    ]


def test_a_terminal_gets_readable_lines() -> None:
    log = _Log(pretty=True)
    log.write.info("state_changed", state="running")
    assert "state_changed" in log.text
    assert "state=running" in log.text
    assert not log.text.startswith("{")
