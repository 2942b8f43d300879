"""Every call of the description works as it is filled in, tried from the top of the page to its end."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import pytest

from tests.api.description.reader import JSON, Reader, calls, choices, examples
from tests.api.people import Server
from tests.docs.running import running


@pytest.fixture(scope="module")
def town(engines, tmp_path_factory):
    """A Ringpost that nobody has used, apart from ann's phone."""
    folder = tmp_path_factory.mktemp("description")
    with (
        running(engines, folder.name.replace("-", ""), folder) as ringpost,
        httpx.Client(base_url=ringpost.url, timeout=70) as http,
    ):
        server = Server(ringpost.url, ringpost.admin_key, http)
        token = server.person("ann").token
        yield server, http.get("/openapi.json").raise_for_status().json(), token


@pytest.fixture(scope="module")
def description(town):
    return town[1]


def valid(description: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    components = {"components": description["components"]}
    jsonschema_rs.validator_for({**schema, **components}).validate(value)


def shape(value: Any) -> Any:
    """The names in a JSON value; of a list the first element speaks for all."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value)


def test_each_call_succeeds_as_filled_in_and_answers_in_the_form_of_its_example(town):
    server, description, token = town
    reader = Reader(server.http, description, server.admin_key, token)
    page = calls(description)
    for call in page:
        answer = reader.execute(call)
        assert answer.is_success, f"{call.name}: {answer.status_code} {answer.text}"
        described = call.operation["responses"][str(answer.status_code)]["content"][JSON]
        valid(description, described["schema"], answer.json())
        (example,) = examples(described)
        if (
            isinstance(example, dict) and "conversations" not in example
        ):  # rows differ by their newest message
            assert shape(answer.json()) == shape(example), call.name
    again = {call.name: reader.execute(call).status_code for call in page}
    assert {name for name, status in again.items() if status != 200} == {"POST /v1/conversations"}


def test_each_further_example_succeeds_too(town):
    server, description, token = town
    reader = Reader(server.http, description, server.admin_key, token)
    tried = 0
    for call in calls(description):
        for choice in choices(call):
            answer = reader.execute(choice)
            assert answer.is_success, f"{choice.name}, example {choice.choice}: {answer.text}"
            tried += 1
    assert tried > len(calls(description))


def test_each_example_has_the_form_that_is_described(description):
    for call in calls(description):
        contents = [answer["content"][JSON] for answer in call.operation["responses"].values()]
        if "requestBody" in call.operation:
            contents.append(call.operation["requestBody"]["content"][JSON])
        for content in contents:
            assert examples(content), f"{call.name} has no example of one of its answers or of its request"
            for example in examples(content):
                valid(description, content["schema"], example)
        for parameter in call.operation.get("parameters", ()):
            for example in examples(parameter):
                valid(description, parameter["schema"], example)


def test_each_error_example_has_a_code_of_its_status(description):
    for call in calls(description):
        for status, answer in call.operation["responses"].items():
            if int(status) >= 400:
                codes = {example["error"]["code"] for example in examples(answer["content"][JSON])}
                assert all(f"`{code}`: " in answer["description"] for code in codes), (call.name, status)
