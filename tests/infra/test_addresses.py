"""Which addresses are accepted, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.addresses import (
    Address,
    hosts_of,
    ip_networks,
    kafka_brokers,
    listen_host,
    mongo_url,
    page_origins,
    redis_url,
)

SECRET = "hush"


@pytest.mark.parametrize(
    "text, used",
    [
        ("", ""),
        ("kafka", "kafka"),
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("a:1, b.example.com:65535", "a:1,b.example.com:65535"),
        ("[::1]:9092,[fe80::1]", "[::1]:9092,[fe80::1]"),
        ("kafka_1.local.:9092", "kafka_1.local.:9092"),
    ],
)
def test_brokers_are_hosts_with_ports(text, used):
    assert kafka_brokers(text) == used


@pytest.mark.parametrize(
    "text, said",
    [
        ("127.0.0.1:x", '"x" is no port'),
        ("127.0.0.1:", '"" is no port'),
        ("a:0", '"0" is no port'),
        ("a:65536", '"65536" is no port'),
        ("a:-1", '"-1" is no port'),
        ("a:9092,", "a comma is too many"),
        (",", "a comma is too many"),
        ("a:9092 b:9092", "commas separate"),
        ("::1:9092", "needs brackets"),
        ("[::1:9092", "in brackets"),
        ("[::1]9092", "in brackets"),
        ("[localhost]:9092", "is no name of a host"),
        ("1.2.3.400:9092", "is no name of a host"),
        ("-a:1", "is no name of a host"),
        ("a..b:1", "is no name of a host"),
        (":9092", '"" is no name of a host'),
        ("u:hush@h:9092", "RINGPOST_KAFKA_PASSWORD"),
        ("SASL_SSL://a:9092", "RINGPOST_KAFKA_SECURITY"),
    ],
)
def test_wrong_broker_is_told_by_its_wrong_piece(text, said):
    with pytest.raises(ValueError, match=r"host:9092,host:9092|needs brackets") as refused:
        kafka_brokers(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "mongodb://a",
        "mongodb://a:1,b:2,[::1]:3/?replicaSet=rs0",
        "mongodb://me:p%40ss%2Fword@a/admin?tls=true&tlsCAFile=/etc/ca.pem",
        "mongodb+srv://me:secret@cluster.example.com/?w=majority",
        "mongodb://a/?appName=x@y",
    ],
)
def test_mongo_urls_that_are_used_as_they_are(text):
    assert mongo_url(f" {text}\n") == text


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:27017",
        "http://a",
        "mongodb://",
        "mongodb://a:port",
        "mongodb://a,,b",
        "mongodb://a,b,/?replicaSet=rs0",
        "mongodb+srv://a:27017",
        "mongodb+srv://a,b",
        f"mongodb://me:{SECRET}@",
        f"mongodb://me:{SECRET}/{SECRET}@a",
        f"mongodb://me:{SECRET}#{SECRET}@a:27017",
        f"mongodb://me:{SECRET}%zz@a",
        f"mongodb://me:{SECRET}\u2100@a",
        f"mongodb://me:{SECRET}\udcff@a",
        f"mongodb://me:{SECRET}@{SECRET}@a",
        f"mongodb://me:{SECRET}:{SECRET}@a",
        f"mongodb://:{SECRET}@a",
        "mongodb://[::1",
    ],
)
def test_wrong_mongo_url_is_refused_without_its_password(text):
    with pytest.raises(ValueError, match=r"mongodb(\+srv)?://|%40") as refused:
        mongo_url(text)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "redis://a",
        "redis://a:1/0",
        "redis://a/",
        "rediss://me:p%40ss@[::1]:6380/15",
        "redis://:p@ss@a:1",
        "redis://a?db=3",
        "unix:///run/redis.sock?db=1",
        "redis+sentinel://a,b:2/mymaster",
        "rediss+sentinel://me:secret@a:1,[::1]:2/mymaster/3",
    ],
)
def test_redis_urls_that_are_used_as_they_are(text):
    assert redis_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "a:6379",
        "http://a",
        "redis://",
        "redis://a/abc",
        "redis://a/0/1",
        "redis://a/-1",
        "redis://a:x/0",
        "redis://a:6379,/0",
        "redis://a,b/0",
        "redis+sentinel://a",
        "redis+sentinel://a/",
        "redis+sentinel://a/name/x",
        "redis+sentinel://a,,b/name",
        f"redis://:{SECRET}#@a",
        f"redis://:{SECRET}/1@a/0",
        f"redis://me:{SECRET}/1@a/0",
        f"redis://:100%{SECRET}@a",
        f"redis://me:{SECRET}\uff1a@a",
        f"redis://me:[{SECRET}@a",
        f"redis://me:1/{SECRET}@a",
        f"redis://me:1?{SECRET}@a",
        "redis://[::1",
        "redis://a?db=x",
    ],
)
def test_wrong_redis_url_is_refused_without_its_password(text):
    with pytest.raises(ValueError, match=r"redis://|%40") as refused:
        redis_url(text)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ("redis://me:hush@a/0?foo=bar", 'an option that does not exist: "foo"; `?db=` is the only one'),
        ("rediss://a?db=1&ssl_cert_reqs=none", '"ssl_cert_reqs"'),
        ("redis://a?protocol=3", '"protocol"'),
        ("unix:///run/redis.sock?foo=1", '"foo"'),
        ("redis+sentinel://a/name?db=1", '"db"; there is none'),
    ],
)
def test_option_of_a_redis_url_that_does_not_exist_is_named(text, said):
    with pytest.raises(ValueError, match=r"^must be .* it has an option") as refused:
        redis_url(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "check, address",
    [
        (kafka_brokers, "u:{}@h:9092"),
        (kafka_brokers, "SASL_SSL://u:{}@h:9092"),
        (mongo_url, "mongodb://u:{}@h:1/?replicaSet=rs0"),
        (mongo_url, "mongodb+srv://u:{}@h/"),
        (mongo_url, "mongo://u:{}@h"),
        (redis_url, "redis://u:{}@h:1/0"),
        (redis_url, "redis://u:{}@h/x"),
        (redis_url, "rediss://:{}@h?foo=1"),
        (redis_url, "unix://u:{}@/run/redis.sock"),
        (redis_url, "redis+sentinel://u:{}@h,i/name"),
        (listen_host, "u:{}@h"),
        (ip_networks, "10.0.0.1,u:{}@h"),
        (page_origins, "https://u:{}@h"),
    ],
)
@given(st.text(max_size=8), st.text(max_size=8))
@example("1/", "")
@example("1?", "=")
@example("1,", ",")
@example("", "\u2100")
def test_no_password_is_in_a_sentence(check, address, before, after):
    text = address.format(f"{before}{SECRET}{after}")
    said = ""
    try:
        check(text)
        hosts_of(text)
    except ValueError as error:
        said = str(error)
    assert SECRET not in said
    assert "NFKC" not in said


@pytest.mark.parametrize("text, used", [("0.0.0.0", "0.0.0.0"), ("[::]", "::"), ("localhost", "localhost")])
def test_process_listens_on_a_host(text, used):
    assert listen_host(text) == used


@pytest.mark.parametrize("text", ["", "http://a", "127.0.0.1:8080", "256.0.0.1", "a b", "*"])
def test_what_is_no_host_is_not_listened_on(text):
    with pytest.raises(ValueError, match=r"127\.0\.0\.1"):
        listen_host(text)


def test_hosts_are_known_of_every_address_that_names_them():
    assert hosts_of("a:1,b") == [Address("a", 1), Address("b", 9092)]
    assert hosts_of("mongodb://me:p%40@a,b:2/x?y=1") == [Address("a", 27017), Address("b", 2)]
    assert hosts_of("rediss://a/0") == [Address("a", 6379)]
    assert hosts_of("rediss+sentinel://:x@a,[::1]:2/name") == [Address("a", 26379), Address("::1", 2)]
    assert hosts_of("mongodb+srv://a/") == hosts_of("unix:///x") == hosts_of("") == []
