"""The topics on Kafka in the AsyncAPI description: who writes them, who reads them, and their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domain.entries import OWN_TYPES
from domain.events import Arrival, Arrivals, Deliveries, Delivery
from infra.kafka.topics import ARRIVALS, DELIVERIES, DLQ, LETTER_HEADERS, MESSAGES, TOPICS, Topic

_RECORDS = {DELIVERIES: Deliveries, ARRIVALS: Arrivals}
_OTHER_FORMS = "Version 0.1 wrote one message in each record, as an object. Ringpost still reads these."
_KAFKA = (
    "For programs of the operator, not for devices. "
    "`messages` is for observers. The other topics are the way between the parts of Ringpost."
)


class Log:
    """`schemas` are those of the frames and records. It adds what entries carry before they have a number:
    an entry `EditEntry` without its `seq` is an `EditRecord`.
    """

    def __init__(self, schemas: dict[str, Any], entries: Sequence[str]) -> None:
        self.schemas = schemas
        self._carried: dict[str, str] = {}
        for entry in entries:
            schema = schemas[entry]
            type_ = schema["properties"]["type"]["enum"][0]
            if type_ == "message":
                self._carried[type_] = "MessageView"
            else:
                self._carried[type_] = name = entry.replace("Entry", "Record")
                schemas[name] = _without_seq(schema, name)
        any_of = [_ref(name) for name in self._carried.values()]
        schemas["Carried"] = {
            "title": "Carried",
            "description": "A message, or what an entry of another type carries.",
            "anyOf": any_of,
        }
        for item in (Delivery, Arrival):
            _name_elements(schemas[item.__name__], item.__struct_fields__)
            schemas[item.__name__]["description"] = _first_sentence(item)

    def server(self) -> dict[str, Any]:
        return {
            "host": "{bootstrap}",
            "protocol": "kafka",
            "description": _KAFKA,
            "variables": {
                "bootstrap": {
                    "default": "127.0.0.1:9092",
                    "description": "The brokers, as in `RINGPOST_KAFKA_BOOTSTRAP`.",
                }
            },
        }

    def channels(self) -> dict[str, Any]:
        prefix = {"default": "", "description": "The value of `RINGPOST_KAFKA_TOPIC_PREFIX`."}
        return {
            _id(topic.name): {
                "address": "{prefix}" + topic.name,
                "title": topic.name,
                "description": _description(topic),
                "servers": [{"$ref": "#/servers/kafka"}],
                "parameters": {"prefix": prefix},
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in self._of_topic(topic)
                },
            }
            for topic in TOPICS
        }

    def operations(self) -> dict[str, Any]:
        operations: dict[str, Any] = {}
        for topic in TOPICS:
            channel = {"$ref": f"#/channels/{_id(topic.name)}"}
            operations[f"send_{_id(topic.name)}"] = {
                "action": "send",
                "channel": channel,
                "summary": f"Ringpost writes `{topic.name}`.",
            }
            for group in topic.groups:
                text = f"`RINGPOST_KAFKA_TOPIC_PREFIX` and `{group}`."
                operations[f"receive_{_id(topic.name)}"] = {
                    "action": "receive",
                    "channel": channel,
                    "summary": f"The worker {group} reads `{topic.name}`.",
                    "bindings": {
                        "kafka": {
                            "groupId": {"type": "string", "description": text},
                            "bindingVersion": "0.5.0",
                        }
                    },
                }
        return operations

    def messages(self) -> dict[str, Any]:
        """Every kind of record, by name."""
        made: dict[str, Any] = {}
        for topic in TOPICS:
            if topic.name in _RECORDS:
                kind = _RECORDS[topic.name]
                text = f"{_first_sentence(kind)} {_OTHER_FORMS}"
                made[f"{topic.name}_record"] = _record(topic, text, _ref(kind.__name__))
        for type_, schema in self._observed().items():
            text = f"A `{type_}`, as an entry carries it." if type_ != "message" else "A stored message."
            made[f"{type_}_record"] = _record(_topic(MESSAGES), text, _ref(schema))
        for topic in TOPICS:
            if topic.name.endswith(DLQ):
                made |= _letters(topic)
        return made

    def _of_topic(self, topic: Topic) -> list[str]:
        if topic.name in _RECORDS:
            return [f"{topic.name}_record"]
        if topic.name == MESSAGES:
            return [f"{type_}_record" for type_ in self._observed()]
        return list(_letters(topic))

    def _observed(self) -> Mapping[str, str]:
        """What `messages` has: everything but own state."""
        return {type_: name for type_, name in self._carried.items() if type_ not in OWN_TYPES}


def _topic(name: str) -> Topic:
    return next(topic for topic in TOPICS if topic.name == name)


def _id(topic: str) -> str:
    """A dot has a meaning in some tools."""
    return topic.replace(".", "_")


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _first_sentence(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _description(topic: Topic) -> str:
    readers = f" The group `{topic.groups[0]}` reads it." if topic.groups else ""
    return f"One record is {topic.record}.{readers}"


def _without_seq(schema: Mapping[str, Any], title: str) -> dict[str, Any]:
    fields = {name: field for name, field in schema["properties"].items() if name != "seq"}
    required = [name for name in schema["required"] if name != "seq"]
    return {**schema, "title": title, "properties": fields, "required": required}


def _name_elements(schema: dict[str, Any], names: Sequence[str]) -> None:
    """An item is an array: say what its elements are. `message` is any of what entries carry."""
    for element, name in zip(schema["items"], names, strict=True):
        element["title"] = name
        if name == "message":
            element["allOf"] = [_ref("Carried")]


def _record(topic: Topic, summary: str, payload: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "summary": summary,
        "payload": payload,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The key of a record: {topic.key}."},
                "bindingVersion": "0.5.0",
            }
        },
        **more,
    }


def _letters(topic: Topic) -> dict[str, Any]:
    """A dead letter is a record of one message, or a whole record that nobody can read."""
    origin = topic.name.removesuffix(DLQ)
    headers = {
        "type": "object",
        "properties": {
            name: {"type": "string", "description": text} for name, text in LETTER_HEADERS.items()
        },
        "required": list(LETTER_HEADERS),
    }
    one = {
        "type": "object",
        "properties": {
            "type": {"const": origin, "description": f"Always `{origin}`."},
            "items": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": {},
                "description": "The item that was refused. Its form may be wrong.",
            },
        },
        "required": ["type", "items"],
    }
    return {
        f"{origin}_letter": _record(topic, "One message of a record, to be replayed.", one, headers=headers),
        f"{origin}_unreadable": _record(
            topic,
            "A whole record that cannot be read, as it was.",
            {},
            headers=headers,
            contentType="application/octet-stream",
        ),
    }
