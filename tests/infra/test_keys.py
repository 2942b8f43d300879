from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from infra.keys import Keys, find_admin_key, load_keys
from infra.settings import AuthSettings, SettingsError

ADMIN = "an admin key for tests"
TOKEN = "a token key that is long enough for HS256"


@pytest.fixture
def auth(tmp_path, monkeypatch):
    monkeypatch.delenv("RINGPOST_ADMIN_KEY", raising=False)
    monkeypatch.delenv("RINGPOST_TOKEN_KEY", raising=False)
    return lambda **keys: AuthSettings(data_dir=tmp_path / "data", **keys)


def test_keys_are_made_once_and_kept(auth):
    first = load_keys(auth())
    assert load_keys(auth()) == first
    assert len(first.token) >= 64
    assert first.admin != first.token


def test_keys_are_readable_by_their_owner_alone(auth, tmp_path):
    load_keys(auth())
    assert stat.S_IMODE((tmp_path / "data/keys.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["keys.json"]


def test_keys_of_the_settings_win_and_nothing_is_written(auth, tmp_path):
    given = auth(admin_key=SecretStr(ADMIN), token_key=SecretStr(TOKEN))
    assert load_keys(given) == Keys(ADMIN, TOKEN)
    assert not (tmp_path / "data").exists()


def test_one_key_given_the_other_is_made(auth):
    made = load_keys(auth(admin_key=SecretStr(ADMIN)))
    assert made == Keys(ADMIN, load_keys(auth()).token)


def test_many_that_start_at_once_agree(auth):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: load_keys(auth()), range(16)))) == 1


def test_admin_key_is_found_where_a_ringpost_was_started(auth):
    assert find_admin_key(auth(admin_key=SecretStr(ADMIN))) == ADMIN
    assert load_keys(auth()).admin == find_admin_key(auth())


def test_who_only_looks_for_the_admin_key_makes_none_and_is_told_where_it_was_looked_for(auth, tmp_path):
    with pytest.raises(SettingsError, match=f"RINGPOST_ADMIN_KEY.* {tmp_path}/data/keys.json"):
        find_admin_key(auth())
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made_is_named_by_its_variable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        SettingsError, match=f"^RINGPOST_DATA_DIR must be a folder .* {tmp_path}/file/data cannot"
    ):
        load_keys(AuthSettings(data_dir=tmp_path / "file/data"))


@pytest.mark.parametrize("kept", ["", "[]", "{}", "no JSON", '{"admin": "a"}'])
def test_file_without_keys_is_named(auth, tmp_path, kept):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/keys.json").write_text(kept)
    with pytest.raises(SettingsError, match="does not hold the keys"):
        load_keys(auth())
