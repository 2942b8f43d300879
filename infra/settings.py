"""Every setting, with its default and a sentence: environment `RINGPOST_…`, else a TOML file, else default.

Read once at start by `load_settings`; passed on by part. A part's variables share its prefix:
`RingSettings.capacity` is `RINGPOST_RING_CAPACITY`, in the file `capacity` in the table `[ring]`.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which and what to do."""


class Part(BaseSettings):
    """One frozen group of settings. The environment wins over the file."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


class MongoSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_MONGO_")
    url: str = Field(
        "", description="The address of MongoDB, a replica set or a sharded cluster: `mongodb://…`."
    )
    database: str = Field("ringpost", description="The name of the database.")
    driver: Literal["motor", "pymongo"] = Field(
        "motor", description="The driver: `motor`, or `pymongo` for the asyncio client of PyMongo."
    )
    timeout_s: float = Field(5.0, gt=0, description="Seconds that one operation may take, with its retries.")


class KafkaSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_KAFKA_")
    bootstrap: str = Field("", description="The addresses of the Kafka brokers: `host:port,host:port`.")
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="The text that begins the names of topics and consumer groups.",
    )
    partitions: int = Field(
        32,
        ge=1,
        le=1024,
        description="Partitions of each topic. The number is fixed when the topic is created.",
    )
    replication: int = Field(
        1, ge=1, description="Copies of each partition when a topic is created. Use 3 in production."
    )
    retention_h: int = Field(
        168,
        ge=1,
        description="Hours that a topic keeps its records. The number is set when the topic is created.",
    )
    confirm_s: float = Field(
        5.0,
        gt=0,
        description="Seconds that Kafka may take to confirm a record. Then the relay publishes it again.",
    )


class RedisSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_REDIS_")
    url: str = Field(
        "",
        description="The address of Redis: `redis://…`, or `redis+sentinel://[:password@]host:26379,host:26379/name[/db]`.",
    )
    key_prefix: str = Field(
        "rp:", pattern=r"^[^{}]*$", description="The text that begins the names of keys and channels."
    )
    timeout_s: float = Field(2.0, gt=0, description="Seconds that one command may take.")


class RingSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_RING_")
    capacity: int = Field(1000, ge=1, le=100_000, description="The most entries in a user's ring.")
    idle_ttl_s: int = Field(
        604_800, ge=1, description="Seconds that a ring stays after its last read or write."
    )


class HttpSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_HTTP_")
    host: str = Field("127.0.0.1", description="The address on which the API listens.")
    port: int = Field(
        8080, ge=0, le=65535, description="The port on which the API listens. 0 takes a free one."
    )
    max_request_bytes: int = Field(
        65_536, ge=1024, description="The most bytes in a request body or a frame."
    )


class GatewaySettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_GATEWAY_")
    heartbeat_s: float = Field(20.0, gt=0, description="Seconds between two heartbeats to a socket.")
    pong_timeout_s: float = Field(
        20.0,
        gt=0,
        description="Seconds that a device may take to answer a ping. Then its socket is closed (4002).",
    )
    hello_timeout_s: float = Field(
        10.0,
        gt=0,
        description="Seconds that a device may take for its first frame. Then its socket is closed (4503).",
    )
    queue_bytes: int = Field(
        1_048_576,
        ge=1024,
        description="The most unsent bytes for one socket. A socket with more is closed as slow (4001).",
    )
    presence_ttl_s: float = Field(
        45.0, gt=0, description="Seconds that a device counts as online unless its gateway renews this."
    )


class SendSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_SEND_")
    batch: int = Field(256, ge=1, le=1000, description="The most messages in one group commit.")
    in_flight: int = Field(
        2, ge=1, le=64, description="The most group commits that one process runs at the same time."
    )
    waiting: int = Field(
        5000, ge=1, description="The most sends that wait for a commit. Further sends get `overloaded`."
    )
    queue_s: float = Field(
        2.0, gt=0, description="Seconds that a send may wait for its commit. Then it gets `overloaded`."
    )
    deadline_s: float = Field(
        10.0, gt=0, description="Seconds that a send may take in all. Then it gets `unavailable`."
    )
    group_members: int = Field(1000, ge=2, description="The most members of a group.")


class OutboxSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_OUTBOX_")
    lease_s: float = Field(
        15.0,
        gt=0,
        description="Seconds that a silent process keeps its outbox rows. Then the relay takes them.",
    )
    scan_s: float = Field(
        2.0, gt=0, description="Seconds between two looks at the outbox, by the relay and by the barrier."
    )
    batch: int = Field(200, ge=1, description="The most outbox rows that the relay takes at once.")
    rows: int = Field(
        1_000_000, ge=1, description="The most rows in the outbox. With more rows, sends get `overloaded`."
    )


class WorkerSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_WORKER_")
    batch: int = Field(500, ge=1, description="The most records in one step of a worker.")
    in_flight: int = Field(
        2000, ge=1, description="The most unfinished records of a worker. With more, it pauses reading."
    )
    commit_s: float = Field(1.0, gt=0, description="Seconds between two commits of the worker's offsets.")
    session_s: float = Field(
        10.0,
        ge=1,
        description="Seconds that a worker may be silent. Then Kafka gives its partitions to another.",
    )
    stall_s: float = Field(
        60.0,
        gt=0,
        description="Seconds that a worker with work to do may make no progress. Then it ends itself.",
    )
    host: str = Field(
        "127.0.0.1", description="The address on which a worker serves `/metrics` and `/health`."
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The port on which a worker serves both. 0 takes a free one, and the log names it.",
    )


class LogSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_LOG_")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is written."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="The form of the log: `auto` is text on a terminal and JSON elsewhere."
    )


class DebugSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_DEBUG_")
    crash_at: str = Field(
        "", description="The point at which the process ends itself, for tests (`infra/crash.py`)."
    )


class AuthSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_")
    admin_key: SecretStr = Field(
        SecretStr(""),
        description="The key for calls about users and tokens. The first start makes one if there is none.",
    )
    token_key: SecretStr = Field(
        SecretStr(""), description="The key that signs tokens. The first start makes one if there is none."
    )
    token_algorithm: Literal["HS256", "HS384", "HS512"] = Field(
        "HS256", description="The algorithm that signs tokens."
    )
    token_ttl_s: int = Field(
        2_592_000, ge=1, description="Seconds that a token is valid if its request names no other time."
    )
    data_dir: Path = Field(
        Path("ringpost-data"),
        description="The folder for generated keys and for the data of embedded engines.",
    )


PARTS: dict[str, type[Part]] = {
    "auth": AuthSettings,
    "http": HttpSettings,
    "mongo": MongoSettings,
    "kafka": KafkaSettings,
    "redis": RedisSettings,
    "ring": RingSettings,
    "send": SendSettings,
    "outbox": OutboxSettings,
    "gateway": GatewaySettings,
    "worker": WorkerSettings,
    "log": LogSettings,
    "debug": DebugSettings,
}


class Settings:
    """All parts, one attribute each."""

    auth: AuthSettings
    http: HttpSettings
    mongo: MongoSettings
    kafka: KafkaSettings
    redis: RedisSettings
    ring: RingSettings
    send: SendSettings
    outbox: OutboxSettings
    gateway: GatewaySettings
    worker: WorkerSettings
    log: LogSettings
    debug: DebugSettings

    def __init__(self, tables: dict[str, dict[str, Any]]) -> None:
        unknown = set(tables) - set(PARTS)
        if unknown:
            raise SettingsError(f"Unknown table [{unknown.pop()}] in the settings file.")
        for name, part in PARTS.items():
            if not isinstance(tables.get(name, {}), dict):
                raise SettingsError(f"[{name}] in the settings file must be a table.")
            try:
                setattr(self, name, part(**tables.get(name, {})))
            except ValidationError as error:
                raise SettingsError(_sentence(part, error)) from None

    def need_engines(self) -> None:
        """SettingsError that names the variables of those engines that have no URL."""
        given = {
            "RINGPOST_MONGO_URL": self.mongo.url,
            "RINGPOST_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "RINGPOST_REDIS_URL": self.redis.url,
        }
        if missing := [name for name, value in given.items() if not value]:
            raise SettingsError(
                f"Set {', '.join(missing)}. Without them only `ringpost up` runs: it brings its own engines."
            )


def load_settings() -> Settings:
    """Read the environment and the file that `RINGPOST_CONFIG` names; SettingsError says what is wrong."""
    path = os.environ.get("RINGPOST_CONFIG")
    if not path:
        return Settings({})
    try:
        return Settings(tomllib.loads(Path(path).read_text()))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The settings file {path} cannot be read: {error}.") from None


def _sentence(part: type[Part], error: ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    name = part.model_config.get("env_prefix", "") + "_".join(str(place) for place in first["loc"]).upper()
    return f"{name}: {first['msg']}."
