"""What commands find of a `ringpost up` that runs with the same data folder."""

from __future__ import annotations

import stat

import pytest

from infra.settings import SettingsError
from ringpost.running import (
    HERE,
    Running,
    announced,
    api_url,
    api_url_by_settings,
    find_running,
    settings_with_engines,
)

UP = Running(
    "http://127.0.0.1:8090", {"RINGPOST_REDIS_URL": "redis://up/0", "RINGPOST_MONGO_URL": "mongodb://up"}
)


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    for name in (
        "RINGPOST_MONGO_URL",
        "RINGPOST_KAFKA_BOOTSTRAP",
        "RINGPOST_REDIS_URL",
        "RINGPOST_HTTP_PORT",
    ):
        monkeypatch.setenv(name, "x")  # so that what the code sets is taken back
        monkeypatch.delenv(name)
    monkeypatch.setenv("RINGPOST_DATA_DIR", str(tmp_path))


def test_it_is_found_while_it_runs_and_by_its_user_alone(tmp_path):
    assert find_running(tmp_path) is None
    with announced(tmp_path, UP):
        assert find_running(tmp_path) == UP
        assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]
    assert list(tmp_path.iterdir()) == []


def test_file_that_a_killed_one_left_counts_for_nothing(tmp_path):
    with announced(tmp_path, UP):
        left = (tmp_path / "up.json").read_bytes()
    (tmp_path / "up.json").write_bytes(left)
    assert find_running(tmp_path) is None
    assert api_url(None) == HERE


def test_environment_comes_before_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RINGPOST_REDIS_URL", "redis://mine/0")
    with announced(tmp_path, UP):
        settings = settings_with_engines("mongo", "redis")
        assert (settings.mongo.url, settings.redis.url) == ("mongodb://up", "redis://mine/0")
        assert api_url("http://mine") == "http://mine"
        assert api_url(None) == api_url_by_settings(None, settings) == UP.url
        monkeypatch.setenv("RINGPOST_HTTP_PORT", "9000")
        assert api_url_by_settings(None, settings_with_engines()) == "http://127.0.0.1:9000"


def test_where_none_runs_it_is_said_what_was_looked_for(tmp_path):
    said = (
        rf"^`make up` is not running in this folder: .* data folder {tmp_path}\. "
        r"Set RINGPOST_REDIS_URL\. Without it"
    )
    with pytest.raises(SettingsError, match=said):
        settings_with_engines("redis")
