"""Nothing that a person or a network does ends in a traceback: every command is tried with each thing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ringpost.http import AddressError, checked_url
from tests.ringpost.trouble import (
    ANSWERS,
    KEEP_RUNNING,
    Ended,
    answering,
    askers,
    commands,
    run,
    surroundings,
    words_of,
)

# Nothing here depends on the engines of this run.
pytestmark = pytest.mark.own_engines
AT_ONCE = 10
AT_ITS_END = -signal.SIGINT
"""Ctrl-C came when the program had ended and Python was putting things away."""
WITH_A_TOKEN = ("send", "pull", "edit", "recall", "react", "pin", "hide", "read")
ONE_SENTENCE = ("token", *WITH_A_TOKEN)
NO_SENTENCE = ("Traceback", "Exception ignored", "never retrieved", "was never awaited", "Unclosed", "Error:")


def each(tried: Callable[[str], Ended], names: list[str] | None = None) -> list[Ended]:
    """Every command, several at once; none may end as only a program with a fault does."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ended = list(pool.map(tried, names or commands()))
    for one in ended:
        assert not [sign for sign in NO_SENTENCE if sign in one.out + one.err], one
        assert one.code in (0, 1, 2, 130, 141) or (one.interrupted and one.code == AT_ITS_END), one
        assert one.code not in (1, 2) or one.err.strip() or one.out.strip(), one
        if one.command in ONE_SENTENCE and one.code == 1:
            assert len(one.err.splitlines()) == 1, one
    return ended


def codes(ended: list[Ended], *names: str) -> set[int]:
    return {one.code for one in ended if one.command in names}


def test_commands_are_those_of_the_program():
    assert {"up", "api", "worker", "token", "listen", "topics dlq replay", "bench"} <= set(commands())
    assert words_of("token") == ["token", "ann", "ann"]


@pytest.mark.parametrize("kind", ANSWERS)
def test_whatever_answers_in_place_of_ringpost_and_its_engines(tmp_path, kind):
    """HTTP is garbage to an engine's client, so only who asks the API is told each kind of it."""

    def tried(name: str) -> Ended:
        with answering(kind) as (port, _):
            around = surroundings(tmp_path / name, port)
            return run(name, tmp_path / name, around, ends_itself=speaks_http)

    speaks_http = (ANSWERS[kind] or b"").startswith(b"HTTP")
    ended = each(tried, askers() if speaks_http else None)
    done = {"hide"} if kind == "an empty object" else set()  # which is what Ringpost answers to it
    failed = [one for one in ended if one.command in set(ONE_SENTENCE) - done]
    assert {one.code for one in failed} | codes(ended, "doctor") == {1}
    assert codes(ended, "bench") == {2}
    if speaks_http:
        assert codes(ended, "listen") == {1}
    assert all("127.0.0.1" in one.err or "unauth" in one.err for one in failed)


def test_nobody_answers(tmp_path):
    ended = each(lambda name: run(name, tmp_path / name, surroundings(tmp_path / name, 9)))
    assert codes(ended, *ONE_SENTENCE, "doctor", "topics list", "topics dlq replay") == {1}
    (listening,) = [one for one in ended if one.command == "listen"]
    assert listening.interrupted
    assert listening.err.splitlines()[:2] == [
        "Connecting to http://127.0.0.1:9",
        "http://127.0.0.1:9 is away: Connection refused. Trying again until it is back",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "http://",
        "http://a b",
        "http://h:99999",
        "ftp://h",
        "http://[",
        "http://h?x",
        "http://\u20ac:x",
    ],
)
def test_a_url_that_is_none_is_refused(url):
    with pytest.raises(AddressError, match=r"http://127.0.0.1:8080 \(--url, or RINGPOST_URL\)"):
        checked_url(url)


def test_every_command_that_asks_the_api_refuses_a_url_that_is_none_and_shows_no_password(tmp_path):
    secret = {"RINGPOST_URL": "http://ann:secret@127.0.0.1"}
    ended = each(lambda name: run(name, tmp_path / name, surroundings(tmp_path, 9) | secret), askers())
    assert {one.code for one in ended} == {2}
    assert not any("secret" in one.err for one in ended)
    assert all("http://127.0.0.1:8080 (--url, or RINGPOST_URL)" in one.err for one in ended)


def test_settings_are_missing(tmp_path):
    """`up` is for that: it brings its own engines."""
    names = [name for name in commands() if name != "up"]
    bare = {
        name: value for name, value in surroundings(tmp_path, 9).items() if not name.startswith("RINGPOST_")
    }
    ended = each(lambda name: run(name, tmp_path / name, bare, ends_itself=True), names)
    assert codes(ended, "token", "api", "worker", "doctor", "topics list", "topics dlq list") == {1}
    assert codes(ended, *WITH_A_TOKEN, "listen", "bench") == {2}
    assert list(tmp_path.rglob("keys.json")) == []


@pytest.mark.parametrize("kept", [None, b"\xff\xfe\x00", b"[mongo\n"])
def test_settings_file_that_cannot_be_read_is_named(tmp_path, kept):
    """In each way by one command; by every command in one."""
    config = tmp_path / "ringpost.toml"
    if kept is not None:
        config.write_bytes(kept)
    names = [name for name in commands() if name not in (*WITH_A_TOKEN, "listen", "torture", "bench")]
    environment = surroundings(tmp_path, 9, RINGPOST_CONFIG=str(config))
    ended = each(
        lambda name: run(name, tmp_path / name, environment, ends_itself=True),
        ["doctor"] if kept is None else names,
    )
    assert all(str(config) in one.err for one in ended)
    assert {one.code for one in ended} == {1}


def test_data_folder_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    places = {"RINGPOST_DATA_DIR": str(tmp_path / "file/data"), "RINGPOST_ADMIN_KEY": ""}
    environment = surroundings(tmp_path, 9) | places
    ended = each(
        lambda name: run(name, tmp_path / name, environment, ends_itself=True), ["up", "token", "bench"]
    )
    assert codes(ended, "up", "token") == {1}
    assert all(str(tmp_path / "file") in one.err for one in ended if one.command != "bench")


def test_the_reader_of_the_output_is_gone(tmp_path):
    """As after `| head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        environment = surroundings(tmp_path, 9)
        ended = each(
            lambda name: run(
                name,
                tmp_path / name,
                environment,
                [*name.split(), "--help"],
                stdout=writing,
                ends_itself=True,
            )
        )
    finally:
        os.close(writing)
    assert {(one.code, one.err) for one in ended} == {(141, "")}


def test_ctrl_c_while_it_waits_for_an_answer(tmp_path):
    def tried(name: str) -> Ended:
        patient = {"RINGPOST_TIMEOUT_S": "60", "RINGPOST_MONGO_TIMEOUT_S": "60"}
        with answering("silence") as (port, came):
            return run(name, tmp_path / name, surroundings(tmp_path / name, port) | patient, come=came)

    ended = each(tried)
    assert codes(
        [one for one in ended if one.interrupted], *ONE_SENTENCE, "doctor", "bench", "topics list"
    ) == {130}
    assert codes(ended, "listen") == {0}
    assert codes(ended, *KEEP_RUNNING) <= {0, 130}


def test_terminal_knows_ascii_only(tmp_path):
    with answering("that the token is wrong") as (port, _):
        environment = surroundings(tmp_path, port, PYTHONIOENCODING="ascii")
        words = {
            "send": ["send", "héllo → 你好", "--to", "böb"],
            "token": ["token", "böb", "téléphone", "--create-user"],
        }
        ended = each(lambda name: run(name, tmp_path / name, environment, words[name]), list(words))
        assert {one.code for one in ended} == {1}
        helped = each(
            lambda name: run(name, tmp_path / name, environment, [*name.split(), "--help"], ends_itself=True)
        )
    assert {one.code for one in helped} == {0}


def test_words_that_are_no_text(tmp_path):
    """What a shell hands over may be any bytes."""
    with answering("that the token is wrong") as (port, _):
        environment = surroundings(tmp_path, port)

        def tried(name: str) -> Ended:
            count = len(words_of(name)) - len(name.split())
            words = [word if word.startswith("-") else "\udcff\udcfe" for word in words_of(name)[-count:]]
            return run(name, tmp_path / name, environment, [*name.split(), *words])

        each(tried, [name for name in commands() if len(words_of(name)) > len(name.split())])
        odd = {"RINGPOST_TOKEN": "\udcff", "RINGPOST_ADMIN_KEY": "ключ"}
        ended = each(
            lambda name: run(name, tmp_path / name, environment | odd), [*ONE_SENTENCE, "listen", "bench"]
        )
    assert {one.code for one in ended if one.command != "bench"} == {1}
    assert not any("ключ" in one.err for one in ended)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
def test_output_cannot_be_written(tmp_path):
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run("token", tmp_path / "token", surroundings(tmp_path, 9), ["--help"], stdout=full)
    finally:
        os.close(full)
    assert (done.code, done.err) == (1, "The output cannot be written: No space left on device.\n")
