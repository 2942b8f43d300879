"""The commands of docs/security.md that give each part its rights, made from the catalogues."""

from __future__ import annotations

from infra.kafka.rights import CREATING as KAFKA_CREATING
from infra.kafka.rights import RIGHTS as KAFKA
from infra.kafka.rights import commands as kafka_commands
from infra.mongo.rights import CREATING as MONGO_CREATING
from infra.mongo.rights import RIGHTS as MONGO
from infra.mongo.rights import Actions, role
from infra.mongo.rights import command as mongo_command
from infra.redis.rights import RIGHTS as REDIS
from infra.redis.rights import command as redis_command
from infra.settings import MongoSettings, RedisSettings

BEGIN = "<!-- rights: made by `python -m tests.docs.tables` -->\n"
END = "<!-- /rights -->\n"
DATABASE = str(MongoSettings.model_fields["database"].default)
PREFIX = str(RedisSettings.model_fields["key_prefix"].default)
SETUP = "ringpost-setup"


def with_rights(page: str) -> str:
    """The page with its commands made anew."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + rights_section() + END + rest.partition(END)[2]


def rights_section() -> str:
    return "".join(_of_part(part) for part in KAFKA) + _creating()


def _of_part(part: str) -> str:
    user = f"ringpost-{part}"
    title = (
        "ringpost api" if part == "api" else f"ringpost {'topics' if part == 'topics' else f'worker {part}'}"
    )
    blocks = [f"\n### `{title}`\n"]
    if part in MONGO:
        made = mongo_command("createUser", {"user": user, "pwd": "PASSWORD", "roles": [user]})
        blocks.append(_block("js", _role(user, MONGO[part]), made))
    blocks.append(_block("sh", *kafka_commands(user, KAFKA[part])))
    if part in REDIS:
        blocks.append(_block("", redis_command(user, REDIS[part], PREFIX)))
    return "".join(blocks)


def _creating() -> str:
    return (
        "\n### Who creates what is missing\n\n"
        "`ringpost topics create` creates the topics. Its user above has the right to. The process that\n"
        "starts first creates the collections and indexes. Give its user this role for the first start:\n"
        + _block(
            "js", _role(SETUP, MONGO_CREATING), mongo_command("grantRolesToUser", "ringpost-api", [SETUP])
        )
        + "\nTake it back afterwards:\n"
        + _block("js", mongo_command("revokeRolesFromUser", "ringpost-api", [SETUP]))
        + "\nA part creates missing topics itself if its user has this right as well:\n"
        + _block("sh", *kafka_commands("ringpost-api", KAFKA_CREATING))
    )


def _role(name: str, rights: Actions) -> str:
    return mongo_command("createRole", role(name, rights, DATABASE))


def _block(language: str, *lines: str) -> str:
    return f"\n```{language}\n" + "\n".join(lines) + "\n```\n"
