from __future__ import annotations

import time

import pytest

from infra.redis.presence import Place, Presence
from tests.builders import until


@pytest.fixture
def presence(client, keys):
    return Presence(client, keys, 60)


async def test_device_is_where_its_gateway_says(presence):
    await presence.renew("g1", [("ann", "phone"), ("bob", "web")])
    await presence.renew("g2", [("ann", "web")])
    ann, bob, cem = await presence.places(["ann", "bob", "cem"])
    assert set(ann) == {Place("g1", "phone"), Place("g2", "web")}
    assert (bob, cem) == ([Place("g1", "web")], [])


async def test_device_that_left_is_gone_and_others_stay(presence):
    await presence.renew("g1", [("ann", "phone"), ("ann", "web")])
    await presence.leave("g1", "ann", "phone")
    assert await presence.places(["ann"]) == [[Place("g1", "web")]]


async def test_devices_of_a_dead_gateway_disappear_by_themselves(presence, client, keys):
    await presence.renew("alive", [("ann", "web")])
    await Presence(client, keys, 0.1).renew("dead", [("ann", "phone")])
    await presence.renew("alive", [("ann", "web")])

    async def only_alive() -> bool:
        return await presence.places(["ann"]) == [[Place("alive", "web")]]

    await until(only_alive)


async def test_renewing_clears_what_expired(presence, client, keys):
    short = Presence(client, keys, 0.05)
    await short.renew("dead", [("ann", "phone")])

    async def cleared() -> bool:
        await presence.renew("alive", [("ann", "web")])
        return await client.zcard(keys.online("ann")) == 1

    await until(cleared)


async def test_device_id_may_hold_any_allowed_sign(presence):
    await presence.renew("g1", [("a.b@c_d-1", "x.y@z_-")])
    assert await presence.places(["a.b@c_d-1"]) == [[Place("g1", "x.y@z_-")]]


async def test_nobody_asked_nobody_found(presence):
    assert await presence.places([]) == []
    await presence.renew("g1", [])


@pytest.mark.parametrize("jump_s", [3600, -3600])
async def test_clock_of_a_process_that_jumps_hides_and_invents_nobody(
    presence, client, keys, monkeypatch, jump_s
):
    await presence.renew("g1", [("ann", "phone")])
    await Presence(client, keys, 0.05).renew("dead", [("bob", "web")])
    true_ns = time.time_ns
    with monkeypatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: true_ns() + jump_s * 1_000_000_000)
        assert await presence.places(["ann"]) == [[Place("g1", "phone")]]
        await presence.renew("g2", [("ann", "web")])

        async def bob_is_gone() -> bool:
            return await presence.places(["bob"]) == [[]]

        await until(bob_is_gone)
    assert set((await presence.places(["ann"]))[0]) == {Place("g1", "phone"), Place("g2", "web")}


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
