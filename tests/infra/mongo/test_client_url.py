"""What is said of a URL of MongoDB that the driver refuses. Nothing connects."""

from __future__ import annotations

import pytest

from domain.errors import Unavailable
from infra.mongo.client import open_database
from infra.settings import MongoSettings, SettingsError

LOGIN = "mongodb://me:hush@h"


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
@pytest.mark.parametrize(
    "url, said",
    [
        (
            f"{LOGIN}/?tls=true&tlsCAFile=/nowhere/ca.pem",
            "names the file /nowhere/ca.pem, which cannot be read",
        ),
        (f"{LOGIN}/?minPoolSize=1&foo=1", r"cannot be used: the driver refuses its option foo\.$"),
        (f"{LOGIN}/?journal=maybe", r"the driver refuses its option journal\.$"),
        (f"{LOGIN}/?authMechanism=NO", r"the driver refuses its option authMechanism\.$"),
        (f"{LOGIN}/?x", r"cannot be used: check its user, its hosts and its options\.$"),
        (f"{LOGIN},i/?directConnection=true", r"the driver refuses its option directConnection\.$"),
        (f"{LOGIN}/?appName=a@b&foo=1", r"cannot be used: check its user, its hosts and its options\.$"),
    ],
)
async def test_refused_url_is_said_in_our_words_without_its_password(driver, url, said):
    with pytest.raises(SettingsError, match=f"^RINGPOST_MONGO_URL .*{said}") as refused:
        async with open_database(MongoSettings(url=url, driver=driver)):
            pass
    assert not [word for word in ("hush", "docstring", "Errno", "quote_plus") if word in str(refused.value)]


@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_host_that_dns_does_not_have_is_named_by_its_setting(driver):
    async with open_database(MongoSettings(url="mongodb+srv://h.invalid", driver=driver)) as database:
        with pytest.raises(Unavailable, match=r"^RINGPOST_MONGO_URL cannot be used: DNS"):
            await database.ping()
