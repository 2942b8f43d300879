"""Where the Ringpost of a running `ringpost up` is. It says so in its data folder.

The file is for this user only. `up` holds a lock on it and removes it at its end. So what a killed `up` left
behind counts for nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infra.environment import SettingsError
from infra.local.folder import try_lock

if TYPE_CHECKING:
    from infra.settings import Settings

HERE = "http://127.0.0.1:8080"
_NAME = "up.json"
VARIABLES = {
    "mongo": "RINGPOST_MONGO_URL",
    "kafka": "RINGPOST_KAFKA_BOOTSTRAP",
    "redis": "RINGPOST_REDIS_URL",
}


class Running(NamedTuple):
    """The address of its API, and those of its own engines as settings."""

    url: str
    engines: Mapping[str, str]


@contextmanager
def announced(folder: Path, running: Running) -> Iterator[None]:
    """Other commands with this data folder find it until the block ends."""
    path = folder / _NAME
    fresh = folder / f"up.{secrets.token_hex(4)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, json.dumps(running._asdict()).encode())
        fresh.replace(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def find_running(folder: Path) -> Running | None:
    """The `ringpost up` that runs with this data folder."""
    try:
        with (folder / _NAME).open() as file:
            if try_lock(file.fileno(), fcntl.LOCK_SH):
                return None  # nobody runs who holds it
            said = json.load(file)
        return Running(str(said["url"]), {str(name): str(text) for name, text in said["engines"].items()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def without_address(settings: Settings) -> list[str]:
    """The engines to which the settings give no address."""
    given = {"mongo": settings.mongo.url, "kafka": settings.kafka.bootstrap, "redis": settings.redis.url}
    return [engine for engine, address in given.items() if not address]


def http_url(host: str, port: int) -> str:
    """The address of a server that listens on this host."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_settings() -> Settings:
    """The settings. Imported when they are needed: that takes longer than all else that a send imports."""
    from infra.settings import load_settings

    return load_settings()


def settings_with_engines(*needed: str) -> Settings:
    """The settings. An engine without an address is that of the running `ringpost up`, if there is one.

    SettingsError if one of the needed engines has no address then.
    """
    settings = read_settings()
    folder = settings.auth.data_dir.absolute()
    running = find_running(folder)
    if running is not None:
        absent = [VARIABLES[engine] for engine in without_address(settings)]
        os.environ.update({name: text for name, text in running.engines.items() if name in absent})
        settings = read_settings()
    try:
        if needed:
            settings.need_engines(*needed)
    except SettingsError as missing:
        if running is not None:
            raise
        raise SettingsError(
            f"`make up` is not running in this folder: nothing runs with the data folder {folder}. {missing}"
        ) from None
    return settings


def api_url(given: str | None) -> str:
    """The given address of the API, else that of the running `ringpost up`, else that of port 8080."""
    if given is not None:
        return given
    running = find_running(read_settings().auth.data_dir)
    return running.url if running else HERE


def api_url_by_settings(given: str | None, settings: Settings) -> str:
    """The same for what knows the settings. A port or host that they name comes before `ringpost up`."""
    if given is not None:
        return given
    http, default = settings.http, type(settings.http).model_fields
    port = http.port or default["port"].default
    named = port != default["port"].default or http.host != default["host"].default
    running = None if named else find_running(settings.auth.data_dir)
    if running is not None:
        return running.url
    return http_url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.host, http.host), port)
