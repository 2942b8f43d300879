from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from infra.settings import PARTS, SettingsError, load_settings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("RINGPOST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes the settings file and names it."""

    def write(text: str) -> None:
        path = tmp_path / "ringpost.toml"
        path.write_text(text)
        monkeypatch.setenv("RINGPOST_CONFIG", str(path))

    return write


def test_defaults_are_those_of_the_parts():
    settings = load_settings()
    assert {name: getattr(settings, name) for name in PARTS} == {name: part() for name, part in PARTS.items()}
    assert settings.ring.capacity == 1000


def test_file_overrides_defaults_and_the_environment_overrides_the_file(file, monkeypatch):
    file('[ring]\ncapacity = 7\nidle_ttl_s = 60\n[mongo]\nurl = "mongodb://file"\n')
    monkeypatch.setenv("RINGPOST_RING_CAPACITY", "9")
    settings = load_settings()
    assert (settings.ring.capacity, settings.ring.idle_ttl_s) == (9, 60)
    assert settings.mongo.url == "mongodb://file"


@pytest.mark.parametrize(
    "variable, value",
    [
        ("RINGPOST_RING_CAPACITY", "0"),
        ("RINGPOST_RING_CAPACITY", "many"),
        ("RINGPOST_MONGO_DRIVER", "other"),
        ("RINGPOST_KAFKA_PARTITIONS", "0"),
        ("RINGPOST_HTTP_PORT", "70000"),
        ("RINGPOST_REDIS_KEY_PREFIX", "{"),
        ("RINGPOST_TOKEN_ALGORITHM", "none"),
    ],
)
def test_bad_value_is_named_by_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()


@pytest.mark.parametrize("text", ["[rings]\ncapacity = 1", "[ring]\nsize = 1", "[ring", "ring = 1"])
def test_file_with_a_mistake_is_refused(file, text):
    file(text)
    with pytest.raises(SettingsError):
        load_settings()


def test_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("RINGPOST_CONFIG", "/nowhere/ringpost.toml")
    with pytest.raises(SettingsError, match=r"/nowhere/ringpost\.toml"):
        load_settings()


def test_missing_engines_are_named_by_their_variables(monkeypatch):
    monkeypatch.setenv("RINGPOST_REDIS_URL", "redis://x")
    with pytest.raises(SettingsError, match=r"^Set RINGPOST_MONGO_URL, RINGPOST_KAFKA_BOOTSTRAP\."):
        load_settings().need_engines()


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        load_settings().ring.capacity = 3


def test_secrets_are_not_shown(monkeypatch):
    monkeypatch.setenv("RINGPOST_ADMIN_KEY", "hush-hush")
    assert "hush-hush" not in repr(load_settings().auth)
