"""A fleet under sentinels and in a cluster: the server is found, and again after a failover; losses are noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from libs.clock import LiveClock
from libs.messagebus import Publisher, RedisTransport, StateLostError, TransportError, TransportRefusedError
from libs.messagebus.redis.cluster import SLOTS, hash_slot, hash_tag
from libs.messagebus.transport import START, Commit, Output
from libs.testing.bus_topics import CODEC, REGISTRY, TICKED, Ticked
from libs.testing.redis_groups import Node, SentinelGroup, redis_cluster, sentinel_group, until
from libs.testing.servers import ServerUnavailable
from tests.libs.messagebus.servers_in_use import use

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[Node]]:
    try:
        with redis_cluster() as nodes:
            yield nodes
    except ServerUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    try:
        with sentinel_group() as found:
            yield found
    except ServerUnavailable as error:
        pytest.skip(str(error))


async def soon(_: float) -> None:
    await asyncio.sleep(0.02)


async def patiently(call: object) -> object:
    """Repeat a call that may be repeated until the bus answers again."""
    assert callable(call)
    while True:
        try:
            return await call()
        except TransportError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(0.02)


async def prices(transport: RedisTransport) -> list[float]:
    found: list[float] = []
    position = START
    while entries := await transport.read({TICKED.stream: position}, 500, 0):
        found += [event.price for entry in entries for event in CODEC.decode(entry.data).events]
        position = entries[-1].entry_id
    return found


# -- cluster ----------------------------------------------------------------------------------------


def test_slots_are_those_of_the_specification() -> None:
    assert hash_slot("123456789") == 0x31C3  # the check value of CRC16/XMODEM, below 16384
    assert hash_slot("foo") == 12182  # CLUSTER KEYSLOT foo, as the documentation of Redis shows it
    assert hash_slot("{user1000}.following") == hash_slot("{user1000}.followers") == hash_slot("user1000")
    assert hash_tag("foo{}{bar}") == "foo{}{bar}"
    assert hash_tag("foo{{bar}}zap") == "{bar"
    assert hash_tag("foo{bar") == "foo{bar"


def test_a_server_computes_the_same_slots(cluster: list[Node]) -> None:
    with cluster[0].client() as client:
        for key in ("{nautilus}:tails", "a{}b", "}{", "ä{ö}ü", "", "{a}{b}"):
            assert hash_slot(key) == client.execute_command("CLUSTER", "KEYSLOT", key)


def test_fleets_live_on_the_node_that_owns_their_slot(cluster: list[Node]) -> None:
    async def scenario(prefix: str, asked: Node) -> None:
        transport = RedisTransport(f"redis+cluster://127.0.0.1:{asked.port}", prefix)
        await transport.connect()
        await transport.append("p", 0, 1, [Output("a", b"x"), Output("b", b"y")])
        lease = await transport.acquire("r", ["a"])
        await transport.commit(Commit("r", lease.epoch, 1, {"a": "1-1"}, [Output("b", b"z")], b"j"))
        assert [entry.data for entry in await transport.read({"b": START}, 9, 10)] == [b"y", b"z"]
        await transport.close()

    homes = set()
    for name in ("nautilus", "east", "west", "north", "south"):
        prefix = f"{{{name}}}"
        owner = cluster[hash_slot(prefix) * 3 // SLOTS]
        asyncio.run(scenario(prefix, cluster[1]))
        with owner.client() as client:
            assert client.exists(f"{prefix}:tails")
        homes.add(owner.port)
    assert len(homes) > 1, "the test must see more than one node at work"


def test_the_next_node_is_asked_where_one_is_down(cluster: list[Node]) -> None:
    async def scenario() -> None:
        transport = RedisTransport(f"redis+cluster://127.0.0.1:1,127.0.0.1:{cluster[2].port}", "{down}")
        assert await transport.append("p", 0, 1, [Output("a", b"x")])
        await transport.close()

    asyncio.run(scenario())


def test_a_slot_that_moves_is_followed(cluster: list[Node]) -> None:
    prefix = "{mover}"
    slot = hash_slot(prefix)
    source = cluster[slot * 3 // SLOTS]
    target = next(node for node in cluster if node is not source)

    def move() -> None:
        """What redis-cli --cluster reshard does for one slot."""
        with source.client() as giving, target.client() as taking:
            names = [giving.execute_command("CLUSTER", "MYID"), taking.execute_command("CLUSTER", "MYID")]
            taking.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", names[0])
            giving.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", names[1])
            keys = giving.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
            giving.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            for client in (taking, giving):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", names[1])
        for node in cluster:
            with node.client() as client:
                until(lambda client=client: _owner_of(client, slot) == target.port)

    async def scenario() -> None:
        transport = RedisTransport(f"redis+cluster://127.0.0.1:{cluster[0].port}", prefix)
        await transport.connect()
        publisher = Publisher(transport, CODEC, REGISTRY, "p", LiveClock(), max_batch=5, sleep=soon)
        for number in range(200):
            await publisher.publish_confirmed(Ticked(number, "X", float(number)))
            if number == 100:
                await asyncio.to_thread(move)
                assert await transport.tails([TICKED.stream]), "a plain command goes to the new owner at once"
        await publisher.close()
        assert await prices(transport) == list(range(200))
        await transport.close()

    asyncio.run(scenario())
    with target.client() as client:
        assert client.xlen(f"{prefix}:stream:{TICKED.stream}")


def _owner_of(client: object, slot: int) -> int:
    ranges = client.execute_command("CLUSTER", "SLOTS")  # type: ignore[attr-defined]
    return next(owner[1] for first, last, owner, *_ in ranges if first <= slot <= last)


def test_a_single_server_is_no_cluster(group: SentinelGroup) -> None:
    port = group.servers[0].port
    with pytest.raises(TransportRefusedError, match=f"must be a node of a cluster.*write redis://127.0.0.1:{port}"):
        asyncio.run(use(f"redis+cluster://127.0.0.1:{port}"))


def test_a_node_of_a_cluster_is_no_single_server(cluster: list[Node]) -> None:
    wrong = cluster[(hash_slot("{nautilus}") * 3 // SLOTS + 1) % 3]
    with pytest.raises(TransportRefusedError, match=r"redis\+cluster://"):
        asyncio.run(use(f"redis://127.0.0.1:{wrong.port}"))


# -- sentinel ---------------------------------------------------------------------------------------


def test_a_publisher_outlives_a_failover(group: SentinelGroup) -> None:
    async def scenario() -> None:
        transport = RedisTransport(group.url)
        await transport.connect()
        publisher = Publisher(transport, CODEC, REGISTRY, "p", LiveClock(), max_batch=5, sleep=soon)
        for number in range(300):
            await publisher.publish_wait(Ticked(number, "X", float(number)))
            if number == 150:
                await publisher.flush()
                primary = await asyncio.to_thread(group.primary)
                with primary.client() as client:
                    assert client.wait(1, 5000) == 1  # what the replica has not heard of is another test's matter
                await asyncio.to_thread(primary.kill)
        await publisher.close()
        assert await patiently(lambda: prices(transport)) == list(range(300))
        await transport.close()

    asyncio.run(scenario())


def test_what_a_failover_lost_is_noticed(group: SentinelGroup) -> None:
    async def scenario() -> None:
        transport = RedisTransport(group.url)
        lease = await transport.acquire("r", ["s"])
        await transport.commit(Commit("r", lease.epoch, 1, {"s": "1-1"}, [], b"kept"))
        primary, replica = group.primary(), group.replica()
        with primary.client() as client, replica.client() as follower:
            assert client.wait(1, 5000) == 1
            follower.execute_command("REPLICAOF", "NO", "ONE")  # deaf from here on, as behind a broken cable
            for number in (2, 3):
                await transport.commit(Commit("r", lease.epoch, number, {"s": f"{number}-1"}, [], b"lost"))
            await asyncio.to_thread(primary.kill)
            assert await patiently(lambda: _commit_four(transport, lease.epoch)) == "noticed"
        await transport.close()
        fresh = RedisTransport(group.url)
        assert (await patiently(lambda: fresh.acquire("r", ["s"]))).commits == 1  # type: ignore[attr-defined]
        await fresh.close()

    asyncio.run(scenario())


async def _commit_four(transport: RedisTransport, epoch: int) -> str:
    try:
        await transport.commit(Commit("r", epoch, 4, {"s": "4-1"}, [], b"after"))
    except StateLostError:
        return "noticed"
    return "hidden"


def test_sentinels_that_do_not_know_the_service_say_so(group: SentinelGroup) -> None:
    with pytest.raises(TransportRefusedError, match="must watch a service named 'other'"):
        asyncio.run(use(group.url.replace("/fleet/", "/other/")))


def test_the_newest_configuration_wins_over_an_absent_sentinel(group: SentinelGroup) -> None:
    group.sentinels[0].kill()
    asyncio.run(use(group.url))
