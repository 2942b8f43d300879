from __future__ import annotations

import time

import pytest

from infra.redis.presence import Online, Place, Presence
from tests.builders import until


def online(user: str, device: str, session: str = "s1") -> Online:
    return Online(user, device, session)


@pytest.fixture
def presence(client, keys):
    return Presence(client, keys, 60)


async def test_device_is_where_its_gateway_says(presence):
    await presence.write("g1", [(online("ann", "phone"), True), (online("bob", "web"), True)])
    await presence.write("g2", [(online("ann", "web"), True)])
    ann, bob, cem = await presence.places(["ann", "bob", "cem"])
    assert set(ann) == {Place("g1", "phone", "s1"), Place("g2", "web", "s1")}
    assert (bob, cem) == ([Place("g1", "web", "s1")], [])


async def test_device_that_left_is_gone_and_others_stay(presence):
    await presence.write("g1", [(online("ann", "phone"), True), (online("ann", "web"), True)])
    await presence.write("g1", [(online("ann", "phone"), False)])
    assert await presence.places(["ann"]) == [[Place("g1", "web", "s1")]]


async def test_session_that_left_late_does_not_take_the_next_one_with_it(presence):
    """I10: each connection of a device is a session of its own."""
    await presence.write("g1", [(online("ann", "phone", "s1"), True)])
    await presence.write("g1", [(online("ann", "phone", "s2"), True)])
    await presence.write("g1", [(online("ann", "phone", "s1"), False)])
    assert await presence.places(["ann"]) == [[Place("g1", "phone", "s2")]]


async def test_write_says_where_the_user_is_then(presence):
    await presence.write("g2", [(online("ann", "web"), True)])
    written = await presence.write(
        "g1",
        [(online("ann", "phone"), True), (online("bob", "web"), True), (online("ann", "phone"), False)],
    )
    came, bob, went = (one.places for one in written)
    assert set(came) == {Place("g1", "phone", "s1"), Place("g2", "web", "s1")}
    assert (bob, went) == ([Place("g1", "web", "s1")], [Place("g2", "web", "s1")])


async def test_session_without_a_name_is_one_of_an_older_gateway(presence, client, keys):
    await client.zadd(keys.online("ann"), {"g1/phone": 10**13})
    assert await presence.places(["ann"]) == [[Place("g1", "phone")]]


async def test_devices_of_a_dead_gateway_disappear_by_themselves(presence, client, keys):
    await presence.write("alive", [(online("ann", "web"), True)])
    await Presence(client, keys, 0.1).write("dead", [(online("ann", "phone"), True)])
    await presence.write("alive", [(online("ann", "web"), True)])

    async def only_alive() -> bool:
        return await presence.places(["ann"]) == [[Place("alive", "web", "s1")]]

    await until(only_alive)


async def test_renewing_clears_what_expired(presence, client, keys):
    short = Presence(client, keys, 0.05)
    await short.write("dead", [(online("ann", "phone"), True)])

    async def cleared() -> bool:
        await presence.write("alive", [(online("ann", "web"), True)])
        return await client.zcard(keys.online("ann")) == 1

    await until(cleared)


async def test_device_id_may_hold_any_allowed_sign(presence):
    await presence.write("g1", [(online("a.b@c_d-1", "x.y@z_-"), True)])
    assert await presence.places(["a.b@c_d-1"]) == [[Place("g1", "x.y@z_-", "s1")]]


async def test_nobody_asked_nobody_found(presence):
    assert await presence.places([]) == []
    await presence.write("g1", [])


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_clock_of_a_process_that_jumps_hides_and_invents_nobody(
    presence, client, keys, monkeypatch, jump_s
):
    await presence.write("g1", [(online("ann", "phone"), True)])
    await Presence(client, keys, 0.05).write("dead", [(online("bob", "web"), True)])
    true_ns = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: true_ns() + jump_s * 1_000_000_000)
        assert await presence.places(["ann"]) == [[Place("g1", "phone", "s1")]]
        await presence.write("g2", [(online("ann", "web"), True)])

        async def bob_is_gone() -> bool:
            return await presence.places(["bob"]) == [[]]

        await until(bob_is_gone)
    assert set((await presence.places(["ann"]))[0]) == {Place("g1", "phone", "s1"), Place("g2", "web", "s1")}


async def test_gateway_learns_once_that_what_it_wrote_is_gone(presence, client, keys):
    assert [await presence.stands("g1") for _ in range(3)] == [False, True, True]
    assert await presence.stands("g2") is False
    await client.delete(keys.gateway_mark("g1"))
    assert [await presence.stands("g1") for _ in range(2)] == [False, True]
    await client.set(keys.gateway_mark("g1"), "the generation of another Redis")
    assert [await presence.stands("g1") for _ in range(2)] == [False, True]


async def test_mark_of_a_gateway_that_died_disappears(presence, client, keys):
    await presence.stands("g1")
    assert 0 < await client.pttl(keys.gateway_mark("g1")) <= 60_000


async def test_first_session_anywhere_and_the_last_turn_the_user_and_say_who_watches(presence):
    await presence.watch("far", ["ann"])
    turns = []
    for gateway, session, here in [
        ("g1", "s1", True),
        ("g1", "s1", True),
        ("g2", "s2", True),
        ("g1", "s1", False),
        ("g2", "s2", False),
    ]:
        ((_, turned, watchers),) = await presence.write(gateway, [(online("ann", "phone", session), here)])
        turns.append((turned, list(watchers)))
    assert turns == [(True, ["far"]), (False, []), (False, []), (False, []), (True, ["far"])]


async def test_session_that_is_renewed_after_its_time_turns_its_user(client, keys):
    short, long = Presence(client, keys, 0.05), Presence(client, keys, 60)
    await short.write("g1", [(online("ann", "phone"), True)])
    await until(lambda: _offline(long, "ann"))
    ((_, turned, _),) = await long.write("g1", [(online("ann", "phone"), True)])
    assert turned


async def _offline(presence: Presence, user: str) -> bool:
    return await presence.watch("g9", [user]) == [0.0]


async def test_watching_gateway_learns_for_how_long_users_are_online(presence, client, keys):
    await Presence(client, keys, 30).write("g1", [(online("ann", "phone"), True)])
    await presence.write("g2", [(online("ann", "web"), True)])
    ann, bob = await presence.watch("far", ["ann", "bob"])
    assert 30 < ann <= 60
    assert bob == 0
    assert await presence.watch("far", []) == []


async def test_gateways_that_have_to_do_with_a_user_are_named_once(presence):
    await presence.watch("far", ["ann"])
    await presence.watch("g1", ["ann"])
    await presence.write("g1", [(online("ann", "phone"), True), (online("ann", "web"), True)])
    await presence.write("g2", [(online("ann", "tablet"), True)])
    assert sorted(await presence.concerned("ann")) == ["far", "g1", "g2"]
    assert await presence.concerned("bob") == []


async def test_gateway_that_watches_no_more_is_forgotten(client, keys, monkeypatch):
    monkeypatch.setattr("infra.redis.presence.LEAST_WATCH_MS", 1)
    await Presence(client, keys, 0.02).watch("dead", ["ann"])
    await Presence(client, keys, 60).watch("alive", ["ann"])

    async def alone() -> bool:
        return await Presence(client, keys, 60).concerned("ann") == ["alive"]

    await until(alone)
    await Presence(client, keys, 60).watch("alive", ["ann"])
    assert await client.zcard(keys.watchers("ann")) == 1
