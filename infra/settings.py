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
    url: str = Field("", description="MongoDB, a replica set or sharded cluster: `mongodb://…`.")
    database: str = Field("ringpost", description="The database in it.")
    driver: Literal["motor", "pymongo"] = Field(
        "motor", description="Motor, or PyMongo's own asyncio client."
    )
    timeout_s: float = Field(5.0, gt=0, description="The most one operation may take, retries included.")


class KafkaSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_KAFKA_")
    bootstrap: str = Field("", description="Kafka brokers: `host:port,host:port`.")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="Put before topics and groups.")
    partitions: int = Field(32, ge=1, le=1024, description="Partitions of each topic; fixed at creation.")
    replication: int = Field(1, ge=1, description="Copies of each partition, at creation; 3 in production.")
    retention_h: int = Field(168, ge=1, description="Hours that topics are kept, at creation.")
    confirm_s: float = Field(
        5.0, gt=0, description="A record that Kafka has not confirmed within it is published anew."
    )


class RedisSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_REDIS_")
    url: str = Field(
        "",
        description="Redis: `redis://…`, or `redis+sentinel://[:password@]host:26379,host:26379/name[/db]`.",
    )
    key_prefix: str = Field("rp:", pattern=r"^[^{}]*$", description="Put before keys and channels.")
    timeout_s: float = Field(2.0, gt=0, description="The most one command may take.")


class RingSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_RING_")
    capacity: int = Field(1000, ge=1, le=100_000, description="Entries that a user's ring holds.")
    idle_ttl_s: int = Field(
        604_800, ge=1, description="A ring neither written nor read for so long goes away."
    )


class HttpSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_HTTP_")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    max_request_bytes: int = Field(65_536, ge=1024, description="The largest request body or frame.")


class GatewaySettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_GATEWAY_")
    heartbeat_s: float = Field(20.0, gt=0, description="Seconds between heartbeats to a socket.")
    pong_timeout_s: float = Field(
        20.0, gt=0, description="A WebSocket ping unanswered so long: closed (4002)."
    )
    hello_timeout_s: float = Field(10.0, gt=0, description="The first frame must come within it (4503).")
    queue_bytes: int = Field(
        1_048_576, ge=1024, description="Unsent bytes for a socket before it is slow (4001)."
    )
    presence_ttl_s: float = Field(45.0, gt=0, description="A device's presence lasts so long unless renewed.")


class SendSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_SEND_")
    batch: int = Field(256, ge=1, le=1000, description="The most messages of one group commit.")
    in_flight: int = Field(2, ge=1, le=64, description="Group commits under way at once.")
    waiting: int = Field(5000, ge=1, description="Sends that may wait for a commit; more get `overloaded`.")
    queue_s: float = Field(
        2.0, gt=0, description="A send that would wait longer for its commit gets `overloaded`."
    )
    deadline_s: float = Field(10.0, gt=0, description="A send not answered within it gets `unavailable`.")
    group_members: int = Field(1000, ge=2, description="The most members of a group.")


class OutboxSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_OUTBOX_")
    lease_s: float = Field(
        15.0, gt=0, description="A silent process loses its outbox rows to the relay after it."
    )
    scan_s: float = Field(2.0, gt=0, description="Seconds between two looks of relay and barrier.")
    batch: int = Field(200, ge=1, description="Rows that the relay takes at once.")
    rows: int = Field(1_000_000, ge=1, description="Rows of the outbox beyond which sends get `overloaded`.")


class WorkerSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_WORKER_")
    batch: int = Field(500, ge=1, description="The most records of one step.")
    in_flight: int = Field(2000, ge=1, description="Records unfinished at once before reading pauses.")
    commit_s: float = Field(1.0, gt=0, description="Seconds between offset commits.")
    session_s: float = Field(10.0, ge=1, description="A consumer silent for so long loses its partitions.")
    stall_s: float = Field(
        60.0, gt=0, description="A worker that gets nowhere for so long, with work to do, ends itself."
    )
    host: str = Field("127.0.0.1", description="Where a worker serves /metrics and /health.")
    port: int = Field(0, ge=0, le=65535, description="The port for it; 0 takes a free one and logs it.")


class LogSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_LOG_")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level written."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, else JSON."
    )


class DebugSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_DEBUG_")
    crash_at: str = Field("", description="For tests: the process dies at this point (`infra/crash.py`).")


class AuthSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_")
    admin_key: SecretStr = Field(
        SecretStr(""), description="For users and tokens; made at first start if absent."
    )
    token_key: SecretStr = Field(SecretStr(""), description="Signs tokens; made at first start if absent.")
    token_algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", description="How tokens are signed.")
    token_ttl_s: int = Field(2_592_000, ge=1, description="A token's life when the request names none.")
    data_dir: Path = Field(
        Path("ringpost-data"), description="Generated keys and embedded engines live here."
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
