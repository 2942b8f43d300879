"""The rights that each part needs in Kafka: as commands, and which of them the user lacks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, for_code
from aiokafka.protocol.admin import DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.types import Array, Boolean, Schema, String

from infra.kafka.clients import Log, translated
from infra.kafka.metadata import TopicMetadata
from infra.kafka.topics import ARRIVALS, DELIVERIES, DLQ, MESSAGES, TOPICS

_CODES = {"Read": 3, "Write": 4, "Create": 5, "Delete": 6, "Describe": 8}
_REFUSED = (29, 30)  # the topic, the group
_UNKNOWN = -(2**31)
_ALL = -1


class Right(NamedTuple):
    """One operation on one topic or group of the catalogue, whose name stands here without its prefix."""

    operation: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.name}"


def _topics(operation: str, *names: str) -> tuple[Right, ...]:
    return tuple(Right(operation, "topic", name) for name in names)


def _groups(operation: str, *names: str) -> tuple[Right, ...]:
    return tuple(Right(operation, "group", name) for name in names)


_NAMES = tuple(topic.name for topic in TOPICS)
_SPREAD = _topics("Write", DELIVERIES, MESSAGES)

RIGHTS: dict[str, tuple[Right, ...]] = {
    "api": (*_topics("Describe", *_NAMES), *_SPREAD, *_groups("Describe", "inbox")),
    "inbox": (
        *_topics("Describe", *_NAMES),
        *_topics("Read", DELIVERIES),
        *_topics("Write", ARRIVALS, DELIVERIES + DLQ),
        *_groups("Read", "inbox"),
    ),
    "push": (
        *_topics("Describe", *_NAMES),
        *_topics("Read", ARRIVALS),
        *_topics("Write", ARRIVALS + DLQ),
        *_groups("Read", "push"),
    ),
    "relay": (*_topics("Describe", *_NAMES), *_SPREAD, *_groups("Describe", "inbox", "push")),
    "topics": (
        *_topics("Describe", *_NAMES),
        *_topics("Create", *_NAMES),
        *_topics("Read", DELIVERIES + DLQ, ARRIVALS + DLQ),
        *_topics("Delete", DELIVERIES + DLQ, ARRIVALS + DLQ),
        *_topics("Write", DELIVERIES, ARRIVALS),
        *_groups("Describe", "inbox", "push"),
    ),
}
"""Part → its rights when the topics are there. `topics` is the command of that name, which creates them."""

CREATING = _topics("Create", *_NAMES)
"""What a part needs besides to create topics that are missing."""


def commands(user: str, rights: Iterable[Right], prefix: str = "") -> list[str]:
    """Lines of `kafka-acls.sh` that give the user these rights; `prefix` is that of the settings."""
    lines = []
    for (kind, operation), some in groupby(sorted(rights, key=_place), key=_place):
        names = " ".join(f"--{kind} {prefix}{right.name}" for right in some)
        lines.append(
            f"kafka-acls.sh $ADMIN --add --allow-principal User:{user} --operation {operation} {names}"
        )
    return lines


def _place(right: Right) -> tuple[str, str]:
    return right.kind, right.operation


async def missing_rights(log: Log, rights: Sequence[Right]) -> list[Right]:
    """Those that Kafka would not grant to the user of these settings. Raises Unavailable.

    What there is to say of a topic that does not exist is nothing, unless the user may not even know that.
    """
    allowed: dict[tuple[str, str], int] = {}
    async with log.admin() as admin:
        for kind, name in dict.fromkeys((right.kind, right.name) for right in rights):
            of_kind = _of_topic if kind == "topic" else _of_group
            with translated():
                allowed[kind, name] = await of_kind(log, admin, name)
    return [right for right in rights if not allowed[right.kind, right.name] & (1 << _CODES[right.operation])]


async def _of_topic(log: Log, admin: AIOKafkaAdminClient, name: str) -> int:
    """The operations that are allowed, one bit each."""
    response = await admin._send_request(TopicMetadata(log.topic(name), rights=True))  # noqa: SLF001
    error, *_, operations, _ = response.topics[0]
    if error in _REFUSED:
        return 0
    return _ALL if operations == _UNKNOWN else int(operations)


async def _of_group(log: Log, admin: AIOKafkaAdminClient, name: str) -> int:
    try:
        coordinator = await admin.find_coordinator(log.group(name))
    except GroupAuthorizationFailedError:
        return 0
    response = await admin._send_request(_DescribeGroup(log.group(name)), coordinator)  # noqa: SLF001
    error, *_, operations = response.groups[0]
    if error in _REFUSED:
        return 0
    if error:
        raise for_code(error)
    return int(operations)


class _Asked(RequestStruct):  # type: ignore[misc]
    """As aiokafka has it, which reads the answer to it as if it had no rights in it."""

    API_KEY = DescribeGroupsResponse_v3.API_KEY
    API_VERSION = DescribeGroupsResponse_v3.API_VERSION
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = Schema(("groups", Array(String("utf-8"))), ("include_authorized_operations", Boolean))


class _DescribeGroup(Request[_Asked]):  # type: ignore[misc]
    API_KEY = DescribeGroupsResponse_v3.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_Asked]) -> _Asked:
        return request_struct_class([self._group], True)
