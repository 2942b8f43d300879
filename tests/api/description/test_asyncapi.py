"""The description of frames and records: valid, complete, and what really travels is as it says."""

from __future__ import annotations

import copy
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema_rs
import pytest

from api.app import VERSION
from api.asyncapi import describe_events
from api.gateway import frames as gateway_frames
from api.gateway.frames import ClientFrame, Close
from api.views_entries import EntryView
from api.views_frames import ServerFrame
from infra.kafka.topics import DLQ, LETTER_HEADERS, TOPICS
from tests.api.description.traffic import KINDS, UNREADABLE, Traffic, traffic

OFFICIAL = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text())
DESCRIPTION = describe_events(VERSION)
CHANNELS, MESSAGES = DESCRIPTION["channels"], DESCRIPTION["components"]["messages"]
SCHEMAS = DESCRIPTION["components"]["schemas"]


def tags(union: Any) -> list[str]:
    return [kind.__struct_config__.tag for kind in get_args(union)]


def payload_of(kind: Any) -> dict[str, Any]:
    """The schema of a frame, by way of the socket's messages."""
    reference = {"$ref": f"#/components/schemas/{kind.__name__}"}
    (found,) = {name for name in CHANNELS["connect"]["messages"] if MESSAGES[name]["payload"] == reference}
    return MESSAGES[found]["payload"]


def frame_types() -> list[str]:
    """The type of each message of the socket; a type stands twice where both sides send it."""
    names = list(CHANNELS["connect"]["messages"])
    return [name.removesuffix("_from_client").removesuffix("_from_server") for name in names]


def by_type(union: Any) -> dict[str, Any]:
    """A validator for each type of frame of one side."""
    return {kind.__struct_config__.tag: validator(payload_of(kind)) for kind in get_args(union)}


def everything(value: Any) -> Iterator[dict[str, Any]]:
    """Each object of the description."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from everything(inner)


def closed(schema: Any) -> Any:
    """The same schema, which also refuses fields that it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    stricter = {name: closed(value) for name, value in schema.items()}
    if "properties" in stricter and stricter.get("type") == "object":
        stricter.setdefault("additionalProperties", False)
    return stricter


def validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft7Validator(
        {"allOf": [closed(schema)], "components": closed(DESCRIPTION["components"])}
    )


@pytest.fixture(scope="module")
def travelled(engines, tmp_path_factory) -> Iterator[Traffic]:
    folder = tmp_path_factory.mktemp("traffic")
    with traffic(engines, f"t{secrets.token_hex(5)}", folder) as found:
        yield found


def test_description_is_asyncapi():
    jsonschema_rs.validator_for(OFFICIAL).validate(DESCRIPTION)


def test_the_schema_of_asyncapi_refuses_what_is_none():
    wrong = copy.deepcopy(DESCRIPTION)
    wrong["channels"]["connect"]["adress"] = "/v1/connect"
    assert not jsonschema_rs.validator_for(OFFICIAL).is_valid(wrong)


def test_every_reference_leads_somewhere():
    references = {one["$ref"] for one in everything(DESCRIPTION) if isinstance(one.get("$ref"), str)}
    assert len(references) > 50
    for reference in references:
        place: Any = DESCRIPTION
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
        assert place


def test_every_frame_is_on_the_socket_and_every_topic_a_channel():
    assert sorted(frame_types()) == sorted([*tags(ClientFrame), *tags(ServerFrame)])
    addresses = {channel["address"] for channel in CHANNELS.values()}
    assert addresses == {"/v1/connect", *("{prefix}" + topic.name for topic in TOPICS)}
    operations = {(one["action"], one["channel"]["$ref"]) for one in DESCRIPTION["operations"].values()}
    for topic in TOPICS:
        channel = f"#/channels/{topic.name.replace('.', '_')}"
        assert ("send", channel) in operations
        assert (("receive", channel) in operations) == bool(topic.groups)


def test_every_frame_that_the_gateway_writes_is_described():
    """The gateway names the type of a frame where it writes it."""
    sources = [path.read_text() for path in Path(gateway_frames.__file__).parent.glob("*.py")]
    written = re.compile(r'\bframe\(\s*"(\w+)"|b\'\{"type":"(\w+)"')
    found = {one or other for source in sources for one, other in written.findall(source)}
    assert found | {"sent"} == set(tags(ServerFrame))


def test_every_entry_is_in_the_entries_frame():
    listed = SCHEMAS["EntriesFrame"]["properties"]["entries"]["items"]["anyOf"]
    assert [one["$ref"].rpartition("/")[2] for one in listed] == [k.__name__ for k in get_args(EntryView)]


def test_close_codes_are_those_of_the_gateway():
    codes = CHANNELS["connect"]["x-close-codes"]
    assert [(one["code"], one["meaning"]) for one in codes] == [(int(code), code.reason) for code in Close]
    assert {one["code"] for one in codes if one["reconnect"]} == {code for code in Close if code < 4500}


def test_everything_is_described_in_sentences():
    said = {f"message {name}": one.get("summary", "") for name, one in MESSAGES.items()}
    said |= {f"channel {name}": one.get("description", "") for name, one in CHANNELS.items()}
    said |= {f"operation {name}": one["summary"] for name, one in DESCRIPTION["operations"].items()}
    for name, schema in SCHEMAS.items():
        said[f"schema {name}"] = schema.get("description", "")
        for inner in everything(schema):
            for field, about in inner.get("properties", {}).items():
                said[f"field {name}.{field}"] = about.get("description", "")
    assert len(said) > 150
    assert [place for place, text in said.items() if not re.search(r"\w.* .*[a-z0-9)`*][.]$", text)] == []


def test_examples_are_as_described():
    examples = [(one, example["payload"]) for one in MESSAGES.values() for example in one.get("examples", ())]
    assert len(examples) >= 10
    for one, payload in examples:
        validator(one["payload"]).validate(payload)


def test_served_description_is_this_one(travelled):
    assert travelled.served == DESCRIPTION


def test_frames_of_a_client_are_as_described(travelled):
    assert {frame["type"] for frame in travelled.said} == set(tags(ClientFrame))
    kinds = by_type(ClientFrame)
    refused = [frame for frame in travelled.said if not kinds[frame["type"]].is_valid(frame)]
    assert [frame.get("ref") for frame in refused] == ["two"]  # an empty text
    assert not kinds["ack"].is_valid({"type": "ack", "cursor": 1, "unknown": 1})
    assert not kinds["signal"].is_valid({"type": "signal", "conversation_id": "d:ann:bob", "signal": ""})


def test_frames_of_the_server_are_as_described(travelled):
    types = {frame["type"] for frame in travelled.frames}
    assert types == set(tags(ServerFrame))
    entries = [entry for frame in travelled.frames for entry in frame.get("entries", ())]
    assert {entry["type"] for entry in entries} >= KINDS
    kinds = by_type(ServerFrame)
    for frame in travelled.frames:
        kinds[frame["type"]].validate(frame)


def records_of(channel: str) -> dict[str, Any]:
    """Message name → its validator."""
    return {name: validator(MESSAGES[name]["payload"]) for name in CHANNELS[channel]["messages"]}


@pytest.mark.parametrize("topic", ["deliveries", "arrivals", "messages"])
def test_records_are_as_described(travelled, topic):
    """Each is one and only one of the messages of its channel."""
    kinds = records_of(topic)
    seen = set()
    for record in travelled.records[topic]:
        if record.value == UNREADABLE or b"9007199254740000" in record.value:
            continue
        matching = [name for name, kind in kinds.items() if kind.is_valid(json.loads(record.value))]
        assert len(matching) == 1, record.value
        seen.update(matching)
    assert seen == set(kinds)


def test_records_carry_every_type_of_entry(travelled):
    items = [item for record in travelled.records["arrivals"] for item in json.loads(record.value)["items"]]
    assert {item[3].get("type", "message") for item in items} >= KINDS


def test_dead_letters_are_as_described(travelled):
    letters = travelled.records["deliveries" + DLQ]
    assert [letter.value == UNREADABLE for letter in letters] == [True, False]
    headers = validator(MESSAGES["deliveries_letter"]["headers"])
    for letter in letters:
        found = {name: value.decode() for name, value in letter.headers}
        assert list(found) == list(LETTER_HEADERS)
        headers.validate(found)
    validator(MESSAGES["deliveries_letter"]["payload"]).validate(json.loads(letters[1].value))


def test_program_of_the_page_runs_as_it_stands(tmp_path):
    root = Path(__file__).parents[3]
    program = re.search(r"```python\n(.*?)```", (root / "docs" / "asyncapi.md").read_text(), re.DOTALL)
    assert program is not None
    (tmp_path / "asyncapi.json").write_text(json.dumps(DESCRIPTION))
    command = [sys.executable, "-c", program[1]]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
