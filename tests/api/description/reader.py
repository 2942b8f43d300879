"""Who reads the description and tries each call as the page fills it in, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx

from tests.api.people import bearer

JSON = "application/json"


class Call(NamedTuple):
    """One call as the page shows it; `choice` is the number of the example that is chosen."""

    path: str
    method: str
    operation: dict[str, Any]
    choice: int = 0

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"


def calls(description: dict[str, Any]) -> list[Call]:
    """In the order of the page: by tag, then as the paths stand."""
    found = [
        Call(path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    tags = [tag["name"] for tag in description["tags"]]
    return sorted(found, key=lambda call: tags.index(call.operation["tags"][0]))


def choices(call: Call) -> Iterator[Call]:
    """The call with each of the examples of its body."""
    content = call.operation.get("requestBody", {}).get("content", {JSON: {}})[JSON]
    for choice in range(max(1, len(content.get("examples", ())))):
        yield call._replace(choice=choice)


def examples(described: dict[str, Any]) -> list[Any]:
    """The values of an `example`, or of `examples`; none if there are none."""
    if "example" in described:
        return [described["example"]]
    return [one["value"] for one in described.get("examples", {}).values()]


class Reader:
    """Holds both secrets; fills in what the links of earlier answers bring."""

    def __init__(self, http: httpx.Client, description: dict[str, Any], admin_key: str, token: str) -> None:
        self._http = http
        self._description = description
        self._secrets = {"admin_key": admin_key, "device_token": token}
        self._linked: dict[tuple[str, str], Any] = {}

    def execute(self, call: Call) -> httpx.Response:
        """Exactly what is filled in is sent."""
        path, query = call.path, {}
        for parameter in call.operation.get("parameters", ()):
            values = examples(parameter)
            value = self._linked.get((call.operation["operationId"], parameter["name"]))
            if value is None and values:
                value = values[min(call.choice, len(values) - 1)]
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", value)
            elif value is not None:
                query[parameter["name"]] = value
        body = call.operation.get("requestBody")
        content = {} if body is None else {"json": examples(body["content"][JSON])[call.choice]}
        (scheme,) = call.operation["security"][0]
        headers = bearer(self._secrets[scheme])
        answer = self._http.request(call.method, path, params=query, headers=headers, **content)
        self._follow(call, answer)
        return answer

    def _follow(self, call: Call, answer: httpx.Response) -> None:
        links = call.operation["responses"].get(str(answer.status_code), {}).get("links", {})
        for link in links.values():
            for name, source in link["parameters"].items():
                value = answer.json()[source.removeprefix("$response.body#/")]
                if value.startswith("g:"):  # as the page does it: a direct conversation is no group
                    self._linked[link["operationId"], name] = value
