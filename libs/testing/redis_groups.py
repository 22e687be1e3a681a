"""Real groups of Redis servers for tests: a primary with a replica and sentinels, and a cluster of three nodes."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from libs.clock.live import monotonic_ns
from libs.messagebus.redis.cluster import SLOTS
from libs.messagebus.redis.locks import free_port
from libs.testing.servers import redis_binary

GIVE_UP_NS = 60_000_000_000
SERVICE = "fleet"


@dataclass(slots=True)
class Node:
    """One server of a group."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def client(self) -> Redis:
        """A new redis-py client of it."""
        return Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class SentinelGroup:
    """A primary, a replica, and the sentinels that watch them."""

    servers: list[Node] = field(default_factory=list)
    sentinels: list[Node] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What a user writes into ``REDIS_URL``."""
        nodes = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        return f"redis+sentinel://{nodes}/{SERVICE}/0"

    def primary(self) -> Node:
        """The server the sentinels name now."""
        with self.sentinels[0].client() as client:
            port = int(client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(node for node in self.servers if node.port == port)

    def replica(self) -> Node:
        """The other one."""
        primary = self.primary()
        return next(node for node in self.servers if node is not primary)


@contextmanager
def sentinel_group(sentinels: int = 3) -> Iterator[SentinelGroup]:
    """A primary with one replica under sentinels that notice a crash within half a second.

    Raises:
        ServerUnavailable: If this machine has no redis-server 7 or newer.
    """
    with ExitStack() as stack:
        group = SentinelGroup()
        for number in range(2):
            lines = ["repl-diskless-sync-delay 0", "appendonly yes"]
            if number:
                lines.append(f"replicaof 127.0.0.1 {group.servers[0].port}")
            group.servers.append(stack.enter_context(_node(lines)))
        with group.servers[1].client() as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")
        for _ in range(sentinels):
            lines = [
                f"sentinel monitor {SERVICE} 127.0.0.1 {group.servers[0].port} {sentinels // 2 + 1}",
                f"sentinel down-after-milliseconds {SERVICE} 500",
                f"sentinel failover-timeout {SERVICE} 3000",
            ]
            group.sentinels.append(stack.enter_context(_node(lines, "--sentinel")))
        for node in group.sentinels:
            with node.client() as client:
                until(lambda client=client: _knows(client.sentinel_master(SERVICE), sentinels))
        yield group


def _knows(facts: dict[str, int], sentinels: int) -> bool:
    return facts["num-slaves"] == 1 and facts["num-other-sentinels"] == sentinels - 1


@contextmanager
def redis_cluster(nodes: int = 3) -> Iterator[list[Node]]:
    """A cluster without replicas, slots spread evenly.

    Raises:
        ServerUnavailable: If this machine has no redis-server 7 or newer.
    """
    with ExitStack() as stack:
        ports = [free_port() for _ in range(nodes)]
        found = []
        for port in ports:
            lines = ["cluster-enabled yes", f"cluster-port {port}", "cluster-node-timeout 2000"]
            found.append(stack.enter_context(_node(lines)))
        clients = [stack.enter_context(node.client()) for node in found]
        for number, client in enumerate(clients):
            first, last = SLOTS * number // nodes, SLOTS * (number + 1) // nodes - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            if number:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", found[0].port, ports[0])
        for client in clients:
            until(lambda client=client: _complete(client.execute_command("CLUSTER", "INFO"), nodes))
        yield found


def _complete(facts: str, nodes: int) -> bool:
    return "cluster_state:ok" in facts and f"cluster_known_nodes:{nodes}\r" in facts


def until(condition: object) -> None:
    """Ask again until ``condition()`` holds.

    Raises:
        TimeoutError: After a minute.
    """
    assert callable(condition)
    give_up = monotonic_ns() + GIVE_UP_NS
    while not condition():
        if monotonic_ns() > give_up:
            raise TimeoutError("a group of Redis servers must come up within a minute, was not ready")


@contextmanager
def _node(lines: list[str], *arguments: str) -> Iterator[Node]:
    with tempfile.TemporaryDirectory(prefix="redis-node-") as name:
        folder, port = Path(name), free_port()
        common = ["bind 127.0.0.1", f"port {port}", f"dir {folder}", "logfile redis.log", 'save ""', *lines]
        file = folder / "redis.conf"
        file.write_text("\n".join(common) + "\n")
        process = subprocess.Popen([redis_binary("system").path, file, *arguments], stdout=subprocess.DEVNULL)
        node = Node(folder, port, process)
        try:
            with node.client() as client:
                until(lambda: _answers(client))
            yield node
        finally:
            node.kill()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
