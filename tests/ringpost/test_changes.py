"""The commands that change messages, as someone types them, against a running Ringpost."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.server import HttpService, bound_socket
from infra.settings import GatewaySettings
from ringpost.changes import conversation_path, message_path, reaction_path
from ringpost.failure import UsageError
from ringpost.http import ApiError, user_path
from tests.api.people import Person, Server
from tests.builders import running as running_services
from tests.docs.running import ROOT, running
from tests.patience import PATIENCE_S
from tests.ringpost.trouble import answering


@pytest.fixture(scope="module")
def server(engines, tmp_path_factory) -> Iterator[Server]:
    with (
        running(engines, f"t{secrets.token_hex(5)}", tmp_path_factory.mktemp("changes")) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=PATIENCE_S) as http,
    ):
        yield Server(ringpost.url, ringpost.admin_key, http)


@pytest.fixture
def ann(server) -> Person:
    return server.person(f"-a{secrets.token_hex(6)}")


@pytest.fixture
def bob(server) -> Person:
    return server.person(f"..b{secrets.token_hex(6)}")


def typed(person: Person, *words: str, code: int = 0, url: str = "") -> Any:
    """What the command printed as JSON; what it said on stderr where it is to fail."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    done = subprocess.run(
        [sys.executable, "-m", "ringpost", *words],
        cwd=ROOT,
        env=others | {"RINGPOST_URL": url or person.server.url, "RINGPOST_TOKEN": person.token},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert done.stdout == ""
        return done.stderr
    return json.loads(done.stdout)


def listened(person: Person, count: int) -> list[str]:
    """The first lines that a device of theirs shows in the terminal, without the numbers."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("RINGPOST_")}
    command = [sys.executable, "-m", "ringpost", "listen", "--cursor", "0", "--no-ack"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=others | {"RINGPOST_URL": person.server.url, "RINGPOST_TOKEN": person.token},
        stdout=subprocess.PIPE,
        text=True,
    ) as device:
        assert device.stdout is not None
        lines = [device.stdout.readline().rstrip("\n") for _ in range(count)]
        device.terminate()
    assert [line.split()[0] for line in lines] == [str(seq) for seq in range(1, count + 1)]
    return [line.partition(" ")[2] for line in lines]


def test_message_is_sent_with_reply_and_mentions(ann, bob):
    asked = typed(
        ann, "send", "when?", "--to", bob.user_id, "--mention", bob.user_id, "--mention", ann.user_id
    )
    typed(bob, "send", "now", "--reply-to", asked["message_id"], "--mention", "all")
    typed(bob, "send", "--to", ann.user_id, "--reply-to", asked["message_id"], "--", "-5 degrees")
    first, second, third = (entry["message"] for entry in ann.arrived(3))
    assert first["mentions"] == [bob.user_id, ann.user_id]
    assert (second["reply_to"], second["mentions"]) == (asked["message_id"], ["all"])
    assert (third["reply_to"], third["body"]) == (asked["message_id"], {"text": "-5 degrees"})
    other = typed(ann, "send", "no", "--to", ann.user_id, "--reply-to", asked["message_id"], code=1)
    assert other.startswith("bad_request: reply_to: A reply is to a message of the same conversation.")
    assert "mentions: nobody is not a member" in typed(
        ann, "send", "no", "--to", bob.user_id, "--mention", "nobody", code=1
    )


def test_message_is_edited_and_recalled_by_its_sender(ann, bob):
    sent = ann.send(ann.direct(bob), "helo")
    name = sent["message_id"]
    assert typed(ann, "edit", name, "hello")["body"] == {"text": "hello"}
    assert typed(ann, "edit", name, "--", "--remove")["body"] == {"text": "--remove"}
    assert len(ann.get(f"/v1/messages/{name}/versions")["versions"]) == 3
    refusal = typed(bob, "edit", name, "mine", code=1)
    assert refusal == "forbidden: message_id: Only the sender edits a message.\n"
    assert typed(bob, "recall", name, code=1).startswith("forbidden: message_id: ")
    assert typed(ann, "recall", name)["recalled"]["by"] == ann.user_id
    assert typed(ann, "edit", name, "again", code=1).startswith("conflict: message_id: ")


def test_reaction_is_given_and_taken_back_wherever_the_option_stands(ann, bob):
    name = ann.send(ann.direct(bob))["message_id"]
    for key in ("👍", "❤️", ":ok:"):
        assert typed(bob, "react", name, key)["reactions"][key] == {
            "count": 1,
            "by": [bob.user_id],
            "mine": True,
        }
    assert set(typed(bob, "react", "--remove", name, "👍")["reactions"]) == {"❤️", ":ok:"}
    assert set(typed(bob, "react", name, "--remove", "❤️")["reactions"]) == {":ok:"}
    assert typed(bob, "react", name, ":ok:", "--remove")["reactions"] == {}
    assert typed(bob, "react", name, "é", code=1).startswith("bad_request: key: A reaction is one emoji or")
    assert "recalled" not in ann.get(f"/v1/messages/{name}")


def test_message_is_pinned_and_hidden(ann, bob):
    name = ann.send(ann.direct(bob))["message_id"]
    assert typed(bob, "pin", name) == {"message_id": name, "pinned": True}
    assert typed(bob, "pin", "--remove", name) == {"message_id": name, "pinned": False}
    assert typed(bob, "hide", name) == {}
    assert bob.ask("GET", f"/v1/messages/{name}").status_code == 404
    assert ann.get(f"/v1/messages/{name}")["body"] == {"text": "hello"}


def test_read_mark_moves_to_a_seq_or_to_the_head(ann, bob):
    conversation = ann.direct(bob)
    for _ in range(3):
        ann.send(conversation)
    assert typed(bob, "read", conversation, "1") == {"read_seq": 1, "unread": 2, "marked_unread": False}
    assert typed(bob, "read", conversation)["read_seq"] == 3
    assert typed(bob, "read", conversation, "99", code=1).startswith("bad_request: seq: ")
    assert typed(bob, "read", "d:x:y", code=1).startswith("forbidden: conversation_id: ")


def test_listening_device_shows_each_type_as_a_line(ann, bob):
    conversation = ann.direct(bob)
    first, second = (ann.send(conversation, text)["message_id"] for text in ("\x1b[31mred\n[b]", "two"))
    bob.ask("PUT", f"/v1/messages/{first}/reactions/:ok:")
    bob.ask("PUT", f"/v1/messages/{first}/pin")
    ann.ask("PATCH", f"/v1/messages/{second}", json={"client_message_id": "e", "body": {"text": "2"}})
    recalled = ann.send(conversation, "gone")["message_id"]
    ann.ask("DELETE", f"/v1/messages/{recalled}")
    bob.ask("PUT", f"/v1/conversations/{conversation}/read", json={"seq": 2})
    ann.ask("PATCH", f"/v1/conversations/{conversation}/me", json={"draft": "to do", "archived": True})
    ann.ask("DELETE", f"/v1/messages/{second}/mine")
    ann.arrived(10)
    a, b = ann.user_id, bob.user_id
    assert sorted(listened(ann, 10)) == sorted(
        [
            rf'message {first} {a}: "\u001b[31mred\n[b]" (reactions :ok: 1; pinned)',
            f'message {second} {a}: "2" (edited)',
            f"message {recalled} {a}: recalled by {a}",
            f"reactions {first} :ok: 1 ({b})",
            f"pin {first} pinned by {b}",
            f'edit {second} {a}: "2" (edited)',
            f"recall {recalled} {a}: recalled by {a}",
            f"receipt {conversation} {b} has read up to 2",
            f'settings {conversation} archived, draft "to do"',
            f"hidden {second} deleted for you",
        ]
    )
    assert f"read {conversation} up to 2, 0 unread" in listened(bob, len(bob.arrived(8)))


async def test_edit_that_is_tried_again_is_one_edit(ann, bob):
    """The first answer is lost: the edit is done, and the command is told that the server is away."""
    name, names = ann.send(ann.direct(bob))["message_id"], []

    async def pass_on(request: Request) -> Response:
        body = await request.body()
        names.append(json.loads(body)["client_message_id"])
        async with httpx.AsyncClient(base_url=ann.server.url, timeout=PATIENCE_S) as http:
            headers = {"authorization": request.headers["authorization"]}
            answer = await http.patch(request.url.path, content=body, headers=headers)
        error = {"code": "unavailable", "message": "Not now.", "retriable": True}
        if len(names) == 1:
            return JSONResponse({"error": error}, 503)
        return Response(answer.content, answer.status_code, media_type="application/json")

    app = Starlette(routes=[Route("/v1/messages/{name}", pass_on, methods=["PATCH"])])
    with bound_socket("127.0.0.1", 0) as bound:
        service = HttpService(app, bound, GatewaySettings())
        async with running_services(service):
            await service.listening.wait()
            url = f"http://127.0.0.1:{service.port}"
            edited = await asyncio.to_thread(typed, ann, "edit", name, "once", url=url)
            await asyncio.to_thread(typed, ann, "edit", name, "twice", url=url)
    assert edited["body"] == {"text": "once"}
    assert names[0] == names[1] != names[2]
    texts = [one["body"]["text"] for one in ann.get(f"/v1/messages/{name}/versions")["versions"]]
    assert texts == ["hello", "once", "twice"]


NO_MESSAGES = [
    "",
    ".",
    "..",
    "-x",
    "d:ann:bob",
    "d:ann:bob:0",
    "d:ann:bob:1/mine",
    "d:ann:bob:1/..",
    "a/../b:1",
]
NO_KEYS = [
    "",
    ".",
    "..",
    "x",
    "::",
    ":a b:",
    "../..",
    "👍/..",
    "👍/../../mine",
    "👍\\..",
    "?",
    "%2e%2e",
    ":a/b:",
]


@pytest.mark.parametrize(
    "words",
    [
        ["recall", "--", "-x"],
        ["recall", "d:ann:bob:1/mine"],
        ["react", "--remove", "d:ann:bob:1", ".."],
        ["react", "d:ann:bob:1", "", "--remove"],
        ["react", "", ":ok:", "--remove"],
        ["pin", "d:ann:bob:1/.."],
        ["hide", ".."],
        ["edit", "d:ann:bob", "text"],
        ["read", "d:ann:bob:1/../.."],
        ["read", "d:ann:bob", "--", "-1"],
        ["send", "text", "--reply-to", "d:ann:bob"],
    ],
)
def test_what_is_no_id_and_no_key_is_refused_before_anything_is_asked(words):
    with answering("that the token is wrong") as (port, came):
        url = f"http://127.0.0.1:{port}"
        person = Person(Server(url, "", httpx.Client()), "ann", "phone", "a.b.c")
        with person.server.http:
            assert typed(person, *words, code=2)
    assert not came.is_set()


@pytest.mark.parametrize("name", NO_MESSAGES)
def test_path_is_made_of_message_ids_only(name):
    with pytest.raises(UsageError, match="is not the id of a message, such as d:ann:bob:3"):
        message_path(name)
    with pytest.raises(UsageError, match="is not the id of a message"):
        reaction_path(name, ":ok:")


@pytest.mark.parametrize("key", NO_KEYS)
def test_path_of_a_reaction_ends_in_a_key(key):
    with pytest.raises(UsageError, match="is not a reaction: give one emoji, or a name such as :agreed:"):
        reaction_path("d:ann:bob:1", key)


@pytest.mark.parametrize(
    "name", ["", "..", "x", "d:ann", "d:ann:..", "g:short", "d:ann:bob:1", "d:ann:bob/read"]
)
def test_path_is_made_of_conversation_ids_only(name):
    with pytest.raises(UsageError, match="is not the id of a conversation, such as d:ann:bob"):
        conversation_path(name)


def test_ids_and_keys_are_escaped_in_a_path():
    assert message_path("d:-a:..b@c:1") == "/v1/messages/d%3A-a%3A..b%40c%3A1"
    assert reaction_path("d:a:b:1", "👍").endswith("/d%3Aa%3Ab%3A1/reactions/%F0%9F%91%8D")
    assert reaction_path("d:a:b:1", ":+1:").endswith("/reactions/%3A%2B1%3A")
    assert conversation_path("d:..a:-b") == "/v1/conversations/d%3A..a%3A-b"


def test_help_shows_a_key_as_it_is_typed():
    """Rich would show `:ok:` as a picture, which is another key."""
    done = subprocess.run(
        [sys.executable, "-m", "ringpost", "react", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout.count(":agreed:") == 2


@pytest.mark.parametrize("user", ["", ".", ".."])
def test_user_who_cannot_stand_in_a_path_is_refused(user):
    with pytest.raises(ApiError, match="names nothing that can be asked for"):
        user_path(user)
