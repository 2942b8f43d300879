"""Runs the commands of docs/security.md on secured engines, as an administrator would."""

from __future__ import annotations

import json
import re
import shlex
from argparse import ArgumentParser
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

from infra.kafka.clients import Log
from infra.settings import KafkaSettings
from tests.docs.tables import SECURITY
from tests.secured import ADMIN, SCRAM, Secured

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MONGO = re.compile(r'db\.getSiblingDB\("admin"\)\.(\w+)\((.*)\)')
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8}
_KINDS = {"topic": 2, "group": 3}
_LITERAL, _ALLOW = 3, 3


def documented(heading: str) -> list[str]:
    """The commands in the blocks below a heading of the page."""
    _, found, rest = SECURITY.read_text().partition(f"\n### {heading}\n")
    assert found, f"the page has no part about {heading}"
    section = re.split(r"^(?:##|<!--)", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return [line for _, block in _BLOCK.findall(section) for line in block.splitlines()]


async def run(secured: Secured, *commands: str) -> None:
    """One after the other. What the engine does not take is an error."""
    for command in commands:
        if command.startswith("kafka-acls.sh "):
            await _kafka_acls(secured, command)
        elif command.startswith("ACL "):
            await _redis(secured, command)
        else:
            await _mongosh(secured, command)


async def _redis(secured: Secured, command: str) -> None:
    client = secured.redis.admin()
    try:
        await client.execute_command(*command.replace("PASSWORD", secured.password).split())
    finally:
        await client.aclose()


async def _mongosh(secured: Secured, command: str) -> None:
    matched = _MONGO.fullmatch(command)
    assert matched, command
    verb, arguments = matched[1], json.loads(f"[{matched[2]}]")
    async with secured.mongo.admin() as client:
        await client.admin.command(_as_command(verb, arguments, secured.password))


def _as_command(verb: str, arguments: list[Any], password: str) -> dict[str, Any]:
    """What mongosh makes of its helpers."""
    match verb, arguments:
        case "createRole", [{"role": name, **rest}]:
            return {verb: name, **rest}
        case "createUser", [{"user": name, "pwd": "PASSWORD", **rest}]:
            return {verb: name, "pwd": password, **rest}
        case (("grantRolesToUser" | "revokeRolesFromUser"), [name, roles]):
            return {verb: name, "roles": roles}
        case (("grantPrivilegesToRole" | "revokePrivilegesFromRole"), [name, privileges]):
            return {verb: name, "privileges": privileges}
    raise AssertionError(f"mongosh has no such helper: {verb}")


def _parser() -> ArgumentParser:
    """As `kafka-acls.sh` takes them."""
    parser = ArgumentParser(exit_on_error=False)
    verb = parser.add_mutually_exclusive_group(required=True)
    verb.add_argument("--add", action="store_true")
    verb.add_argument("--remove", action="store_true")
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", choices=_OPERATIONS, required=True)
    for kind in _KINDS:
        parser.add_argument(f"--{kind}", action="append", default=[])
    return parser


async def _kafka_acls(secured: Secured, command: str) -> None:
    program, admin_options, *words = shlex.split(command)
    assert (program, admin_options) == ("kafka-acls.sh", "$ADMIN")
    asked = _parser().parse_args(words)
    async with Log(kafka_as(secured, ADMIN)).admin() as admin:
        for kind, code in _KINDS.items():
            for name in getattr(asked, kind):
                for operation in asked.operation:
                    rule = (code, name, _LITERAL, asked.allow_principal, "*", _OPERATIONS[operation], _ALLOW)
                    await _change(admin, CreateAclsRequest(*rule) if asked.add else DeleteAclsRequest(*rule))


async def _change(admin: AIOKafkaAdminClient, request: CreateAclsRequest | DeleteAclsRequest) -> None:
    response = await admin._send_to_controller(request)  # noqa: SLF001 - aiokafka has no verb for rights
    answers = getattr(response, "creation_responses", None) or response.filter_responses
    for code, message, *_ in answers:
        assert not code, f"{for_code(code)}: {message}"


def kafka_as(secured: Secured, user: str, **settings: Any) -> KafkaSettings:
    """Settings by which the user comes in."""
    given = {
        "bootstrap": secured.kafka.door("broker"),
        "security": "sasl_ssl",
        "sasl_mechanism": SCRAM,
        "username": user,
        "password": secured.password,
        "ca_file": str(secured.authority.file),
    }
    return KafkaSettings(**given | settings)
