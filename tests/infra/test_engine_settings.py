"""Settings of the engines that belong together, or contradict each other."""

from __future__ import annotations

import os

import pytest

from infra.settings import KafkaSettings, MongoSettings, RedisSettings, SettingsError
from infra.tls import TlsFiles

SASL = {"security": "sasl_plaintext", "sasl_mechanism": "PLAIN", "username": "me", "password": "hush"}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
        monkeypatch.delenv(name)


def test_security_and_mechanism_are_written_as_one_likes():
    made = KafkaSettings(bootstrap="h", **SASL | {"security": "SASL_SSL", "sasl_mechanism": "scram-sha-512"})
    assert (made.security, made.sasl_mechanism, made.tls) == ("sasl_ssl", "SCRAM-SHA-512", TlsFiles())
    assert KafkaSettings(bootstrap="h", **SASL).tls is None


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a/b", "c$", "a\\b", 'a"', "a\0", "a" * 64, "é" * 32])
def test_database_has_a_name_that_mongodb_takes(name):
    with pytest.raises(SettingsError, match=r"^RINGPOST_MONGO_DATABASE .*must be 1 to 63 bytes without"):
        MongoSettings(database=name)
    assert MongoSettings(database="a" * 63).database == "a" * 63


@pytest.mark.parametrize("missing", ["sasl_mechanism", "username", "password"])
def test_user_of_kafka_is_given_whole(missing):
    name = f"RINGPOST_KAFKA_{missing.upper()}"
    with pytest.raises(SettingsError, match=f"^RINGPOST_KAFKA_SECURITY is sasl_plaintext, so set {name} too"):
        KafkaSettings(bootstrap="h", **SASL | {missing: ""})
    with pytest.raises(SettingsError, match=f"^{name} is set, but RINGPOST_KAFKA_SECURITY is plaintext"):
        KafkaSettings(bootstrap="h", **{missing: SASL[missing]})


def test_security_of_kafka_needs_a_kafka():
    with pytest.raises(SettingsError, match="so set RINGPOST_KAFKA_BOOTSTRAP too"):
        KafkaSettings(security="ssl")


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize(
    "part, plain, instead",
    [
        (KafkaSettings, {"bootstrap": "h"}, "RINGPOST_KAFKA_SECURITY is plaintext"),
        (KafkaSettings, {"bootstrap": "h", **SASL}, "RINGPOST_KAFKA_SECURITY is sasl_plaintext"),
        (RedisSettings, {"url": "redis://h"}, "RINGPOST_REDIS_URL is not one of TLS"),
        (RedisSettings, {"url": "redis+sentinel://h/name"}, "RINGPOST_REDIS_URL is not one of TLS"),
    ],
)
def test_file_without_tls_is_refused(part, plain, instead, name):
    variable = part.variable(f"{name}_file")
    with pytest.raises(SettingsError, match=f"^{variable} is set, but {instead}"):
        part(**plain, **{f"{name}_file": __file__})


TLS = [(KafkaSettings, {"bootstrap": "h", "security": "ssl"}), (RedisSettings, {"url": "rediss://h"})]


@pytest.mark.parametrize("part, with_tls", TLS)
@pytest.mark.parametrize("name", ["cert", "key"])
def test_certificate_and_key_come_together(part, with_tls, name):
    with pytest.raises(SettingsError, match=r"CERT_FILE and RINGPOST_\w+_KEY_FILE both, or neither"):
        part(**with_tls, **{f"{name}_file": __file__})


@pytest.mark.parametrize("part, with_tls", TLS)
def test_file_that_cannot_be_used_is_named_with_its_variable(part, with_tls):
    ca = part.variable("ca_file")
    with pytest.raises(SettingsError, match=f"^{ca}: the file /nowhere/ca.pem cannot be read: No such file"):
        part(**with_tls, ca_file="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match=f"^{ca}: the file .* holds no certificate in the PEM format"):
        part(**with_tls, ca_file=__file__)
    with pytest.raises(SettingsError, match="are not a certificate and its key in the PEM format"):
        part(**with_tls, cert_file=__file__, key_file=__file__)


@pytest.mark.parametrize("name", ["sentinel_username", "sentinel_password"])
def test_user_of_the_sentinels_needs_sentinels(name):
    with pytest.raises(
        SettingsError, match=f"^RINGPOST_REDIS_{name.upper()} is set, but .* names no Sentinels"
    ):
        RedisSettings(url="redis://h", **{name: "x"})
    RedisSettings(url="redis+sentinel://h/name", **{name: "x"})
