"""The dialect, frame by frame."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.contracts.portfolio import PortfolioSnapshotTaken, PositionMarked
from libs.engine.tokens import Principal
from services.websocket.frames import fields_of, parse_position, wire
from services.websocket.session import NS
from tests.services.websocket.clients import NOW_NS, Room, bar, quote


def test_a_client_is_welcomed_with_the_limits() -> None:
    room = Room()
    _, socket = room.connect()
    (welcome,) = socket.take()
    assert welcome["type"] == "welcome"
    assert welcome["server_time_ns"] == NOW_NS
    assert welcome["limits"]["subscriptions"] == 50
    assert welcome["limits"]["frame_bytes"] == 65_536


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ({"type": "ping", "id": 7}, {"type": "pong", "id": 7, "server_time_ns": NOW_NS}),
        ({"type": "heartbeat"}, {"type": "pong", "id": None, "server_time_ns": NOW_NS}),
        ({"type": "unsubscribe", "id": "u", "topics": ["x"]}, {"type": "unsubscribed", "id": "u", "topics": ["x"]}),
        (
            {"type": "subscribe", "id": 1, "topics": ["orders.filled", "orders.filled"]},
            {"type": "subscribed", "id": 1, "topics": ["orders.filled"], "rejected": []},
        ),
    ],
)
def test_a_frame_is_answered(frame: dict[str, Any], answer: dict[str, Any]) -> None:
    room = Room()
    session, socket = room.client()
    room.say(session, frame)
    assert socket.take() == [answer]


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"[]", b"null", b"{}", b'{"type":"shout"}', b'{"type":"subscribe"}', b"\xff\xfe",
        b'{"type":"subscribe","topics":"orders"}', b'{"type":"ping","extra":1}', b'{"type":"auth","token":5}',
    ],
)  # fmt: skip
def test_what_is_no_frame_is_answered_with_an_error_and_the_tenth_closes(payload: bytes) -> None:
    room = Room(frames_per_second=100)
    session, socket = room.client()
    room.say(session, payload)
    (error,) = socket.take()
    assert (error["type"], error["code"]) == ("error", "bad-frame")
    assert error["detail"]
    assert error["remedy"]
    for _ in range(9):
        room.say(session, payload)
    assert socket.closed is not None
    assert socket.closed[0] == 4009


def test_frames_that_are_too_large_or_too_many_end_the_connection() -> None:
    room = Room()
    session, socket = room.client()
    room.say(session, b'{"type":"ping","id":"' + b"x" * 65_536 + b'"}')
    assert socket.closed is not None
    assert socket.closed[0] == 4009
    session, socket = room.client()
    for _ in range(20):
        room.say(session, {"type": "ping"})
    assert socket.closed is None
    room.say(session, {"type": "ping"})
    assert socket.closed is not None
    assert socket.closed[0] == 4029


def test_the_allowance_of_frames_comes_back_with_time() -> None:
    room = Room()
    session, socket = room.client()
    for _ in range(5):
        for _ in range(20):
            room.say(session, {"type": "ping"})
        room.now_ns += NS
    assert socket.closed is None
    assert len(socket.take()) == 100


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("nobody.publishes.this", "unknown-topic"), ("strategy.place_order", "unknown-topic"), ("", "bad-topic"),
        ("a..b", "bad-topic"), ("**.orders", "bad-topic"), ("ord*", "bad-topic"), ("x" * 201, "bad-topic"),
        ("marketdata.step.AAPL", "unknown-topic"),
    ],
)  # fmt: skip
def test_a_topic_is_rejected_and_the_others_are_not(topic: str, code: str) -> None:
    room = Room()
    session, socket = room.client()
    room.say(session, {"type": "subscribe", "topics": [topic, "orders.**"]})
    (answer,) = socket.take()
    assert answer["topics"] == ["orders.**"]
    assert [(item["topic"], item["code"]) for item in answer["rejected"]] == [(topic[:200], code)]


def test_the_fifty_first_subscription_is_rejected_and_a_repeated_one_is_none() -> None:
    room = Room()
    session, socket = room.client(*(f"marketdata.bar.S{index}" for index in range(50)))
    room.say(session, {"type": "subscribe", "topics": ["orders.filled", "marketdata.bar.S1"]})
    (answer,) = socket.take()
    assert answer["topics"] == ["marketdata.bar.S1"]
    assert answer["rejected"][0]["code"] == "too-many-subscriptions"


def test_an_event_carries_its_envelope_and_its_fields() -> None:
    room = Room()
    _, socket = room.client("marketdata.bar")
    room.publish(bar(7.0))
    (frame,) = socket.take()
    data = frame.pop("data")
    assert frame == {
        "type": "data", "topic": "marketdata.bar.AAPL.XNAS", "id": "1-0.0", "event_id": "marketdata:1", "ts_event": 7,
        "ts_publish": 5, "correlation_id": "root:1", "source": "test", "is_synthetic": False,
    }  # fmt: skip
    assert data["close"] == 7.0
    assert data["symbol"] == "AAPL.XNAS"


def test_money_is_exact_text_nested_fields_have_names_and_what_is_not_finite_is_null() -> None:
    position = PositionMarked(
        "A.X", Decimal("1E+3"), Decimal("0.10"), Decimal(1), 3, Decimal(1), Decimal(1), Decimal(1)
    )
    zero = Decimal(0)
    event = PortfolioSnapshotTaken(
        9, "main", "USD", Decimal("12345678901234567890.01"), zero, zero, zero, zero, zero, zero, zero, zero, zero,
        [position],
    )  # fmt: skip
    fields = fields_of(event)
    assert fields["cash"] == "12345678901234567890.01"
    assert fields["positions"][0]["quantity"] == "1000"
    assert fields["positions"][0]["average_price"] == "0.10"
    assert fields_of(quote(float("inf")))["bid"] is None


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_header_says_the_length_as_rfc_6455_does(size: int) -> None:
    room = Room()
    _, socket = room.client()
    payload = b'"' + b"x" * (size - 2) + b'"' if size >= 2 else b"0" * size
    socket.data += wire(payload or b"1")
    assert len(socket.take()) == 1


@pytest.mark.parametrize(
    ("text", "position"), [("17-0.3", ("17-0", 3)), ("17-2", ("17-2", 2**31))], ids=["event", "entry"]
)
def test_a_position_is_read(text: str, position: tuple[str, int]) -> None:
    assert parse_position(text) == position


# -- who may ------------------------------------------------------------------------------------------


def test_where_a_token_is_needed_it_must_come_first_and_within_five_seconds() -> None:
    room = Room(reads_open=False)
    session, socket = room.connect()
    assert session is not None
    assert socket.take()[0]["authenticated"] is False
    room.pass_time(4.9)
    assert socket.closed is None
    room.pass_time(0.2)
    assert socket.closed == (4001, "no token came within 5 s")
    session, socket = room.connect()
    assert session is not None
    room.say(session, {"type": "subscribe", "topics": ["orders.**"]})
    assert socket.closed is not None
    assert socket.closed[0] == 4001


def test_a_token_lets_in_until_it_expires() -> None:
    room = Room(reads_open=False)
    session, socket = room.connect()
    assert session is not None
    token, _, _ = room.tokens.issue("access", Principal("ann", ("viewer",)))
    room.say(session, {"type": "auth", "token": token})
    assert socket.take()[-1]["user"] == "ann"
    room.say(session, {"type": "subscribe", "topics": ["orders.**"]})
    assert socket.take()[-1]["topics"] == ["orders.**"]
    session.heard_ns = room.now_ns + 1_799 * NS
    room.pass_time(1_799)
    assert socket.closed is None
    room.pass_time(1)
    assert socket.closed is not None
    assert socket.closed[0] == 4001


@pytest.mark.parametrize(("token", "code"), [("nonsense", 4001), ("nobody", 4003)])
def test_a_token_that_proves_nothing_or_permits_nothing_closes(token: str, code: int) -> None:
    room = Room()
    session, socket = room.client()
    if token == "nobody":
        token, _, _ = room.tokens.issue("access", Principal("ann", ()))
    room.say(session, {"type": "auth", "token": token})
    assert socket.closed is not None
    assert socket.closed[0] == code
    assert not room.hub.sessions
