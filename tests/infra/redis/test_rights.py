"""The rights of each part in Redis: what a user lacks is named, and nothing is run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.errors import Unavailable
from infra.redis.client import Client, open_redis
from infra.redis.keys import Keys
from infra.redis.link import NOT_ALLOWED
from infra.redis.rights import RIGHTS, command, missing_rights


@asynccontextmanager
async def user_of(part: str, client: Client, settings, unique: str, *changes: str) -> AsyncIterator[Client]:
    """Somebody with the documented rights of a part, and these changes."""
    made = command(unique, RIGHTS[part], settings.redis.key_prefix)
    await client.execute_command(*made.split(), *changes)
    url = settings.redis.url.replace("://", f"://{unique}:PASSWORD@")
    try:
        async with open_redis(settings.redis.model_copy(update={"url": url})) as user:
            yield user
    finally:
        await client.execute_command("ACL", "DELUSER", unique)


@pytest.mark.parametrize("part", RIGHTS)
async def test_user_with_the_rights_of_a_part_lacks_none_of_them(client, settings, unique, part):
    async with user_of(part, client, settings, unique) as user:
        assert await missing_rights(user, RIGHTS[part], settings.redis.key_prefix) == []


@pytest.mark.parametrize("part", RIGHTS)
async def test_every_single_right_that_is_taken_is_named(client, settings, unique, part):
    access, prefix = RIGHTS[part], settings.redis.key_prefix
    for name in access.all_commands:
        async with user_of(part, client, settings, unique, f"-{name}") as user:
            missing = await missing_rights(user, access, prefix)
        # A key or a channel of which one command makes use is known by that command alone.
        assert [right for right in missing if right.startswith("+")] == [f"+{name}"]


async def test_keys_and_channels_that_are_missing_are_named(client, settings, unique):
    access, prefix = RIGHTS["api"], settings.redis.key_prefix
    async with user_of("api", client, settings, unique, "resetkeys", f"~{prefix}{{u:*") as user:
        assert await missing_rights(user, access, prefix) == [f"~{prefix}{{c:*", f"~{prefix}gateway:*"]
    async with user_of("api", client, settings, unique, "resetchannels") as user:
        assert f"&{prefix}gateway:*" in await missing_rights(user, access, prefix)


async def test_the_look_runs_nothing(client, settings, unique):
    async with user_of("api", client, settings, unique) as user:
        await missing_rights(user, RIGHTS["api"], settings.redis.key_prefix)
    assert await client.keys(f"{settings.redis.key_prefix}*") == []


async def test_right_that_is_missing_inside_a_script_is_no_fault_of_the_script(client, settings, unique):
    counter = Keys(settings.redis.key_prefix).counter("g:x")
    async with user_of("relay", client, settings, unique, "-hget") as user:
        with pytest.raises(Unavailable, match=NOT_ALLOWED):
            await user.call("restore", [counter], [1, 1])
