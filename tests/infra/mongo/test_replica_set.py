from __future__ import annotations

import gc
import warnings

import pytest

from domain.errors import Unavailable
from infra.local.ports import free_port
from infra.mongo.replica_set import ready_replica_set
from infra.settings import MongoSettings, SettingsError


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch):
    monkeypatch.delenv("RINGPOST_MONGO_URL", raising=False)


async def test_a_replica_set_that_is_one_already_is_left_as_it_is(engines):
    address = engines.mongo_url.split("//")[1].split("/")[0]
    for _ in range(2):
        assert await ready_replica_set(MongoSettings(url=engines.mongo_url)) == address


async def test_a_server_that_does_not_answer_is_waited_for_until_the_deadline():
    settings = MongoSettings(url=f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0", timeout_s=0.2)
    with pytest.raises(Unavailable):
        await ready_replica_set(settings, deadline_s=0.3)
    with (
        warnings.catch_warnings()
    ):  # a driver that is closed while it connects leaves its socket to the collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize("url", ["", "mongodb://127.0.0.1:27017", "not a url"])
async def test_a_url_that_names_no_set_is_refused(url):
    with pytest.raises(SettingsError):
        await ready_replica_set(MongoSettings(url=url))
