"""The rights that each part needs in Redis: as a command, and which of them the user lacks.

The commands inside a script are read from the script itself, so no right is forgotten here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from redis.exceptions import NoPermissionError

from infra.redis.client import Client, script_source
from infra.redis.keys import escaped
from infra.redis.link import translated

_CALL = re.compile(r"redis\.call\('([A-Z]+)'")
_FUNCTION = re.compile(r"^local function (\w+)\((.*?)^end$", re.DOTALL | re.MULTILINE)
_EVERYWHERE = ("ping", "info", "select", "evalsha", "script|load")
_WITHOUT_KEY = {
    "ping": (),
    "info": (),
    "time": (),
    "scan": ("0",),
    "select": ("0",),
    "evalsha": ("0" * 40, "0"),
    "script|load": ("return 0",),
    "unsubscribe": (),
}
"""What follows the command when the doctor asks for it."""

_ON_KEYS_ALONE = ("del", "exists", "subscribe")
_ON_A_CHANNEL = ("publish", "subscribe")


@dataclass(frozen=True)
class Access:
    """What a part does. Keys and channels stand without the prefix of the settings; `*` is anything."""

    scripts: tuple[str, ...]
    commands: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def all_commands(self) -> list[str]:
        """In lower case; a subcommand as in `script|load`."""
        inside = {name.lower() for script in self.scripts for name in _called(script_source(script))}
        return sorted({*_EVERYWHERE, *self.commands, *inside})


def _called(script: str) -> set[str]:
    """What a script calls, and what those of its functions call that it uses."""
    functions = dict(_FUNCTION.findall(script))
    own = _FUNCTION.sub("", script)
    used = [own, *(body for name, body in functions.items() if f"{name}(" in own)]
    return {name for text in used for name in _CALL.findall(text)}


_USERS, _CONVERSATIONS, _GATEWAYS = "{u:*", "{c:*", "gateway:*"

RIGHTS: dict[str, Access] = {
    "api": Access(
        (
            *("begin_fill", "fill", "read", "keep_recent", "read_recent"),
            *("number", "raise", "restore", "renew", "stands"),
            *("places", "watch", "watchers"),
        ),
        ("hget", "publish", "set", "subscribe", "unsubscribe"),
        (_USERS, _CONVERSATIONS, _GATEWAYS),
        (_GATEWAYS,),
    ),
    "inbox": Access(("append", "replace"), ("del", "scan"), (_USERS,)),
    "push": Access(("places",), ("publish",), (_USERS,), (_GATEWAYS,)),
    "relay": Access(("restore",), (), (_CONVERSATIONS,)),
}
"""Part → what it does in Redis."""


def command(user: str, access: Access, prefix: str) -> str:
    """The command that makes such a user, with its password to be filled in; one that exists gets more."""
    rules = [f"~{escaped(prefix)}{key}" for key in access.keys]
    rules += [f"&{escaped(prefix)}{channel}" for channel in access.channels]
    rules += [f"+{name}" for name in access.all_commands]
    return f"ACL SETUSER {user} on >PASSWORD {' '.join(rules)}"


async def missing_rights(client: Client, access: Access, prefix: str) -> list[str]:
    """As they would stand in `ACL SETUSER`. Raises Unavailable.

    Without the right to run scripts nothing else can be told.
    """
    probes = list(_probes(access, prefix))
    question = json.dumps([probe.words for probe in probes])
    with translated():
        try:
            script = await client.script_load(script_source("rights"))
            answer = await client.evalsha(script, 0, question)
        except NoPermissionError as error:
            refused = [one for one in ("script|load", "evalsha") if f"'{one}'" in str(error)]
            return [f"+{one}" for one in refused or ("evalsha", "script|load")]
    asked = dict.fromkeys(right for probe in probes for right in probe.rights)
    allowed = [probe for probe, yes in zip(probes, answer, strict=True) if yes]
    granted = {right for probe in allowed for right in probe.rights}
    return [right for right in asked if right not in granted]


class _Probe(NamedTuple):
    """A whole command, and the rights that it shows to be there if it is allowed.

    It must be whole: Redis 7 and 8 crash on a question about one that lacks arguments.
    """

    words: list[str]
    rights: list[str]


def _probes(access: Access, prefix: str) -> Iterator[_Probe]:
    """Each command with each key and channel, so that a right is found whichever others are missing."""
    for name in access.all_commands:
        if name in _WITHOUT_KEY:
            yield _Probe([*name.split("|"), *_WITHOUT_KEY[name]], [f"+{name}"])
            continue
        sign, patterns = ("&", access.channels) if name in _ON_A_CHANNEL else ("~", access.keys)
        for pattern in patterns:
            place = prefix + pattern.replace("*", "doctor")
            values = [] if name in _ON_KEYS_ALONE else ["0", "0"]
            yield _Probe([name, place, *values], [f"+{name}", f"{sign}{escaped(prefix)}{pattern}"])
