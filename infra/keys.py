"""The admin key and the token key: from the settings, else made once and kept in the data folder."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import NamedTuple

from infra.settings import AuthSettings


class Keys(NamedTuple):
    """Secrets: never logged, never sent."""

    admin: str
    token: str


def load_keys(auth: AuthSettings) -> Keys:
    """Both keys; what is absent is made at first start, the same for all processes of one data folder."""
    admin, token = auth.admin_key.get_secret_value(), auth.token_key.get_secret_value()
    if admin and token:
        return Keys(admin, token)
    kept = _kept(auth.data_dir / "keys.json")
    return Keys(admin or kept.admin, token or kept.token)


def _kept(path: Path) -> Keys:
    path.parent.mkdir(parents=True, exist_ok=True)
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
    stored = json.loads(path.read_text())
    return Keys(stored["admin"], stored["token"])
