"""The description says of everything in it, in words, what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.description.examples import EXAMPLES
from api.description.operations import OPERATIONS, TAGS
from api.description.refusals import REFUSALS
from domain.errors import every_error
from tests.api.description.reader import calls


@pytest.fixture(scope="module")
def description(server):
    return server.http.get("/openapi.json").raise_for_status().json()


def described(place: str, schema: Any) -> Iterator[tuple[str, str]]:
    """Each property below a schema, with its description."""
    if isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from described(f"{place}[{number}]", inner)
    elif isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            yield f"{place}.{name}", field.get("description", "")
        for name, inner in schema.items():
            if name not in {"example", "examples", "enum", "required"}:
                yield from described(f"{place}.{name}", inner)


def texts(description: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Everything that must be said in words, with the place where it stands."""
    yield "info", description["info"]["description"].rstrip().removesuffix("</details>").rstrip()
    for tag in description["tags"]:
        yield f"tag {tag['name']}", tag["description"]
    components = description["components"]
    for name, scheme in components["securitySchemes"].items():
        yield name, scheme["description"]
    for name, schema in components["schemas"].items():
        yield name, schema.get("description", "")
    yield from described("schemas", components["schemas"])
    for call in calls(description):
        yield call.name, call.operation.get("description", "")
        for parameter in call.operation.get("parameters", ()):
            yield f"{call.name} {parameter['name']}", parameter.get("description", "")
        for status, answer in call.operation["responses"].items():
            yield f"{call.name} {status}", answer["description"]
            for name, header in answer.get("headers", {}).items():
                yield f"{call.name} {status} {name}", header["description"]


def test_every_field_parameter_and_status_is_described_in_sentences(description):
    said = dict(texts(description))
    assert len(said) > 150, "the walk over the description finds little of it"
    lacking = [place for place, text in said.items() if not re.search(r"[a-z0-9)`*][.]$", text)]
    assert not lacking
    vague = [place for place, text in said.items() if re.search(r"TODO|TBD|FIXME|lorem|^Done\.$|\?\?", text)]
    assert not vague
    assert not [place for place, text in said.items() if len(text.split()) < 2]


def test_no_sentence_of_the_description_is_long(description):
    for place, text in texts(description):
        prose = re.sub(r"^(\||\d\.|\*|<).*$|`[^`]*`|<[^>]*>", "", text, flags=re.MULTILINE)
        for sentence in re.split(r"(?<=[.:;!?])\s+|\n\n", prose):
            assert len(sentence.split()) <= 30, (place, sentence)


def test_each_call_and_each_error_has_its_text(description):
    names = {call.name for call in calls(description)}
    assert names == set(OPERATIONS) == set(EXAMPLES)
    assert set(REFUSALS) == set(every_error()[1:])
    assert {call.operation["tags"][0] for call in calls(description)} == set(TAGS)


def test_each_secret_is_named_where_it_is_needed(description):
    admin = {call.name for call in calls(description) if call.operation["security"] == [{"admin_key": []}]}
    assert admin == {"PUT /v1/users/{user_id}", "POST /v1/tokens"}
    assert set(description["components"]["securitySchemes"]) == {"admin_key", "device_token"}


def test_the_introduction_has_the_codes_and_limits_of_the_code(description):
    text = description["info"]["description"]
    assert not re.search(r"\{(?!user_id)[a-z_]+\}", text), "a figure was not filled in"
    assert all(f"| `{error.code}` |" in text for error in every_error())
    assert "/v1/connect" in text


def test_addresses_are_relative(description):
    assert [server["url"] for server in description["servers"]] == ["."]


def test_the_page_and_its_files_are_served_by_ringpost_alone(server):
    page = server.http.get("/docs")
    addresses = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(addresses) >= 6
    assert not [address for address in addresses if address.startswith("/") or ":" in address]
    assert {server.http.get(f"/{address}").status_code for address in addresses} == {200}
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
