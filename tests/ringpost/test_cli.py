"""The commands, as someone types them, against a running Ringpost."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from tests.docs.running import ADMIN_KEY, ROOT, Running, running
from tests.patience import PATIENCE_S

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def name() -> str:
    return f"t{secrets.token_hex(5)}"


@pytest.fixture(scope="module")
def ringpost(engines, name, tmp_path_factory) -> Iterator[Running]:
    with running(engines, name, tmp_path_factory.mktemp("cli")) as ringpost:
        yield ringpost


@pytest.fixture(scope="module")
def environment(engines, name, ringpost, tmp_path_factory) -> dict[str, str]:
    """What someone has set who uses this Ringpost."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RINGPOST_")}
    return kept | {
        "RINGPOST_URL": ringpost.url,
        "RINGPOST_ADMIN_KEY": ADMIN_KEY,
        "RINGPOST_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "RINGPOST_MONGO_URL": engines.mongo_url,
        "RINGPOST_MONGO_DATABASE": name,
        "RINGPOST_KAFKA_BOOTSTRAP": engines.kafka_bootstrap,
        "RINGPOST_KAFKA_TOPIC_PREFIX": f"{name}.",
        "RINGPOST_REDIS_URL": engines.redis_url,
        "RINGPOST_REDIS_KEY_PREFIX": f"{name}:",
    }


@pytest.fixture(scope="module")
def run(environment) -> Run:
    def run(*words: str, code: int = 0, **settings: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "ringpost", *words],
            cwd=ROOT,
            env=environment | settings,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def tokens(run) -> dict[str, str]:
    return {user: run("token", user, "phone", "--create-user").stdout.strip() for user in ("ann", "bob")}


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def test_what_is_sent_is_pulled(run, tokens):
    sent = as_json(run("send", "hello bob", "--to", "bob", "--token", tokens["ann"]))
    again = as_json(
        run("send", "and again", "--conversation", sent["conversation_id"], RINGPOST_TOKEN=tokens["ann"])
    )
    assert again["seq"] == sent["seq"] + 1
    page = as_json(run("pull", "--wait-s", "20", "--cursor", "1", "--token", tokens["bob"]))
    assert page["entries"][0]["message"]["body"] == {"text": "and again"}
    assert as_json(run("pull", "--limit", "1", "--token", tokens["bob"]))["more"] is True


def test_a_device_in_the_terminal_hears_what_was_and_what_comes(run, tokens, environment):
    notes = as_json(run("send", "before", "--to", "ann", "--token", tokens["ann"]))["conversation_id"]
    head = as_json(run("pull", "--wait-s", "20", "--token", tokens["ann"]))["head"]
    command = [
        sys.executable,
        "-m",
        "ringpost",
        "listen",
        "--json",
        "--cursor",
        "0",
        "--token",
        tokens["ann"],
    ]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as listening:
        assert listening.stdout is not None
        heard = [json.loads(listening.stdout.readline()) for _ in range(head)]
        run("send", "now", "--conversation", notes, "--token", tokens["ann"])
        heard += [json.loads(listening.stdout.readline()) for _ in range(len(heard), head + 1)]
        listening.terminate()
    assert [entry["seq"] for entry in heard] == list(range(1, len(heard) + 1))
    assert heard[-1]["message"]["body"]["text"] in {"before", "now"}


def test_listening_ends_when_nobody_reads_it_though_nothing_new_comes(run, tokens, environment):
    """As `listen | head -1` on an inbox that is shown whole before `head` ends."""
    run("send", "one", "--to", "ann", "--token", tokens["ann"])
    head = as_json(run("pull", "--wait-s", "20", "--token", tokens["ann"]))["head"]
    command = [sys.executable, "-m", "ringpost", "listen", "--json", "--cursor", str(head - 1), "--no-ack"]
    with subprocess.Popen(
        [*command, "--token", tokens["ann"]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listening:
        assert listening.stdout is not None
        assert listening.stderr is not None
        try:
            assert json.loads(listening.stdout.readline())["seq"] == head
            listening.stdout.close()
            assert listening.wait(PATIENCE_S) == 141
        finally:
            listening.kill()
        assert "Traceback" not in listening.stderr.read()


def test_topics_are_listed_and_described(run, name):
    names = as_json(run("topics", "list", "--json"))
    assert f"{name}.deliveries" in names
    assert run("topics", "list").stdout.split() == names
    states = {state["name"]: state for state in as_json(run("topics", "describe", "--json"))}
    assert set(states) == set(names)
    assert states[f"{name}.deliveries"]["partitions"] == 4
    assert f"{name}.inbox" in states[f"{name}.deliveries"]["behind"]
    assert f"{name}.deliveries" in run("topics", "describe", COLUMNS="200").stdout


def test_a_record_that_is_poison_is_seen_and_put_back(run, tokens, name, engines):
    send_poison(engines.kafka_bootstrap, f"{name}.deliveries", b"no record of ours")
    (found,) = dead_letters(run, 1)
    assert (found["topic"], found["partition"], found["group"]) == ("deliveries", 1, "inbox")
    assert "no record of ours" in run("topics", "dlq", "show", "deliveries", "1", str(found["offset"])).stdout
    assert "deliveries: 1" in run("topics", "dlq", "list").stdout
    assert as_json(run("topics", "dlq", "replay", "deliveries", "--json")) == {"replayed": 1}
    (again,) = dead_letters(run, 1)  # it is still poison
    assert again["offset"] == found["offset"] + 1
    assert "There is no dead letter" in run("topics", "dlq", "show", "deliveries", "1", "0", code=1).stderr
    assert "no dead letters of messages" in run("topics", "dlq", "replay", "messages", code=1).stderr
    as_json(run("send", "it goes on", "--to", "bob", "--token", tokens["ann"]))


def dead_letters(run: Run, count: int) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while len(found := as_json(run("topics", "dlq", "list", "--json"))) != count:
        assert time.monotonic() < give_up, found
    return found


def send_poison(bootstrap: str, topic: str, value: bytes) -> None:
    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            await producer.send_and_wait(topic, value, partition=1)

    asyncio.run(send())


def test_missing_topics_are_created_once(run, unique):
    other = {"RINGPOST_KAFKA_TOPIC_PREFIX": f"{unique}.", "RINGPOST_KAFKA_PARTITIONS": "1"}
    created = as_json(run("topics", "create", "--json", **other))
    assert created
    assert all(topic.startswith(f"{unique}.") for topic in created)
    assert as_json(run("topics", "create", "--json", **other)) == []
    assert run("topics", "create", **other).stdout == "nothing was missing\n"


def test_the_doctor_finds_nothing_where_all_is_well(run):
    findings = as_json(run("doctor", "--json"))
    assert len(findings) == 13
    assert all(finding["ok"] for finding in findings)
    assert run("doctor").stdout.count("ok ") == 13


def test_the_doctor_says_what_is_wrong_and_what_to_do(run, unique):
    asked = run(
        "doctor", "--json", code=1, RINGPOST_KAFKA_TOPIC_PREFIX=f"{unique}.", RINGPOST_MONGO_DATABASE=unique
    )
    wrong = {finding["name"]: finding["said"] for finding in as_json(asked) if not finding["ok"]}
    assert set(wrong) == {"topics", "indexes", "worker inbox", "worker push", "worker relay"}
    assert "ringpost worker relay" in wrong["worker relay"]
    assert f"{unique}.deliveries" in wrong["topics"]
    assert "ringpost topics create" in wrong["topics"]


def test_the_doctor_names_the_engines_that_are_away(run):
    away = {
        "RINGPOST_MONGO_URL": "mongodb://127.0.0.1:9/?replicaSet=rs0",
        "RINGPOST_KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "RINGPOST_REDIS_URL": "redis://127.0.0.1:9/0",
        "RINGPOST_MONGO_TIMEOUT_S": "1",
        "RINGPOST_URL": "http://127.0.0.1:9",
    }
    findings = as_json(run("doctor", "--json", code=1, **away))
    assert not any(finding["ok"] for finding in findings)
    advised = [finding["name"] for finding in findings if not finding["said"].startswith("not looked at: ")]
    assert advised == ["MongoDB", "Redis", "Kafka", "API"]
    assert {"MongoDB", "Kafka", "Redis"} < {finding["name"] for finding in findings}


@pytest.mark.parametrize(
    "words, settings, said",
    [
        (
            ["api"],
            {"RINGPOST_MONGO_URL": "", "RINGPOST_REDIS_URL": ""},
            "Set RINGPOST_MONGO_URL, RINGPOST_REDIS_URL. Without them only",
        ),
        (["doctor"], {"RINGPOST_KAFKA_BOOTSTRAP": ""}, "`make up` is not running in this folder"),
        (["topics", "list"], {"RINGPOST_KAFKA_BOOTSTRAP": ""}, "Set RINGPOST_KAFKA_BOOTSTRAP. Without it"),
        (["worker", "all"], {"RINGPOST_KAFKA_BOOTSTRAP": ""}, "Set RINGPOST_KAFKA_BOOTSTRAP"),
        (["doctor"], {"RINGPOST_RING_CAPACITY": "many"}, "RINGPOST_RING_CAPACITY"),
        (["token", "a b", "phone"], {}, "bad_request: user_id must be an id"),
        (["token", "ann", "phone"], {"RINGPOST_ADMIN_KEY": "another-admin-key"}, "admin key"),
        (["send", "hi", "--to", "ann", "--token", "nonsense"], {}, "token"),
        (["pull", "--cursor", "100000", "--token", "{ann}"], {}, "cursor"),
        (
            ["pull", "--token", "{ann}", "--url", "http://127.0.0.1:9"],
            {},
            "No answer from http://127.0.0.1:9",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence(run, tokens, words, settings, said):
    done = run(*(word.format(**tokens) for word in words), code=1, **settings)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words, said",
    [
        (["worker", "nobody"], "There is no worker nobody; there are inbox, push, relay and all."),
        (["send", "hi", "--token", "{ann}"], "give --to USER or --conversation ID"),
        (["send", "hi", "--to", "bob", "--conversation", "x", "--token", "{ann}"], "give --to USER or"),
        (["pull", "--limit", "9999", "--token", "{ann}"], "200"),
    ],
)
def test_what_is_asked_for_wrongly_ends_with_2(run, tokens, words, said):
    done = run(*(word.format(**tokens) for word in words), code=2)
    assert said in done.stderr
    assert done.stdout == ""
