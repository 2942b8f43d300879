"""Every setting, with its default and a sentence: environment `RINGPOST_…`, else a TOML file, else default.

Read once at start by `load_settings`; passed on by part. A part's variables share its prefix:
`RingSettings.capacity` is `RINGPOST_RING_CAPACITY`, in the file `capacity` in the table `[ring]`.
"""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from domain.limits import MOST_MEMBERS
from infra.addresses import ip_networks, listen_host, page_origins
from infra.engine_settings import KafkaSettings, MongoSettings, RedisSettings
from infra.environment import SettingsError, nearest, refuse_unknown
from infra.part import Part

__all__ = ["KafkaSettings", "MongoSettings", "RedisSettings", "SettingsError"]  # and what is defined here


CENTURY_S = 3_155_760_000
LEAST_ADMIN_KEY = 16
LEAST_TOKEN_KEY = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Bytes that each algorithm needs in its key."""


def _folder(path: Path) -> Path:
    if path == Path() or "\0" in str(path):
        raise ValueError("must be the path of a folder")
    with suppress(OSError):  # what cannot be looked at is said by those who use it
        if path.exists() and not path.is_dir():
            raise ValueError(f'must be the path of a folder, and "{path}" is none')
    return path


class RingSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_RING_")
    capacity: int = Field(1000, ge=1, le=100_000, description="The most entries in a user's ring.")
    idle_ttl_s: int = Field(
        604_800, ge=1, le=CENTURY_S, description="Seconds that a ring stays after its last read or write."
    )


class MessageSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_MESSAGE_")
    edit_within_s: int = Field(
        86_400, ge=0, le=CENTURY_S, description="Seconds within which a sender may edit a message."
    )
    recall_within_s: int = Field(
        86_400,
        ge=0,
        le=CENTURY_S,
        description="Seconds within which a sender may recall a message. Admins and the owner of a group may "
        "at any time.",
    )


class HttpSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_HTTP_")
    host: Annotated[str, AfterValidator(listen_host)] = Field(
        "127.0.0.1", description="The address on which the API listens."
    )
    port: int = Field(
        8080, ge=0, le=65535, description="The port on which the API listens. 0 takes a free one."
    )
    trusted_proxies: Annotated[str, AfterValidator(ip_networks)] = Field(
        "",
        description="The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses or "
        "networks, separated by commas. None by default.",
    )
    origins: Annotated[str, AfterValidator(page_origins)] = Field(
        "",
        description="The origins whose web pages may call the API (CORS), separated by commas. `*` is all. "
        "None by default.",
    )
    admin_host: Annotated[str, AfterValidator(listen_host)] = Field(
        "127.0.0.1", description="The address of the admin port, if there is one."
    )
    admin_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="The port for `/metrics` and calls with the admin key. Then the other port has neither. "
        "0 serves them on the same port.",
    )

    @model_validator(mode="after")
    def _two_addresses(self) -> Self:
        hosts = {self.host, self.admin_host}
        if (
            self.admin_port
            and self.admin_port == self.port
            and (len(hosts) == 1 or hosts & {"0.0.0.0", "::"})
        ):
            raise ValueError(
                f"RINGPOST_HTTP_ADMIN_PORT and RINGPOST_HTTP_PORT are both {self.port}: set two that differ."
            )
        return self


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
    user_sockets: int = Field(
        100,
        ge=1,
        description="The most sockets of one user on one gateway. "
        "One more gets `overloaded`, and is closed (4000).",
    )
    user_polls: int = Field(
        32,
        ge=1,
        description="The most polls of one user that wait on one gateway. One more gets `overloaded`.",
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
    group_members: int = Field(1000, ge=2, le=MOST_MEMBERS, description="The most members of a group.")


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
    batch: int = Field(
        500, ge=1, description="The most messages in one step of a worker, but one record at least."
    )
    in_flight: int = Field(
        2000, ge=1, description="The most unfinished messages of a worker. With more, it pauses reading."
    )
    commit_s: float = Field(1.0, gt=0, description="Seconds between two commits of the worker's offsets.")
    session_s: float = Field(
        10.0,
        ge=1,
        description="Seconds that a worker may be silent. Then Kafka gives its partitions to another.",
    )
    instance: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,100}$",
        description="The name of this worker's slot, which no other running worker has. A worker that is "
        "started again with the name of one that was killed takes up its partitions at once. A worker with a "
        "name keeps its partitions for `RINGPOST_WORKER_SESSION_S` after its end. Empty: no name.",
        json_schema_extra={"form": "up to 100 letters, digits, `.`, `_` and `-`"},
    )
    stall_s: float = Field(
        60.0,
        gt=0,
        description="Seconds that a worker with work to do may make no progress. Then it ends itself.",
    )
    lag_s: float = Field(
        10.0, gt=0, description="Seconds between two looks of the relay at how far the workers are behind."
    )
    host: Annotated[str, AfterValidator(listen_host)] = Field(
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
        description="The key for calls about users and tokens, 16 bytes or more. "
        "The first start makes one if there is none.",
    )
    token_key: SecretStr = Field(
        SecretStr(""),
        description="The key that signs tokens: 32 bytes or more, 48 for HS384, 64 for HS512. "
        "The first start makes one if there is none.",
    )
    token_algorithm: Literal["HS256", "HS384", "HS512"] = Field(
        "HS256", description="The algorithm that signs tokens."
    )
    token_ttl_s: int = Field(
        2_592_000,
        ge=1,
        le=CENTURY_S,
        description="Seconds that a token is valid if its request names no other time.",
    )
    data_dir: Annotated[Path, AfterValidator(_folder)] = Field(
        Path("ringpost-data"),
        description="The folder for generated keys and for the data of embedded engines.",
    )

    @model_validator(mode="after")
    def _keys_are_strong(self) -> Self:
        admin, token = self.admin_key.get_secret_value(), self.token_key.get_secret_value()
        if admin and len(_bytes(admin)) < LEAST_ADMIN_KEY:
            raise ValueError(f"RINGPOST_ADMIN_KEY must have {LEAST_ADMIN_KEY} bytes or more.")
        least = LEAST_TOKEN_KEY[self.token_algorithm]
        if token and len(_bytes(token)) < least:
            raise ValueError(
                f"RINGPOST_TOKEN_KEY must have {least} bytes or more, as {self.token_algorithm} needs it."
            )
        if admin and admin == token:
            raise ValueError("RINGPOST_ADMIN_KEY and RINGPOST_TOKEN_KEY must be two different keys.")
        return self


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


PARTS: dict[str, type[Part]] = {
    "auth": AuthSettings,
    "http": HttpSettings,
    "mongo": MongoSettings,
    "kafka": KafkaSettings,
    "redis": RedisSettings,
    "ring": RingSettings,
    "message": MessageSettings,
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
    message: MessageSettings
    send: SendSettings
    outbox: OutboxSettings
    gateway: GatewaySettings
    worker: WorkerSettings
    log: LogSettings
    debug: DebugSettings

    def __init__(self, tables: dict[str, dict[str, Any]]) -> None:
        for name, table in tables.items():
            if name not in PARTS:
                question = nearest(name, list(PARTS))
                raise SettingsError(f"There is no table [{name}] in the settings file.{question}")
            if not isinstance(table, dict):
                raise SettingsError(f"[{name}] in the settings file must be a table.")
        for name, part in PARTS.items():
            setattr(self, name, part(**tables.get(name, {})))

    def need_engines(self, *names: str) -> None:
        """SettingsError that names the variables of those engines, or of any, that have no address."""
        given = {
            "mongo": ("RINGPOST_MONGO_URL", self.mongo.url),
            "kafka": ("RINGPOST_KAFKA_BOOTSTRAP", self.kafka.bootstrap),
            "redis": ("RINGPOST_REDIS_URL", self.redis.url),
        }
        if missing := [given[name][0] for name in names or given if not given[name][1]]:
            them = "them" if len(missing) > 1 else "it"
            named = ", ".join(missing)
            raise SettingsError(
                f"Set {named}. Without {them} only `ringpost up` runs: it brings its own engines."
            )


def load_settings() -> Settings:
    """Read the environment and the file that `RINGPOST_CONFIG` names; SettingsError says what is wrong."""
    refuse_unknown([variable for part in PARTS.values() for variable in part.variables()])
    path = os.environ.get("RINGPOST_CONFIG")
    if not path:
        return Settings({})
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"RINGPOST_CONFIG names {path}, which cannot be read: {error.strerror}."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The settings file {path} is no TOML: {error}.") from None
    return Settings(tables)
