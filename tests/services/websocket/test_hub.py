"""Who gets what, in which order, and what a slow client costs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.topics import REGISTRY
from services.websocket.outgoing import Outgoing, QueueFull
from services.websocket.patterns import Pattern, patterns_of_path
from tests.services.websocket.clients import Room, bar, quote


@pytest.mark.parametrize(
    ("pattern", "name", "key", "expected"),
    [
        ("orders.filled", "orders.filled", "o-1", True), ("orders.filled.o-1", "orders.filled", "o-1", True),
        ("orders.filled.o-2", "orders.filled", "o-1", False), ("orders.filled.*", "orders.filled", "o-1", True),
        ("orders.*", "orders.filled", "o-1", True), ("orders.**", "orders.filled", "o-1", True),
        ("**", "marketdata.bar", "AAPL.XNAS", True), ("*", "marketdata.bar", "AAPL.XNAS", False),
        ("marketdata.bar.AAPL.XNAS", "marketdata.bar", "AAPL.XNAS", True),
        ("marketdata.bar.*", "marketdata.bar", "AAPL.XNAS", True),
        ("marketdata.bar.*.XNAS", "marketdata.bar", "AAPL.XNAS", True),
        ("marketdata.bar.AAPL", "marketdata.bar", "AAPL.XNAS", False),
        ("marketdata.*.AAPL.XNAS", "marketdata.quote", "AAPL.XNAS", True),
        ("marketdata.feed.status", "marketdata.feed.status", "replay", True),
        ("marketdata.feed", "marketdata.feed.status", "replay", False), ("system.**", "system", "", True),
        ("marketdata.step", "marketdata.step", "", True), ("marketdata.step.*", "marketdata.step", "", False),
    ],
)  # fmt: skip
def test_a_pattern_means_what_it_says(pattern: str, name: str, key: str, expected: bool) -> None:
    assert Pattern.parse(pattern).matches(name, key) is expected


@given(st.sampled_from(sorted(REGISTRY.by_name)), st.text("abcX.:-1", min_size=1, max_size=12), st.data())
def test_what_matches_an_event_could_have_been_subscribed(name: str, key: str, data: st.DataObject) -> None:
    """Soundness of the check at subscription: a pattern it rejects matches no event of any key."""
    topic = REGISTRY.by_name[name]
    words = [*name.split("."), *([key] if topic.key else [])]
    chosen = [data.draw(st.sampled_from([word, "*"])) for word in words][: data.draw(st.integers(1, len(words)))]
    text = ".".join([*chosen, "**"]) if data.draw(st.booleans()) else ".".join(chosen)
    try:
        pattern = Pattern.parse(text)
    except ValueError:
        return
    if pattern.matches(name, key if topic.key else ""):
        assert pattern.may_match(topic)


@pytest.mark.parametrize(
    ("path", "patterns"),
    [
        ("/ws", ()), ("/ws/", ()), ("/ws/stream?x=1", ()), ("/ws/realtime", ()), ("/ws/system/health", ("system.**",)),
        ("/ws/engine/status", ("system.**",)), ("/ws/trades/updates", ("orders.**",)), ("/ws/messagebus", ("**",)),
        ("/ws/elsewhere", None), ("/other", None), ("/ws/market-data/", None), ("/ws/market-data/a/b", None),
    ],
)  # fmt: skip
def test_paths_subscribe(path: str, patterns: tuple[str, ...] | None) -> None:
    assert patterns_of_path(path) == patterns


def test_a_symbol_path_subscribes_to_its_prices() -> None:
    patterns = patterns_of_path("/ws/market-data/AAPL.XNAS")
    assert patterns is not None
    assert "marketdata.bar.AAPL.XNAS" in patterns


def test_an_event_reaches_who_wants_it_once_and_nobody_else() -> None:
    room = Room()
    _, both = room.client("marketdata.bar", "marketdata.**")
    _, other = room.client("orders.**")
    _, left = room.client("marketdata.bar.*")
    session, unsubscribed = room.client("marketdata.bar")
    room.publish(bar(1))
    room.say(session, {"type": "unsubscribe", "topics": ["marketdata.bar"]})
    unsubscribed.take()
    room.publish(bar(2))
    assert [frame["data"]["close"] for frame in both.take()] == [1.0, 2.0]
    assert [frame["data"]["close"] for frame in left.take()] == [1.0, 2.0]
    assert other.take() == []
    assert unsubscribed.take() == []


def test_the_events_of_a_turn_leave_in_one_write_and_are_timed() -> None:
    room = Room()
    _, socket = room.client("marketdata.bar")
    before = socket.writes
    room.publish(*(bar(close) for close in range(1, 51)))
    assert socket.writes == before + 1
    assert room.dirty == 1
    assert room.latencies == [0.0]
    assert len(socket.take()) == 50


def test_a_snapshot_holds_the_newest_value_of_each_key_and_only_if_asked_for() -> None:
    room = Room()
    room.publish(quote(1), quote(2), quote(9, "MSFT.XNAS"), bar(3))
    session, socket = room.client()
    room.say(session, {"type": "subscribe", "topics": ["marketdata.quote", "marketdata.bar"]})
    answer, *values = socket.take()
    assert answer["type"] == "subscribed"
    assert {(frame["topic"], frame["data"]["bid"], frame["snapshot"]) for frame in values} == {
        ("marketdata.quote.AAPL.XNAS", 2.0, True),
        ("marketdata.quote.MSFT.XNAS", 9.0, True),
    }
    room.say(session, {"type": "subscribe", "topics": ["marketdata.quote.*"], "snapshot": False})
    assert [frame["type"] for frame in socket.take()] == ["subscribed"]


def test_newest_values_are_bounded() -> None:
    room = Room(latest_values=3)
    room.publish(*(quote(1, f"S{index}.X") for index in range(10)))
    session, socket = room.client()
    room.say(session, {"type": "subscribe", "topics": ["marketdata.quote"]})
    assert [frame["topic"] for frame in socket.take()[1:]] == [f"marketdata.quote.S{index}.X" for index in (7, 8, 9)]


# -- slow clients -----------------------------------------------------------------------------------


def test_a_slow_client_gets_the_newest_quote_and_delays_nobody() -> None:
    room = Room()
    slow_session, slow = room.client("marketdata.quote", is_clogged=True)
    _, fast = room.client("marketdata.quote")
    room.publish(*(quote(bid) for bid in range(1, 2_001)))
    assert [frame["data"]["bid"] for frame in fast.take()] == [2_000.0]  # one turn: conflated for everybody
    assert slow.take() == []
    assert slow_session.queued == 1
    slow.is_clogged = False
    room.pass_time(0.5)
    assert [frame["data"]["bid"] for frame in slow.take()] == [2_000.0]
    assert slow.closed is None


def test_a_fast_client_gets_every_quote_of_separate_turns() -> None:
    room = Room()
    _, fast = room.client("marketdata.quote")
    for bid in range(1, 101):
        room.publish(quote(bid))
    assert [frame["data"]["bid"] for frame in fast.take()] == [float(bid) for bid in range(1, 101)]


def test_a_slow_client_of_what_must_not_be_dropped_is_closed_at_the_limit_and_not_before() -> None:
    room = Room(queue=100)
    _, slow = room.client("marketdata.bar", is_clogged=True)
    _, fast = room.client("marketdata.bar")
    for close in range(1, 101):
        room.publish(bar(close))
    assert slow.closed is None
    room.publish(bar(101))
    assert slow.closed is not None
    assert slow.closed[0] == 4008
    assert room.hub.closed == {4008: 1}
    assert len(fast.take()) == 101
    assert len(room.hub.sessions) == 1


def test_bytes_are_bounded_too() -> None:
    room = Room(queue_bytes=64 * 1024)
    _, slow = room.client("marketdata.bar", is_clogged=True)
    published = 0
    while slow.closed is None:
        room.publish(bar(1))
        published += 1
        assert published < 1_000
    assert slow.closed[0] == 4008
    assert 100 < published < 400


def test_a_turn_with_more_events_than_the_queue_holds_does_not_close_a_client_that_reads() -> None:
    room = Room(queue=100)
    _, fast = room.client("marketdata.bar")
    room.publish(*(bar(close) for close in range(1, 1_001)))
    assert fast.closed is None
    assert [frame["data"]["close"] for frame in fast.take()] == [float(close) for close in range(1, 1_001)]


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(1, 40)), max_size=60), st.integers(1, 200))
def test_the_queue_keeps_order_drops_only_replaced_values_and_counts_its_bytes(
    puts: list[tuple[str, int]], size: int
) -> None:
    queue = Outgoing(20, 400)
    model: list[tuple[str, bytes]] = []
    for number, (key, length) in enumerate(puts):
        frame = bytes([65 + number % 26]) * length
        kept = [item for item in model if not key or item[0] != key]
        fits = sum(len(item[1]) for item in kept) + length <= 400
        fits = fits and (bool(key) or sum(1 for item in kept if not item[0]) < 20)
        try:
            queue.put(frame, key)
        except QueueFull:
            assert not fits
            return
        assert fits
        model = [*kept, (key, frame)]
    assert queue.bytes == sum(len(frame) for _, frame in model)
    taken = b""
    while len(queue):
        taken += queue.take(size)[0]
    assert taken == b"".join(frame for _, frame in model)
    assert (queue.bytes, queue.lossless) == (0, 0)


# -- time -------------------------------------------------------------------------------------------


def test_heartbeats_come_every_thirty_seconds_and_do_not_pile_up() -> None:
    room = Room()
    session, socket = room.client()
    for _ in range(59):
        room.pass_time(1)
    assert [frame["type"] for frame in socket.take()] == ["heartbeat"]
    assert socket.pings == 1
    socket.is_clogged = True
    for _ in range(100):
        room.pass_time(1)
    assert session.queued == 1


def test_a_silent_client_is_closed_and_one_that_answers_is_not() -> None:
    room = Room(idle_seconds=10)
    _, silent = room.client()
    session, answering = room.client()
    for _ in range(10):
        session.heard_ns = room.now_ns
        room.pass_time(1)
    assert silent.closed is not None
    assert silent.closed[0] == 4040
    assert answering.closed is None


def test_one_client_too_many_is_turned_away() -> None:
    room = Room(max_connections=2)
    room.client()
    session, _ = room.client()
    refused, socket = room.connect()
    assert refused is None
    assert socket.closed is not None
    assert socket.closed[0] == 1013
    room.hub.close(session, 1000, "")
    assert room.connect()[0] is not None
    assert Counter(room.hub.closed) == {1013: 1, 1000: 1}
