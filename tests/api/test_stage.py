"""The stage is for this machine alone: who gets the page, and who gets its tokens."""

from __future__ import annotations

import httpx
import jwt
import pytest
from starlette.applications import Starlette

from api.caller import Callers
from api.stage import FILES, TOKEN_TTL_S, Stage
from infra.keys import Keys
from infra.mongo.accounts import AccountStore
from infra.mongo.client import open_database
from infra.settings import MongoSettings
from tests.api.people import refused
from tests.docs.running import ROOT, TOKEN_KEY

PORT = 8080
HERE = f"http://127.0.0.1:{PORT}"
TOKEN = "/stage/tokens/ann/window"
PAGE_LINES = 720


@pytest.fixture
async def accounts(engines, unique):
    async with open_database(MongoSettings(url=engines.mongo_url, database=unique)) as database:
        yield AccountStore(database)
        await database.drop()


@pytest.fixture
def ask(accounts):
    """A request as it comes in from this address; its URL says what the Host header is."""

    async def make(
        method: str, url: str, peer: str = "127.0.0.1", http_version: str = "1.1", **headers: str
    ) -> httpx.Response:
        stage = Stage(accounts, Callers(Keys("admin", TOKEN_KEY), "HS256"), PORT)
        app = Starlette(routes=stage.routes())

        async def spoken(scope, receive, send) -> None:
            await app({**scope, "http_version": http_version}, receive, send)

        transport = httpx.ASGITransport(spoken, client=(peer, 40_000))
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, headers=headers)

    return make


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
async def test_page_is_shown_to_this_machine(ask, host):
    for path in FILES:
        answer = await ask("GET", f"http://{host}:{PORT}{path}")
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
async def test_page_and_tokens_are_refused_to_another_machine(ask, peer):
    refused(await ask("GET", f"{HERE}/", peer), 403, "forbidden")
    refused(await ask("POST", HERE + TOKEN, peer, origin=HERE), 403, "forbidden")


@pytest.mark.parametrize(
    "host",
    [
        "chat.example.com",
        "chat.example.com:8080",
        "127.0.0.1:9090",
        "localhost",
        "localhost.example.com:8080",
    ],
)
async def test_page_and_tokens_are_refused_under_a_name_or_port_that_is_not_ours(ask, host):
    own = f"http://{host}"
    refused(await ask("GET", f"{own}/"), 403, "forbidden")
    refused(await ask("POST", own + TOKEN, origin=own), 403, "forbidden")


@pytest.mark.parametrize("sign", ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"])
async def test_page_and_tokens_are_refused_through_a_proxy(ask, sign):
    refused(await ask("GET", f"{HERE}/", **{sign: "127.0.0.1"}), 403, "forbidden")
    refused(await ask("POST", HERE + TOKEN, **{sign: "127.0.0.1", "origin": HERE}), 403, "forbidden")


async def test_page_and_tokens_are_refused_through_a_proxy_that_says_nothing_but_speaks_http_1_0(ask):
    refused(await ask("GET", f"{HERE}/", http_version="1.0"), 403, "forbidden")
    refused(await ask("POST", HERE + TOKEN, http_version="1.0", origin=HERE), 403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://chat.example.com"},
        {"origin": "null"},
        {"origin": "http://localhost:8080"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
        {"origin": HERE, "sec-fetch-site": "same-site"},
    ],
)
async def test_tokens_are_refused_to_other_pages_of_this_machine(ask, headers):
    refused(await ask("POST", HERE + TOKEN, **headers), 403, "forbidden")


@pytest.mark.parametrize("user", ["ann", "bob"])
async def test_own_page_gets_a_short_lived_token_of_ann_and_of_bob_and_both_exist_then(ask, accounts, user):
    path = f"/stage/tokens/{user}/window"
    answer = await ask("POST", HERE + path, origin=HERE, **{"sec-fetch-site": "same-origin"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    claims = jwt.decode(answer.json()["token"], TOKEN_KEY, algorithms=["HS256"])
    assert (claims["sub"], claims["dev"]) == (user, "window")
    assert claims["exp"] - claims["iat"] == TOKEN_TTL_S <= 900
    assert await accounts.unknown(["ann", "bob"]) == set()


@pytest.mark.parametrize(
    ("path", "field"), [("/stage/tokens/eve/window", "user_id"), ("/stage/tokens/ann/a b", "device_id")]
)
async def test_nobody_else_has_a_token_there(ask, path, field):
    assert refused(await ask("POST", HERE + path, origin=HERE), 400, "bad_request")["field"] == field


async def test_a_name_that_ann_has_already_stays(ask, accounts):
    await accounts.put_user("ann", "Ann of the application", 1)
    await ask("POST", HERE + TOKEN, origin=HERE)
    assert (await accounts.put_user("ann", None, 2)).name == "Ann of the application"


@pytest.mark.parametrize("path", [path for path in FILES if path != "/"])
def test_api_of_production_serves_no_file_of_the_page(server, path):
    refused(server.http.get(path), 404, "not_found")


def test_api_of_production_gives_out_no_tokens_and_its_root_is_not_the_page(server):
    refused(server.http.post(TOKEN, headers={"Origin": server.url}), 404, "not_found")
    assert "stage.js" not in server.http.get("/", follow_redirects=True).text


def test_whole_page_is_small_enough_to_be_read():
    files = [path for path in (ROOT / "web").iterdir() if path.suffix in {".html", ".css", ".js", ".svg"}]
    assert {path.name for path in files} == {name for name, _ in FILES.values()}
    assert sum(len(path.read_text().splitlines()) for path in files) <= PAGE_LINES
