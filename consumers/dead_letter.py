"""Records that cannot be processed: kept on `<topic>.dlq` with the reason, so that a tool can replay them."""

from __future__ import annotations

from domain.events import Broken
from infra.kafka.publisher import Publisher, Record
from infra.kafka.reader import LogRecord
from infra.kafka.topics import DLQ
from infra.telemetry.logs import logger
from infra.telemetry.names import DEAD_LETTERS


async def bury(publisher: Publisher, topic: str, group: str, record: LogRecord, letter: Broken) -> None:
    """Durable on the dead letter topic, in the same partition, when it returns. Raises Unavailable.

    The record may hold other messages. The letter is of one of them, or it is the whole record.
    """
    error = letter.error
    headers = (
        ("topic", topic.encode()),
        ("partition", b"%d" % record.partition),
        ("offset", b"%d" % record.offset),
        ("timestamp", b"%d" % record.timestamp),
        ("group", group.encode()),
        ("error", type(error).__name__.encode()),
        ("message", str(error).encode()[:1000]),
    )
    buried = Record(topic + DLQ, record.partition, record.key or b"", letter.record, headers)
    await (await publisher.enqueue([buried])).confirmed()
    DEAD_LETTERS.labels(topic).inc()
    logger().error(
        "record put on the dead letter topic",
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        error=type(error).__name__,
    )
