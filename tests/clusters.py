"""Real engines of several members, as processes on loopback, that a test kills, pauses and starts again.

The members are those of `infra.local`: from the same programs, and gone with the thread that started them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis.asyncio import Redis

from infra.local.kafka import KafkaServer, new_cluster_id
from infra.local.mongo import SET_NAME, MongoServer
from infra.local.ports import keep_ports
from infra.local.program import Program
from infra.local.redis import RedisServer
from infra.local.server import Server
from tests.builders import until

SERVICE = "mymaster"


class Member:
    """One server of a cluster."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @property
    def address(self) -> str:
        return self.server.address

    @property
    def port(self) -> int:
        return self.server.ports[self.server.port_names[0]]

    async def kill(self) -> None:
        """SIGKILL; it is gone at return."""
        os.kill(self.server.pid, signal.SIGKILL)
        await self.server.wait()

    def pause(self) -> None:
        """It does nothing from now on, and its connections stay open."""
        os.kill(self.server.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.server.pid, signal.SIGCONT)

    async def restart(self) -> None:
        """On the same data and address; stopped first if it runs. It serves at return."""
        await self.server.restart()

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.go_on()
        await self.server.stop()


@asynccontextmanager
async def _running(servers: Sequence[Server]) -> AsyncIterator[list[Member]]:
    """Started side by side; stopped, paused ones too, however the block ends."""
    members = [Member(server) for server in servers]
    try:
        async with asyncio.TaskGroup() as starting:
            for server in servers:
                starting.create_task(server.start())
        yield members
    finally:
        await asyncio.gather(*(member.stop() for member in members))


@contextmanager
def _folders(count: int) -> Iterator[list[Path]]:
    with TemporaryDirectory(prefix="ringpost-test-") as folder:
        yield [Path(folder) / str(number) for number in range(count)]


# ------------------------------------------------------------------ Redis


class PairedRedis(RedisServer):
    """A replica that asks for everything gets it at once."""

    def settings(self) -> dict[str, str]:
        return super().settings() | {"repl-diskless-sync-delay": "0"}


class RedisPair:
    """A primary and its replica, which has everything at the start."""

    def __init__(self, primary: Member, replica: Member) -> None:
        self.primary = primary
        self.replica = replica

    async def follow(self) -> None:
        """The replica takes over what the primary has; returns once it has all of it."""
        async with redis_of(self.replica) as client:
            await client.replicaof("127.0.0.1", str(self.primary.port))
        async with redis_of(self.primary) as client:
            await until(lambda: client.wait(1, 200))

    async def cut(self) -> None:
        """The replica gets nothing from now on; the primary does not mind."""
        async with redis_of(self.replica) as client:
            await client.replicaof("127.0.0.1", "1")

    async def promote(self) -> None:
        """The replica becomes a primary with what it has."""
        async with redis_of(self.replica) as client:
            await client.replicaof("NO", "ONE")


def redis_of(member: Member) -> Redis:
    """A client of this one member."""
    return Redis(host="127.0.0.1", port=member.port, socket_timeout=5)


@asynccontextmanager
async def redis_pair() -> AsyncIterator[RedisPair]:
    with _folders(2) as folders:
        async with _running([PairedRedis(folder, print) for folder in folders]) as members:
            pair = RedisPair(*members)
            await pair.follow()
            yield pair


class SentinelServer(RedisServer):
    """Watches the primary of the set; its file is its memory, so that is written once."""

    key = "sentinel"
    name = "Redis Sentinel"
    primary_port = 0

    @property
    def _file(self) -> Path:
        return self.folder / "sentinel.conf"

    async def prepare(self, program: Program) -> None:
        await super().prepare(program)
        lines = [
            f"port {self.ports['port']}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary_port} 2",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 6000",
        ]
        if not self._file.exists() or lines[0] not in self._file.read_text().splitlines():
            self._file.write_text("\n".join(lines) + "\n")

    def command(self, program: Program) -> list[str]:
        return [str(program.path), str(self._file), "--sentinel"]


class RedisSet:
    """A primary, its replica, and three Sentinels that promote the replica when the primary is away."""

    def __init__(self, servers: Sequence[Member], sentinels: Sequence[Member]) -> None:
        self.servers = servers
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(sentinel.address for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    async def state(self) -> dict[str, Any]:
        """What the first Sentinel knows of the primary."""
        async with redis_of(self.sentinels[0]) as client:
            return dict(await client.sentinel_master(SERVICE))

    async def primary(self) -> Member:
        port = (await self.state())["port"]
        return next(member for member in self.servers if member.port == port)

    async def moved(self, old: Member) -> None:
        """Wait until another is the primary."""

        async def another() -> bool:
            return await self.primary() is not old

        await until(another)

    async def whole(self) -> None:
        """Wait until the Sentinels know each other and the replica, and it has what the primary has."""

        seen: dict[str, Any] = {}

        async def known() -> bool:
            seen.update(await self.state())
            return bool(seen["num-other-sentinels"] == 2 and seen["num-slaves"] == 1)

        async def linked() -> bool:
            async with redis_of(await self.primary()) as client:
                return bool(await client.wait(1, 100))

        try:
            await until(known)
        except AssertionError:
            raise AssertionError(f"the Sentinels do not know their set: {seen}") from None
        await until(linked)


@asynccontextmanager
async def redis_set() -> AsyncIterator[RedisSet]:
    with _folders(3) as folders:
        async with redis_pair() as pair:
            watchers = [SentinelServer(folder, print) for folder in folders]
            for watcher in watchers:
                watcher.primary_port = pair.primary.port
            async with _running(watchers) as sentinels:
                made = RedisSet([pair.primary, pair.replica], sentinels)
                await made.whole()
                yield made


# ------------------------------------------------------------------ MongoDB


class MongoMember(MongoServer):
    """One of a set that is initiated from outside."""

    async def serves(self) -> bool:
        return bool(await hello(self.ports["port"]))


async def hello(port: int) -> dict[str, Any]:
    """What the server says of itself; nothing if it does not answer."""
    try:
        return await asyncio.to_thread(_command, port, "hello")
    except PyMongoError:
        return {}


def _command(port: int, name: str, value: Any = 1) -> dict[str, Any]:
    with MongoClient[dict[str, Any]](
        "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=1000, socketTimeoutMS=5000
    ) as client:
        return client.admin.command(name, value)


class MongoSet:
    """Three servers of one replica set. Two are a majority."""

    def __init__(self, servers: Sequence[Member]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        return f"mongodb://{','.join(it.address for it in self.servers)}/?replicaSet={SET_NAME}"

    async def initiate(self) -> None:
        members = [{"_id": number, "host": it.address} for number, it in enumerate(self.servers)]
        config = {"_id": SET_NAME, "members": members, "settings": {"electionTimeoutMillis": 2000}}
        await asyncio.to_thread(_command, self.servers[0].port, "replSetInitiate", config)

    async def primary(self, other_than: Member | None = None) -> Member:
        """The member that takes writes, waited for."""

        async def found() -> Member | None:
            for member in self.servers:
                if member is not other_than and (await hello(member.port)).get("isWritablePrimary"):
                    return member
            return None

        member: Member = await until(found)
        return member

    async def whole(self) -> None:
        """Wait until every member is primary or secondary."""

        async def joined() -> bool:
            said = [await hello(member.port) for member in self.servers]
            return all(it.get("isWritablePrimary") or it.get("secondary") for it in said)

        await until(joined)


@asynccontextmanager
async def mongo_set() -> AsyncIterator[MongoSet]:
    with _folders(3) as folders:
        async with _running([MongoMember(folder, print) for folder in folders]) as members:
            made = MongoSet(members)
            await made.initiate()
            await made.primary()
            await made.whole()
            yield made


# ------------------------------------------------------------------ Kafka

THREE_COPIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
}


class KafkaMember(KafkaServer):
    """One node of several, each broker and controller."""

    node_id = 0
    voters = ""

    def settings(self) -> dict[str, str]:
        own = {"node.id": str(self.node_id), "controller.quorum.voters": self.voters}
        return super().settings() | THREE_COPIES | own


class KafkaCluster:
    """Three brokers. With three copies and two in sync, one may be away."""

    def __init__(self, brokers: Sequence[Member]) -> None:
        self.brokers = brokers

    @property
    def bootstrap(self) -> str:
        return ",".join(broker.address for broker in self.brokers)

    async def leader(self, topic: str) -> Member | None:
        """The broker that takes what is written to the topic's first partition."""
        number = (await self._first_partition(topic)).get("leader", -1)
        return self.brokers[number - 1] if number > 0 else None

    async def moved(self, topic: str, old: Member) -> None:
        """Wait until another broker leads."""

        async def another() -> bool:
            return await self.leader(topic) not in (old, None)

        await until(another, every_s=0.1)

    async def whole(self, topic: str) -> None:
        """Wait until every broker has all that was written to the first partition."""

        async def in_sync() -> bool:
            return len((await self._first_partition(topic)).get("isr", ())) == len(self.brokers)

        await until(in_sync, every_s=0.1)

    async def _first_partition(self, topic: str) -> dict[str, Any]:
        """As one of the brokers knows it; nothing if the one that was asked does not answer."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            await admin.start()
            (described,) = await admin.describe_topics([topic])
        except (KafkaError, OSError):
            return {}
        finally:
            await admin.close()
        return next(dict(it) for it in described["partitions"] if it["partition"] == 0)


@asynccontextmanager
async def kafka_cluster() -> AsyncIterator[KafkaCluster]:
    with _folders(3) as folders:
        brokers = [KafkaMember(folder, print) for folder in folders]
        ports = [keep_ports(it.folder / "ports.json", it.port_names)["controller"] for it in brokers]
        cluster_id = new_cluster_id()
        for number, broker in enumerate(brokers, 1):
            broker.node_id, broker.cluster_id = number, cluster_id
            broker.voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(ports, 1))
        async with _running(brokers) as members:
            yield KafkaCluster(members)
