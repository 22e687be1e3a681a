"""One configuration, one client: names users know, bounds, reconnecting, and giving up where that is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.clock import TestClock
from libs.messagebus import (
    ConfigurationError,
    MessageBus,
    MessageBusConfig,
    ReconnectLimitError,
    TransportRefusedError,
)
from libs.messagebus.redis.address import RedisAddress
from libs.messagebus.redis.locks import free_port
from libs.testing.bus_topics import CODEC, REGISTRY, TICKED, Ticked
from libs.testing.servers import redis_server

NOW = 1_600_000_000_000_000_000


def config(**values: Any) -> MessageBusConfig:
    return MessageBusConfig(**{"clock": TestClock(start_time_ns=NOW)} | values)


class Waits:
    """Counts waits instead of waiting."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


def test_every_name_users_know_is_a_setting() -> None:
    names = [
        "redis_host", "redis_port", "stream_key", "consumer_group", "consumer_name", "buffer_interval_ms",
        "max_buffer_size", "heartbeat_interval_secs", "connection_timeout", "max_reconnect_attempts",
        "reconnect_base_delay", "reconnect_max_delay", "health_check_interval", "clock",
    ]  # fmt: skip
    default = config()
    assert MessageBusConfig.of({name: getattr(default, name) for name in names}) == default
    assert (default.connection_timeout, default.health_check_interval, default.max_reconnect_attempts) == (5, 30, None)
    assert (default.reconnect_base_delay, default.reconnect_max_delay) == (1, 60)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"redis_hots": "a"}, "redis_hots is no setting of the message bus; did you mean redis_host?"),
        ({"reconnect_delay": 1}, "did you mean reconnect_max_delay?"),
        ({"zzz": 1}, "known are redis_host, redis_port"),
        ({"redis_port": 0}, "redis_port must be between 1 and 65,535, was 0"),
        ({"redis_port": "6379"}, "redis_port must be between 1 and 65,535, was '6379'"),
        ({"connection_timeout": float("nan")}, "connection_timeout must be between 0.01 and 600, was nan"),
        ({"max_buffer_size": True}, "max_buffer_size must be between"),
        ({"max_reconnect_attempts": 0}, "at least 1, or None for no limit, was 0"),
        ({"reconnect_base_delay": 9, "reconnect_max_delay": 3}, r"at least reconnect_base_delay \(9\), was 3"),
        ({"full_policy": "shrug"}, "full_policy must be wait, fail or drop_low, was 'shrug'"),
        ({"stream_key": "nautilus"}, "stream_key must begin with a name in braces"),
        ({"consumer_group": ""}, "consumer_group must be given, was empty"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        MessageBusConfig.of(values)


def test_all_mistakes_are_told_at_once_and_secrets_never() -> None:
    with pytest.raises(ConfigurationError, match=r"redis_port.*; .*health_check_interval") as raised:
        config(redis_port=-1, health_check_interval=-1, redis_password="hunter2")
    assert "hunter2" not in str(raised.value)
    shown = config(redis_password="hunter2", redis_url="redis://:hunter2@h")
    assert "hunter2" not in repr(shown)


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "redis://127.0.0.1:6379/0"),
        ({"redis_host": "::1", "redis_port": 7000, "redis_database": 3}, "redis://[::1]:7000/3"),
        ({"redis_url": "rediss://bus.example"}, "rediss://bus.example"),
    ],
)
def test_the_place_is_an_address(values: dict[str, Any], url: str) -> None:
    assert config(**values).url == url
    RedisAddress.parse(url)


def test_any_user_and_password_reach_the_server_unchanged() -> None:
    address = RedisAddress.parse(config(redis_username="a:b@c", redis_password="p@ss w#rd/ü?").url)
    assert (address.username, address.password) == ("a:b@c", "p@ss w#rd/ü?")


def test_publish_and_read_on_both_kinds_of_bus() -> None:
    async def scenario(chosen: MessageBusConfig) -> None:
        async with MessageBus(chosen, REGISTRY, CODEC) as bus:
            bus.publish(Ticked(NOW, "A", 1.0))
            bus.publish_many([Ticked(NOW, "A", 2.0), Ticked(NOW, "A", 3.0)])
            assert await bus.publish_confirmed(Ticked(NOW, "A", 4.0)) == f"{bus.publisher.producer}:3"
            await bus.flush()
            prices = []
            async for envelope in bus.tail([TICKED], from_start=True):
                prices.append(envelope.event.price)
                if len(prices) == 4:
                    break
            assert prices == [1.0, 2.0, 3.0, 4.0]
            assert bus.statistics().published == 4

    asyncio.run(scenario(config(redis_url="memory://")))
    with redis_server() as server:
        asyncio.run(scenario(config(redis_host="127.0.0.1", redis_port=server.port, stream_key="{other}:1")))


def test_giving_up_names_the_limit_and_waits_grow_until_then() -> None:
    waits = Waits()

    async def scenario() -> None:
        chosen = config(redis_port=free_port(), max_reconnect_attempts=5, reconnect_base_delay=1, reconnect_max_delay=3)
        with pytest.raises(ReconnectLimitError, match=r"within 5 attempts, was not: .*raise max_reconnect_attempts"):
            await MessageBus(chosen, REGISTRY, CODEC, sleep=waits).connect()

    asyncio.run(scenario())
    assert len(waits.seconds) == 4
    assert all(1 <= wait <= 3 for wait in waits.seconds)
    assert waits.seconds[-1] > 1


def test_a_refusal_is_not_tried_again() -> None:
    waits = Waits()

    async def scenario(port: int) -> None:
        with pytest.raises(TransportRefusedError):
            await MessageBus(config(redis_port=port), REGISTRY, CODEC, sleep=waits).connect()

    with redis_server(password="secret") as server:
        asyncio.run(scenario(server.port))
    assert waits.seconds == []


def test_the_watch_outlives_a_restart_and_ends_at_the_limit() -> None:
    async def soon(_: float) -> None:
        await asyncio.sleep(0.002)

    async def scenario() -> None:
        with redis_server(appendonly=True) as server:
            chosen = config(redis_port=server.port, max_reconnect_attempts=20_000)
            bus = MessageBus(chosen, REGISTRY, CODEC, sleep=soon)
            await bus.connect()
            watching = asyncio.create_task(bus.watch())
            await asyncio.to_thread(server.kill)
            while bus.failures < 3:
                await asyncio.sleep(0.001)
            await asyncio.to_thread(server.start)
            while bus.failures:
                await asyncio.sleep(0.001)
            assert not watching.done()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await bus.close()
            limited = MessageBus(config(redis_port=server.port, max_reconnect_attempts=2), REGISTRY, CODEC, sleep=soon)
            await limited.connect()
            await asyncio.to_thread(server.kill)
            with pytest.raises(ReconnectLimitError, match="within 2 attempts"):
                await limited.watch()
            await limited.transport.close()
            await asyncio.to_thread(server.start)

    asyncio.run(scenario())
