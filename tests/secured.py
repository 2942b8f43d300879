"""The three engines as a careful administrator sets them up: TLS, users, and only what was granted.

Certificates and passwords are made for one run. The servers are those of `infra.local`.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import AsyncMongoClient
from redis.asyncio import Redis

from infra.local.kafka import KafkaServer
from infra.local.mongo import SET_NAME, MongoServer
from infra.local.process import LocalEngineError
from infra.local.program import Program
from infra.local.redis import RedisServer
from tests.certificates import Authority, Identity

ADMIN = "admin"
PARTS = ("api", "inbox", "push", "relay", "topics")
USERS = {part: f"ringpost-{part}" for part in PARTS}
SCRAM = "SCRAM-SHA-512"
WATCHED = "mymaster"


class SecuredMongo(MongoServer):
    """A replica set of one that takes TLS connections only, and asks for a user."""

    authority: Authority
    identity: Identity
    password: str
    _seen = 0

    async def prepare(self, program: Program) -> None:
        await super().prepare(program)
        key = self.folder / "keyfile"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(secrets.token_hex(32))

    def settings(self) -> dict[str, str]:
        return super().settings() | {
            "tlsMode": "requireTLS",
            "tlsCertificateKeyFile": str(self.identity.whole),
            "tlsCAFile": str(self.authority.file),
            "keyFile": str(self.folder / "keyfile"),
        }

    def command(self, program: Program) -> list[str]:
        return [*super().command(program), "--auth", "--tlsAllowConnectionsWithoutCertificates"]

    def client_options(self) -> dict[str, Any]:
        return {"tls": True, "tlsCAFile": str(self.authority.file)}

    async def add_admin(self) -> None:
        """The first user: MongoDB lets one who comes from its own machine make it."""
        async with self._client() as client:
            await client.admin.command("createUser", ADMIN, pwd=self.password, roles=["root"])

    def denied(self) -> list[str]:
        """What it refused to anybody since the last look, by its own log."""
        lines = self.log_of_this_run().splitlines()
        seen, self._seen = self._seen, len(lines)
        return [line for line in lines[seen:] if "Unauthorized" in line]

    def admin(self) -> AsyncMongoClient[dict[str, Any]]:
        return self._client(username=ADMIN, password=self.password)

    def _client(self, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
        return AsyncMongoClient(
            "127.0.0.1",
            self.ports["port"],
            directConnection=True,
            serverMonitoringMode="poll",
            **self.client_options(),
            **options,
        )

    def url_of(self, user: str) -> str:
        login = f"{quote(user, '')}:{quote(self.password, '')}"
        options = (
            f"replicaSet={SET_NAME}&authSource=admin&tls=true&tlsCAFile={quote(str(self.authority.file), '')}"
        )
        return f"mongodb://{login}@{self.address}/?{options}"


_LOGIN = "org.apache.kafka.common.security"


class SecuredKafka(KafkaServer):
    """Three doors: TLS with a user, a user in the clear, and TLS with the client's certificate."""

    port_names = ("broker", "controller", "clear", "certified")
    authority: Authority
    identity: Identity
    password: str
    _seen = 0

    def settings(self) -> dict[str, str]:
        doors = {"SASL_SSL": "broker", "SASL_PLAINTEXT": "clear", "SSL": "certified"}
        at = {door: f"{door}://127.0.0.1:{self.ports[port]}" for door, port in doors.items()}
        plain = "".join(f' user_{user}="{self.password}"' for user in (ADMIN, *USERS.values()))
        door_settings = {}
        for door in ("sasl_ssl", "sasl_plaintext"):
            name = f"listener.name.{door}"
            door_settings |= {
                f"{name}.plain.sasl.jaas.config": f"{_LOGIN}.plain.PlainLoginModule required{plain};",
                f"{name}.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
                f"{name}.scram-sha-256.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
            }
        return (
            super().settings()
            | door_settings
            | {
                "listeners": ",".join([*at.values(), f"CONTROLLER://127.0.0.1:{self.ports['controller']}"]),
                "advertised.listeners": ",".join(at.values()),
                "listener.security.protocol.map": ",".join(f"{door}:{door}" for door in at)
                + ",CONTROLLER:PLAINTEXT",
                "inter.broker.listener.name": "SASL_SSL",
                "sasl.enabled.mechanisms": f"PLAIN,SCRAM-SHA-256,{SCRAM}",
                "sasl.mechanism.inter.broker.protocol": SCRAM,
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                # The broker itself comes to its controller without a name, through a door of its own.
                "super.users": f"User:{ADMIN};User:ANONYMOUS;User:CN={ADMIN}",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.identity.whole),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.authority.file),
                "listener.name.ssl.ssl.client.auth": "required",
            }
        )

    def command(self, program: Program) -> list[str]:
        java, *rest = super().command(program)
        return [java, "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=info", *rest]

    def denied(self) -> list[str]:
        """What the broker refused to anybody since the last look, by its own log."""
        lines = self.log_of_this_run().splitlines()
        seen, self._seen = self._seen, len(lines)
        return [line for line in lines[seen:] if "is Denied" in line]

    def format_arguments(self) -> list[str]:
        users = [(SCRAM, user) for user in (ADMIN, *USERS.values())] + [("SCRAM-SHA-256", ADMIN)]
        return [
            word
            for mechanism, user in users
            for word in ("--add-scram", f"{mechanism}=[name={user},password={self.password}]")
        ]

    def door(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"


class SecuredRedis(RedisServer):
    """Takes TLS connections only; the user without a name may do nothing."""

    authority: Authority
    identity: Identity
    password: str

    async def prepare(self, program: Program) -> None:
        await super().prepare(program)
        users = ["user default off", f"user {ADMIN} on >{self.password} ~* &* +@all"]
        (self.folder / "users.acl").write_text("\n".join(users) + "\n")

    def settings(self) -> dict[str, str]:
        return super().settings() | {**self.tls_settings(), "aclfile": str(self.folder / "users.acl")}

    def tls_settings(self) -> dict[str, str]:
        return {
            "port": "0",
            "tls-port": str(self.ports["port"]),
            "tls-cert-file": str(self.identity.cert),
            "tls-key-file": str(self.identity.key),
            "tls-ca-cert-file": str(self.authority.file),
            "tls-auth-clients": "optional",
            "tls-replication": "yes",
        }

    def command(self, program: Program) -> list[str]:
        return super().command(_with_tls(program, self.folder))

    async def serves(self) -> bool:
        trusted = ssl.create_default_context(cafile=str(self.authority.file))
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["port"], ssl=trusted)
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith((b"+PONG", b"-NOAUTH"))
        finally:
            writer.close()

    def admin(self) -> Redis:
        return Redis(
            host="127.0.0.1",
            port=self.ports["port"],
            username=ADMIN,
            password=self.password,
            ssl=True,
            ssl_ca_certs=str(self.authority.file),
        )

    def url_of(self, user: str) -> str:
        return f"rediss://{user}:{quote(self.password, '')}@{self.address}/0"


class SecuredSentinel(SecuredRedis):
    """Watches the primary over TLS, and asks for a user of its own."""

    key = "sentinel"
    name = "Redis Sentinel"
    primary: SecuredRedis

    async def prepare(self, program: Program) -> None:
        await super().prepare(program)
        settings = {"bind": "127.0.0.1", "dir": str(self.folder), **self.tls_settings()}
        lines = [f"{name} {value}" for name, value in settings.items()]
        lines += [
            f"user {ADMIN} on >{self.password} ~* &* +@all",
            "user default off",
            f"sentinel monitor {WATCHED} 127.0.0.1 {self.primary.ports['port']} 1",
            f"sentinel auth-user {WATCHED} {ADMIN}",
            f"sentinel auth-pass {WATCHED} {self.primary.password}",
        ]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def command(self, program: Program) -> list[str]:
        path = _with_tls(program, self.folder).path
        return [str(path), str(self.folder / "sentinel.conf"), "--sentinel"]


def _with_tls(found: Program, folder: Path) -> Program:
    """A redis-server that knows TLS: the wheel's does not, and Debian's is in the package redis-tools."""
    if b"libssl" in found.path.read_bytes():
        return found
    debian = shutil.which("redis-check-rdb")
    if not debian or b"libssl" not in Path(debian).read_bytes():
        raise LocalEngineError("These tests need a redis-server with TLS: apt install redis-tools.")
    named = folder / "redis-server"  # by this name the same program is the server
    named.unlink(missing_ok=True)
    named.symlink_to(debian)
    return found._replace(path=named)


@dataclass(frozen=True)
class Secured:
    """The servers, each with an administrator; nobody else has a right at first."""

    authority: Authority
    client: Identity
    mongo: SecuredMongo
    kafka: SecuredKafka
    redis: SecuredRedis
    sentinel: SecuredSentinel
    password: str

    def environment(self, part: str) -> dict[str, str]:
        """The settings by which a part comes as its own user."""
        user = USERS.get(part, part)
        return {
            "RINGPOST_MONGO_URL": self.mongo.url_of(user),
            "RINGPOST_REDIS_URL": self.redis.url_of(user),
            "RINGPOST_REDIS_CA_FILE": str(self.authority.file),
            "RINGPOST_KAFKA_BOOTSTRAP": self.kafka.door("broker"),
            "RINGPOST_KAFKA_SECURITY": "SASL_SSL",
            "RINGPOST_KAFKA_SASL_MECHANISM": SCRAM,
            "RINGPOST_KAFKA_USERNAME": user,
            "RINGPOST_KAFKA_PASSWORD": self.password,
            "RINGPOST_KAFKA_CA_FILE": str(self.authority.file),
        }


@asynccontextmanager
async def secured_engines(folder: Path) -> AsyncIterator[Secured]:
    """All of them serve, started side by side; stopped however the block ends."""
    authority, password = Authority(folder / "tls"), f"p@s:s/w%r#d?{secrets.token_hex(4)}"
    kinds = (SecuredMongo, SecuredKafka, SecuredRedis, SecuredSentinel)
    servers = [kind(folder / kind.key, print) for kind in kinds]
    mongo, kafka, redis, sentinel = servers
    for server in servers:
        server.authority, server.password = authority, password
        server.identity = authority.sign(server.key)
    made = Secured(authority, authority.sign(ADMIN), mongo, kafka, redis, sentinel, password)
    sentinel.primary = redis
    async with AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.stop)
        async with asyncio.TaskGroup() as starting:
            for server in (mongo, kafka, redis):
                starting.create_task(server.start())
        await sentinel.start()
        await mongo.add_admin()
        yield made


@contextmanager
def owned_by_a_thread(folder: Path) -> Iterator[Secured]:
    """The same for tests that have an event loop each. The servers live as long as the thread."""
    started: Future[Secured] = Future()
    stopping = threading.Event()

    async def live() -> None:
        async with secured_engines(folder) as secured:
            started.set_result(secured)
            await asyncio.to_thread(stopping.wait)

    def own() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    owner = threading.Thread(target=own, name="secured engines")
    owner.start()
    try:
        yield started.result()
    finally:
        stopping.set()
        owner.join()
