"""The settings of MongoDB, Kafka and Redis: where they are, and how a client proves who it is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from infra.addresses import kafka_brokers, mongo_url, redis_url
from infra.part import Part
from infra.tls import TlsFiles, tls_context

_NOT_IN_A_DATABASE = frozenset('/\\."$*<>:|? \0')


def database_name(text: str) -> str:
    """ValueError that continues a sentence, unless MongoDB takes the name on every system."""
    if not text or len(text.encode("utf-8", "replace")) > 63 or _NOT_IN_A_DATABASE & set(text):
        raise ValueError('must be 1 to 63 bytes without a space and without any of `/\\."$*<>:|?`')
    return text


class MongoSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_MONGO_")
    url: Annotated[str, AfterValidator(mongo_url)] = Field(
        "",
        repr=False,
        description="The address of MongoDB, a replica set or a sharded cluster: `mongodb://…`.",
    )
    database: Annotated[str, AfterValidator(database_name)] = Field(
        "ringpost", description="The name of the database."
    )
    driver: Literal["motor", "pymongo"] = Field(
        "motor", description="The driver: `motor`, or `pymongo` for the asyncio client of PyMongo."
    )
    timeout_s: float = Field(5.0, gt=0, description="Seconds that one operation may take, with its retries.")


class KafkaSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_KAFKA_")
    bootstrap: Annotated[str, AfterValidator(kafka_brokers)] = Field(
        "", description="The addresses of the Kafka brokers: `host:port,host:port`."
    )
    security: Annotated[
        Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"],
        BeforeValidator(lambda text: str(text).lower()),
    ] = Field(
        "plaintext",
        description="The way clients connect: `plaintext`, `ssl` (TLS), `sasl_plaintext` (with a user), "
        "or `sasl_ssl` (TLS and a user).",
    )
    sasl_mechanism: Annotated[
        Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        BeforeValidator(lambda text: str(text).upper()),
    ] = Field("", description="The way the user signs in: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.")
    username: str = Field("", description="The name of the Kafka user, with SASL.")
    password: SecretStr = Field(SecretStr(""), description="The password of the Kafka user, with SASL.")
    ca_file: str = Field(
        "",
        description="The PEM file with the authorities that sign the brokers' certificates. "
        "Without it, those of the system.",
    )
    cert_file: str = Field(
        "", description="The PEM file with the client's certificate, if brokers ask for one."
    )
    key_file: str = Field("", description="The PEM file with the key of that certificate.")
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="The text that begins the names of topics and consumer groups.",
        json_schema_extra={"form": "letters, digits, `.`, `_` and `-`"},
    )
    partitions: int = Field(
        8,
        ge=1,
        le=1024,
        description="Partitions of each topic. The number is fixed when the topic is created.",
    )
    replication: int = Field(
        1,
        ge=1,
        le=32_767,
        description="Copies of each partition when a topic is created. Use 3 in production.",
    )
    retention_h: int = Field(
        168,
        ge=1,
        le=876_600,
        description="Hours that a topic keeps its records. The number is set when the topic is created.",
    )
    confirm_s: float = Field(
        5.0,
        gt=0,
        description="Seconds that Kafka may take to confirm a record. Then the relay publishes it again.",
    )

    @property
    def tls(self) -> TlsFiles | None:
        """None: the connection is not encrypted."""
        return TlsFiles(self.ca_file, self.cert_file, self.key_file) if "ssl" in self.security else None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.security != "plaintext" and not self.bootstrap:
            raise ValueError(
                f"RINGPOST_KAFKA_SECURITY is {self.security}, so set RINGPOST_KAFKA_BOOTSTRAP too: "
                "the embedded Kafka knows neither TLS nor users."
            )
        signing_in = {
            "RINGPOST_KAFKA_SASL_MECHANISM": self.sasl_mechanism,
            "RINGPOST_KAFKA_USERNAME": self.username,
            "RINGPOST_KAFKA_PASSWORD": self.password.get_secret_value(),
        }
        sasl = self.security.startswith("sasl")
        if sasl and (missing := [name for name, value in signing_in.items() if not value]):
            raise ValueError(f"RINGPOST_KAFKA_SECURITY is {self.security}, so set {', '.join(missing)} too.")
        if not sasl and (given := [name for name, value in signing_in.items() if value]):
            raise ValueError(
                f"{given[0]} is set, but RINGPOST_KAFKA_SECURITY is {self.security}: "
                "set that to sasl_ssl, or to sasl_plaintext without TLS."
            )
        _check_files(
            "RINGPOST_KAFKA",
            TlsFiles(self.ca_file, self.cert_file, self.key_file),
            "" if self.tls else f"RINGPOST_KAFKA_SECURITY is {self.security}: set that to ssl or sasl_ssl",
        )
        return self


class RedisSettings(Part):
    model_config = SettingsConfigDict(env_prefix="RINGPOST_REDIS_")
    url: Annotated[str, AfterValidator(redis_url)] = Field(
        "",
        repr=False,
        description="The address of Redis: `redis://…`, or "
        "`redis+sentinel://[user:password@]host:26379,host:26379/name[/db]`. With TLS: `rediss`.",
    )
    ca_file: str = Field(
        "",
        description="The PEM file with the authorities that sign the certificates of Redis and Sentinel. "
        "Without it, those of the system.",
    )
    cert_file: str = Field(
        "", description="The PEM file with the client's certificate, if Redis asks for one."
    )
    key_file: str = Field("", description="The PEM file with the key of that certificate.")
    sentinel_username: str = Field(
        "", description="The name of the user at the Sentinels, if they ask for one."
    )
    sentinel_password: SecretStr = Field(
        SecretStr(""), description="The password at the Sentinels, if they ask for one."
    )
    key_prefix: str = Field(
        "rp:",
        pattern=r"^[^{}]*$",
        description="The text that begins the names of keys and channels.",
        json_schema_extra={"form": "a text without `{` and `}`"},
    )
    timeout_s: float = Field(
        1.0,
        gt=0,
        description="Seconds for which Redis may say nothing to open commands. Then it counts as away.",
    )

    @property
    def tls(self) -> TlsFiles | None:
        """None: the connection is not encrypted."""
        given = TlsFiles(self.ca_file, self.cert_file, self.key_file)
        return given if self.url.startswith("rediss") else None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        given = TlsFiles(self.ca_file, self.cert_file, self.key_file)
        plain = "RINGPOST_REDIS_URL is not one of TLS: begin it with rediss:// or rediss+sentinel://"
        _check_files("RINGPOST_REDIS", given, "" if self.tls else plain)
        if "+sentinel://" in self.url:
            return self
        for name in ("sentinel_username", "sentinel_password"):
            if str(getattr(self, name)):
                raise ValueError(f"{self.variable(name)} is set, but RINGPOST_REDIS_URL names no Sentinels.")
        return self


def _check_files(prefix: str, files: TlsFiles, instead: str) -> None:
    """ValueError, a whole sentence, if they contradict each other or cannot be used."""
    given = [f"{prefix}_{name.upper()}_FILE" for name, path in files._asdict().items() if path]
    if not given:
        return
    if instead:
        raise ValueError(f"{given[0]} is set, but {instead}.")
    if bool(files.cert) != bool(files.key):
        raise ValueError(f"Set {prefix}_CERT_FILE and {prefix}_KEY_FILE both, or neither.")
    try:
        tls_context(files)
    except ValueError as error:
        raise ValueError(f"{', '.join(given)}: {error}.") from None
