"""Pages are measured over what was asked for, and nothing of it is left."""

from __future__ import annotations

import json
import sys

import pymongo
import pytest
import redis

from benchmarks import reads
from infra.settings import SettingsError
from tests.builders import settings_for


@pytest.fixture
def measured(engines, unique, monkeypatch, capsys):
    """Runs the command with these options; returns its exit code and what it printed."""
    settings = settings_for(engines, unique)
    monkeypatch.setattr(reads, "load_settings", lambda: settings)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["reads", *options])
        code = 0
        try:
            reads.main()
        except SystemExit as ended:
            code = ended.code
        return code, capsys.readouterr()

    return run


def test_pages_are_measured_and_nothing_is_left(measured, engines):
    code, printed = measured(
        "--conversations", "90", "--messages", "200", "--long", "50", "--requests", "2", "--json"
    )
    assert code == 0, printed.err
    found = json.loads(printed.out)
    whats = [
        "first page, warm Redis",
        "first page, emptied Redis",
        "next page",
        "snapshot, 20 messages each",
        "unread among 50 messages",
        "read mark among 50 messages",
    ]
    assert [(figure["what"], figure["count"]) for figure in found] == [(what, 2) for what in whats]
    assert all(0 < figure["best_ms"] <= figure["median_ms"] for figure in found)
    assert all(figure["loop_ms"] > 0 for figure in found)
    with pymongo.MongoClient(engines.mongo_url) as client:
        assert not [name for name in client.list_database_names() if name.startswith("reads_")]
    with redis.Redis.from_url(engines.redis_url) as client:
        assert not list(client.scan_iter("reads_*"))


def test_table_says_what_was_measured(measured):
    code, printed = measured("--conversations", "30", "--messages", "40", "--long", "5", "--requests", "1")
    assert code == 0, printed.err
    assert "30 conversations, 40 messages, pages of 20" in printed.out


def test_wrong_setting_is_one_sentence(measured, monkeypatch):
    def refused():
        raise SettingsError("RINGPOST_MONGO_URL is wrong.")

    monkeypatch.setattr(reads, "load_settings", refused)
    code, printed = measured()
    assert (code, printed.err) == (2, "RINGPOST_MONGO_URL is wrong.\n")


@pytest.mark.parametrize("busy_percent", [0, 100])
def test_each_conversation_gets_a_message_first(busy_percent):
    made = reads.places(4, 10, busy_percent)
    assert made[:4] == [(0, 1), (1, 1), (2, 1), (3, 1)]
    assert len(set(made)) == 10
    if busy_percent:
        assert made[4:] == [(0, seq) for seq in range(2, 8)]
