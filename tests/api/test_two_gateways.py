"""Signals and presence between two gateways, of which one may die."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.api.people import Person, Server, Socket
from tests.builders import until
from tests.docs.running import ADMIN_KEY
from tests.patience import FAR_OFF_S, PATIENCE_S
from tests.system.parts import Part, opened_parts

PRESENCE_TTL_S = 3.0


class Gateways(NamedTuple):
    """Two API processes, and the same people at each."""

    near: Server
    far: Server
    far_process: Part

    def person(self, name: str) -> tuple[Person, Person]:
        """The same user on two devices: one for each gateway."""
        return self.near.person(name, "phone"), self.far.person(name, "web")


@pytest.fixture
async def gateways(engines, unique, tmp_path) -> AsyncIterator[Gateways]:
    settings = {
        "RINGPOST_GATEWAY_PRESENCE_TTL_S": str(PRESENCE_TTL_S),
        "RINGPOST_GATEWAY_HEARTBEAT_S": str(FAR_OFF_S),
    }
    async with opened_parts(engines, unique, tmp_path, **settings) as parts:
        near, far = await parts.start("api", "api")
        with (
            httpx.Client(base_url=near.url, timeout=PATIENCE_S) as near_http,
            httpx.Client(base_url=far.url, timeout=PATIENCE_S) as far_http,
        ):
            yield Gateways(Server(near.url, ADMIN_KEY, near_http), Server(far.url, ADMIN_KEY, far_http), far)


def said(socket: Socket, conversation: str, signal: str) -> None:
    """Said, and done."""
    socket.say(type="signal", conversation_id=conversation, signal=signal)
    socket.say(type="ping")
    socket.next("pong")


def watch(socket: Socket, *people: Person) -> list[dict[str, Any]]:
    socket.say(type="watch", user_ids=[one.user_id for one in people])
    return socket.next("presence")["users"]


def told(socket: Socket) -> dict[str, Any]:
    (user,) = socket.next("presence")["users"]
    return user


async def test_signal_reaches_members_on_both_gateways(gateways):
    (ann, ann_far), (bob, bob_far) = gateways.person("ann"), gateways.person("bob")
    cem, _ = gateways.person("cem")
    group = ann.group(bob, cem)
    with (
        ann.socket() as own,
        ann_far.socket() as other,
        bob.socket() as near,
        bob_far.socket() as far,
        cem.socket() as cems,
    ):
        said(own, group, "first")
        assert [one.next("signal")["signal"] for one in (other, near, far, cems)] == ["first"] * 4
        said(cems, group, "last")
        assert [one.next("signal")["signal"] for one in (own, other, near, far)] == ["last"] * 4


async def test_removed_member_is_removed_on_every_gateway(gateways):
    (ann, ann_far), (_, bob_far) = gateways.person("ann"), gateways.person("bob")
    _, cem_far = gateways.person("cem")
    group = ann.group(bob_far, cem_far)
    with ann_far.socket() as anns, bob_far.socket() as bobs, cem_far.socket() as cems:
        said(bobs, group, "member")
        assert [one.next("signal")["signal"] for one in (anns, cems)] == ["member", "member"]
        ann.ask("DELETE", f"/v1/conversations/{group}/members/bob").raise_for_status()
        said(cems, group, "without")
        assert anns.next("signal")["signal"] == "without"
        bobs.say(type="signal", conversation_id=group, signal="out")
        assert bobs.next("error")["error"]["code"] == "forbidden"


async def test_watcher_is_told_who_comes_goes_and_hides_on_the_other_gateway(gateways):
    (ann, _), (bob, bob_far) = gateways.person("ann"), gateways.person("bob")
    with ann.socket() as anns:
        assert watch(anns, bob) == [{"user_id": "bob", "online": False}]
        with bob_far.socket():
            assert told(anns) == {"user_id": "bob", "online": True}
            bob_far.ask("PATCH", "/v1/me", json={"last_seen": "nobody"}).raise_for_status()
            assert told(anns) == {"user_id": "bob", "online": False}
            bob_far.ask("PATCH", "/v1/me", json={"last_seen": "everyone"}).raise_for_status()
            assert told(anns) == {"user_id": "bob", "online": True}
        assert told(anns).keys() == {"user_id", "online", "last_seen"}
        with bob_far.socket(), bob.socket():
            assert told(anns)["online"] is True


async def test_choice_of_a_watcher_counts_also_if_it_was_made_on_the_other_gateway(gateways):
    (ann, ann_far), (bob, _) = gateways.person("ann"), gateways.person("bob")
    with ann.socket() as anns, bob.socket():
        assert watch(anns, bob)[0]["online"] is True
        ann_far.ask("PATCH", "/v1/me", json={"last_seen": "nobody"}).raise_for_status()
        assert told(anns) == {"user_id": "bob", "online": False}


async def test_people_of_a_gateway_that_dies_go_offline_within_seconds(gateways):
    """The watching gateway is told by nobody. It also writes when they were last seen."""
    (ann, _), (bob, bob_far), (cem, cem_far) = map(gateways.person, ("ann", "bob", "cem"))
    with ann.socket() as anns, cem.socket():
        with bob_far.socket(), cem_far.socket():
            assert [user["online"] for user in watch(anns, bob, cem)] == [True, True]
            began = time.monotonic()
            await gateways.far_process.kill()
            gone = told(anns)
        assert time.monotonic() - began < PRESENCE_TTL_S + 15
        assert gone.keys() == {"user_id", "online", "last_seen"}
        assert (gone["user_id"], gone["online"]) == ("bob", False)

        def seen() -> Any:
            return ann.get("/v1/presence", user_ids="bob")["users"][0].get("last_seen")

        assert await until(seen) == gone["last_seen"]
        assert ann.get("/v1/presence", user_ids="cem")["users"] == [{"user_id": "cem", "online": True}]
