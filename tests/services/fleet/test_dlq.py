"""``nautilus dlq`` as it is typed, against a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.clock import LiveClock
from libs.contracts.dead_letters import dead_letter
from libs.contracts.risk import DeleteLimit
from libs.contracts.topics import CODEC, DELETE_LIMIT, REGISTRY
from libs.messagebus import Publisher, RedisTransport
from libs.messagebus.redis.server import EmbeddedRedis
from libs.messagebus.transport import START
from libs.testing.servers import redis_server
from services.fleet.dlq import embedded_port

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server() -> Iterator[EmbeddedRedis]:
    with redis_server() as found:
        yield found


def prepare(server: EmbeddedRedis) -> DeleteLimit:
    """A command that risk failed on, and its letter."""
    command = DeleteLimit(1, "limit-1", "ann")

    async def main() -> None:
        transport = RedisTransport(server.url)
        publisher = Publisher(transport, CODEC, REGISTRY, "test", LiveClock())
        event_id = await publisher.publish_confirmed(command)
        (entry,) = await transport.read({DELETE_LIMIT.stream: START}, 1, 0)
        payload = CODEC.encode_event(command)
        await publisher.publish_confirmed(
            dead_letter(2, "risk", entry, 0, event_id, DELETE_LIMIT.name, "KeyError: 'x'", payload, "y", 1)
        )
        await publisher.close()
        await transport.close()

    asyncio.run(main())
    return command


def nautilus(server: EmbeddedRedis | None, *arguments: str, folder: Path | None = None) -> tuple[int, str, str]:
    environment = {"REDIS_URL": server.url} if server else {"NAUTILUS_DATA_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "services.fleet", "dlq", *arguments], cwd=ROOT, env={"PATH": "/usr/bin"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_a_letter_is_listed_shown_retried_once_and_gone(server: EmbeddedRedis) -> None:
    command = prepare(server)
    _, out, _ = nautilus(server, "list", "--json")
    (listed,) = json.loads(out)
    assert (listed["reader"], listed["error"], listed["state"]) == ("risk", "KeyError: 'x'", "open")
    _, out, _ = nautilus(server, "show", listed["id"], "--json")
    assert json.loads(out)["event"] == {"ts_event": 1, "limit_id": "limit-1", "actor": "ann"}
    code, out, err = nautilus(server, "retry", listed["id"])
    assert (code, err) == (0, "")
    assert out == f"published test:0 to {DELETE_LIMIT.stream} again, for risk\n"
    code, _, err = nautilus(server, "retry", listed["id"])
    assert code == 1
    assert err.startswith(f"nautilus dlq: dead letter {listed['id']} must be open, was retried by ")
    assert json.loads(nautilus(server, "list", "--json")[1]) == []

    async def published() -> list[object]:
        transport = RedisTransport(server.url)
        entries = await transport.read({DELETE_LIMIT.stream: START}, 9, 0)
        await transport.close()
        return [event for entry in entries for event in CODEC.decode(entry.data).events]

    assert asyncio.run(published()) == [command, command]


def test_a_letter_is_dropped_with_a_reason(server: EmbeddedRedis) -> None:
    prepare(server)
    (listed,) = json.loads(nautilus(server, "list", "--json")[1])
    code, out, _ = nautilus(server, "drop", listed["id"], "--reason", "known")
    assert code == 0
    assert out.rstrip().endswith(": known")
    assert "known" in json.loads(nautilus(server, "list", "--all", "--json")[1])[0]["state"]
    assert "Dead letters: 0" in nautilus(server, "list")[1]


def test_without_a_bus_it_says_so(tmp_path: Path) -> None:
    code, _, err = nautilus(None, "list", folder=tmp_path)
    assert code == 1
    assert "start the fleet (make up) or set REDIS_URL" in err


def test_the_embedded_fleets_server_is_found_while_it_runs(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path, appendonly=False) as server:
        assert embedded_port(tmp_path) == server.port
    assert embedded_port(tmp_path) == 0
