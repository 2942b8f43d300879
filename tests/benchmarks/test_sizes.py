"""What is measured is what was written, nothing of it is left, and a wrong environment is one sentence."""

from __future__ import annotations

import json
import sys

import pymongo
import pytest
import redis

from benchmarks import sizes
from infra.settings import Settings
from tests.builders import settings_for

TEXT_BYTES = 200


@pytest.fixture
def measured(engines, unique, monkeypatch, capsys):
    """Runs the command with these options; returns its exit code and what it printed."""
    settings = settings_for(engines, unique)
    monkeypatch.setattr(sizes, "load_settings", lambda: settings)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["sizes", "--text-bytes", str(TEXT_BYTES), "--json", *options])
        code = 0
        try:
            sizes.main()
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr()

    return run


def test_every_size_is_more_than_the_text_that_it_holds_and_nothing_is_left(measured, engines):
    code, printed = measured("--messages", "400")
    assert code == 0, printed.err
    message, line, entry, online = json.loads(printed.out)
    assert [size["count"] for size in (message, line, entry)] == [400, 800, 1000]
    assert message["bytes_each"] > entry["bytes_each"] > TEXT_BYTES
    assert 0 < line["bytes_each"] < message["bytes_each"]
    assert min(message["disk_bytes_each"], line["disk_bytes_each"], online["bytes_each"]) > 0
    with pymongo.MongoClient(engines.mongo_url) as client:
        assert not [name for name in client.list_database_names() if name.startswith("sizes_")]
    with redis.Redis.from_url(engines.redis_url) as client:
        assert not list(client.scan_iter("sizes_*"))


def test_engine_without_an_address_is_one_sentence(measured, monkeypatch):
    monkeypatch.delenv("RINGPOST_MONGO_URL", raising=False)
    monkeypatch.setattr(sizes, "load_settings", lambda: Settings({}))
    code, printed = measured("--messages", "10")
    assert code == 2
    assert len(printed.err.splitlines()) == 1


def test_each_message_has_a_line_in_two_timelines_without_a_gap():
    stored = sizes.messages(120, 10)
    lines = sizes.lines(stored)
    assert {(one.conversation_id, one.seq) for one in stored} == {(x.conversation_id, x.seq) for x in lines}
    for user in {line.user_id for line in lines}:
        mine = [line.inbox_seq for line in lines if line.user_id == user]
        assert mine == list(range(1, len(mine) + 1))
