"""The admin key and the token key: from the settings, else made once and kept in the data folder."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from infra.settings import AuthSettings, SettingsError


class Keys(NamedTuple):
    """Secrets: never logged, never sent."""

    admin: str
    token: str


def load_keys(auth: AuthSettings) -> Keys:
    """Both keys. The first start makes an absent key. All processes of one data folder get the same."""
    admin, token = auth.admin_key.get_secret_value(), auth.token_key.get_secret_value()
    if admin and token:
        return Keys(admin, token)
    kept = _kept(auth.data_dir / "keys.json")
    return Keys(admin or kept.admin, token or kept.token)


def find_admin_key(auth: AuthSettings) -> str:
    """The admin key of a Ringpost that was started before. Makes no key.

    SettingsError says where it looked.
    """
    if admin := auth.admin_key.get_secret_value():
        return admin
    path = (auth.data_dir / "keys.json").absolute()
    if not path.exists():
        raise SettingsError(
            f"There is no admin key: RINGPOST_ADMIN_KEY is not set, and there is no file {path}. "
            "Set RINGPOST_ADMIN_KEY, or set RINGPOST_DATA_DIR to the data folder of a running Ringpost."
        )
    return _stored(path).admin


def _kept(path: Path) -> Keys:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
    except OSError as error:
        raise SettingsError(
            "RINGPOST_DATA_DIR must be a folder that can be made and written to, "
            f"and {path.parent} cannot: {error.strerror}."
        ) from None
    return _stored(path)


def _make(path: Path) -> None:
    if not path.exists():
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")  # a process id is not unique across containers
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps({"admin": secrets.token_urlsafe(32), "token": secrets.token_urlsafe(48)}))
        try:
            os.link(fresh, path)  # only the first of several processes succeeds
        except FileExistsError:
            pass
        finally:
            fresh.unlink()


def _stored(path: Path) -> Keys:
    """Raises SettingsError if the file cannot be read or holds no keys."""
    try:
        stored = json.loads(path.read_text())
        return Keys(str(stored["admin"]), str(stored["token"]))
    except OSError as error:
        raise SettingsError(f"The file of the keys {path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"The file {path} does not hold the keys of a Ringpost.") from None
