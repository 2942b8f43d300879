"""The pages on entries: each request is made as it stands, and each entry comes as the page shows it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import msgspec
import pytest

from api.views_entries import EntryView
from tests.api.people import Person, Server, Socket, bearer
from tests.docs.running import running
from tests.docs.tables import ROOT

FOLDER = ROOT / "docs" / "sync"
TYPES = [kind.__struct_config__.tag for kind in get_args(EntryView)]
BLOCK = re.compile(r"^```(http|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME = re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"')
LISTED = re.findall(
    r"^\| \[`(\w+)`\]\(sync/(\w+)\.md\)", (ROOT / "docs" / "sync.md").read_text(), re.MULTILINE
)
WATCHES = {"receipt": "ann"}
"""Whose inbox a page shows, where it is not that of bob."""


def blocks(type_: str) -> list[tuple[str, str]]:
    return BLOCK.findall((FOLDER / f"{type_}.md").read_text())


def entries_on(type_: str) -> list[str]:
    return [text for kind, text in blocks(type_) if kind == "json"]


def test_each_type_has_a_page_and_stands_in_the_table():
    assert [(type_, type_) for type_ in TYPES] == LISTED


@pytest.mark.parametrize("type_", TYPES)
def test_entries_on_the_page_are_entries(type_):
    """Each is of the type of its page, and has no field that the type lacks."""
    shown = entries_on(type_)
    assert shown
    for text in shown:
        entry = msgspec.json.decode(text, type=EntryView)
        assert json.loads(msgspec.json.encode(entry)) == json.loads(text)
        assert json.loads(text)["type"] == type_


def asked(server: Server, people: dict[str, Person], request: str) -> httpx.Response:
    head, _, body = request.partition("\n\n")
    line, header = head.strip().splitlines()
    method, path = line.split(" ")
    person = people[header.removeprefix("Authorization: Bearer ").lower()]
    return server.http.request(method, path, content=body.encode() or None, headers=bearer(person.token))


def likened(entry: Any) -> Any:
    """Without what differs from run to run: times, and the numbers of changes that may overtake another."""
    text = TIME.sub('"TIME"', json.dumps(entry | {"seq": 0}, ensure_ascii=False))
    return json.loads(re.sub(r'"rev": ?\d+', '"rev": 0', text))


@pytest.fixture
def town(engines, tmp_path) -> Iterator[tuple[Server, dict[str, Person]]]:
    with (
        running(engines, f"t{secrets.token_hex(5)}", tmp_path) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as http,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        yield server, {name: server.person(name) for name in ("ann", "bob")}


def test_requests_of_the_pages_make_the_entries_of_the_pages(town):
    """From the first page to the last, as they stand in the table of docs/sync.md."""
    server, people = town
    with people["ann"].socket(cursor=0) as ann, people["bob"].socket(cursor=0) as bob:
        sockets = {"ann": ann, "bob": bob}
        received: dict[str, list[Any]] = {name: [] for name in sockets}
        for type_, page in LISTED:
            for kind, text in blocks(page):
                if kind == "http":
                    assert asked(server, people, text).is_success, (page, text)
                    continue
                person = WATCHES.get(type_, "bob")
                got = next_of(type_, sockets[person], received[person])
                assert likened(got) == likened(json.loads(text)), page


def next_of(type_: str, socket: Socket, received: list[Any]) -> Any:
    """The next entry of this type. Others that come before it are kept."""
    while True:
        for at, entry in enumerate(received):
            if entry["type"] == type_:
                return received.pop(at)
        received += socket.answer("entries")["entries"]
