"""The rights that the user of these settings lacks, and the commands that give them.

Each check returns a word on its result, or raises Ailing with what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import infra.kafka.rights as kafka
import infra.mongo.rights as mongo
import infra.redis.rights as redis
from infra.kafka.clients import Log
from infra.mongo.client import Database
from infra.redis.client import Client
from infra.settings import Settings, SettingsError
from ringpost.finding import Ailing

ALL = ("api", "inbox", "push", "relay")
"""What runs all the time. Kafka also knows `topics`, the command of that name."""

Kind = TypeVar("Kind")


def known_parts(names: Sequence[str]) -> list[str]:
    """SettingsError for a name that no part has."""
    if unknown := [name for name in names if name not in kafka.RIGHTS]:
        raise SettingsError(f"There is no part {unknown[0]}; there are {', '.join(kafka.RIGHTS)}.")
    return list(names)


async def kafka_rights(log: Log, parts: Sequence[str]) -> str:
    rights = _once(right for part in parts for right in kafka.RIGHTS[part])
    if missing := await kafka.missing_rights(log, rights):
        lines = kafka.commands(log.settings.username or "NAME", missing, log.settings.topic_prefix)
        raise Ailing(_sentence(log.settings.username, missing, lines))
    return f"enough for {', '.join(parts)}"


async def redis_rights(client: Client, settings: Settings, parts: Sequence[str]) -> str:
    user, prefix = _user_of(settings.redis.url) or "default", settings.redis.key_prefix
    parts = [part for part in parts if part in redis.RIGHTS]
    missing = _once(
        [right for part in parts for right in await redis.missing_rights(client, redis.RIGHTS[part], prefix)]
    )
    if missing:
        raise Ailing(_sentence(user, missing, [f"ACL SETUSER {user} {' '.join(missing)}"]))
    return f"enough for {', '.join(parts)}"


async def mongo_rights(database: Database, settings: Settings, parts: Sequence[str]) -> str:
    name = settings.mongo.database
    missing, lines = [], []
    parts = [part for part in parts if part in mongo.RIGHTS]
    for part in parts:
        if lacking := await mongo.missing_rights(database, name, mongo.RIGHTS[part]):
            missing += lacking
            granted = {one.collection: one.actions for one in lacking}
            lines.append(
                mongo.command("grantPrivilegesToRole", f"ringpost-{part}", mongo.privileges(granted, name))
            )
    if missing:
        raise Ailing(_sentence(_user_of(settings.mongo.url), _once(missing), lines))
    return f"enough for {', '.join(parts)}"


def _sentence(user: str, missing: Iterable[object], lines: Iterable[str]) -> str:
    who = f"The user {user}" if user else "The user"
    return f"{who} lacks: {'; '.join(map(str, missing))}. Grant it: {' ; '.join(lines)}"


def _once(rights: Iterable[Kind]) -> list[Kind]:
    return list(dict.fromkeys(rights))


def _user_of(url: str) -> str:
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    return unquote(login.partition(":")[0]) if at else ""
