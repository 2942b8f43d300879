"""What tells one log from another: its cluster, its topic, and the epoch of each partition's leader.

A topic that was deleted and made again has another id. A partition whose leader changed, or was away, has
another epoch, and may have lost what it had confirmed. aiokafka's own metadata request is older than these
fields, so this file defines a newer one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_API_KEY = 3
_VERSION = 12  # Kafka 3.1 and later


class Fingerprint(NamedTuple):
    """While it stays the same, the topic has not lost what it confirmed."""

    cluster_id: str
    topic_id: tuple[int, int]
    epochs: tuple[tuple[int, int], ...]
    """Partition and leader epoch."""


class _Response(Response):  # type: ignore[misc]
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Asked(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = _API_KEY
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("id_high", Int64),
                ("id_low", Int64),
                ("name", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicMetadata(Request[_Asked]):  # type: ignore[misc]
    """Asks a broker for one topic."""

    API_KEY = _API_KEY

    def __init__(self, topic: str, *, rights: bool = False) -> None:
        """`rights`: the answer tells the operations that the user is allowed, as bits."""
        self._topic = topic
        self._rights = rights

    def build(self, request_struct_class: type[_Asked]) -> _Asked:
        return request_struct_class([(0, 0, self._topic, {})], False, self._rights, {})


def fingerprint_of(response: Any) -> Fingerprint | None:
    """None while the topic, or the leader of one of its partitions, is not there."""
    error, _, id_high, id_low, _, partitions, *_ = response.topics[0]
    if error or any(partition[0] for partition in partitions):
        return None
    epochs = sorted((number, epoch) for _, number, _, epoch, *_ in partitions)
    return Fingerprint(response.cluster_id, (id_high, id_low), tuple(epochs))
