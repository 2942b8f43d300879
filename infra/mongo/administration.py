"""Makes a MongoDB ready for its first start: the replica set, and the users.

This file administers servers and knows nothing of the product's data. So it may name the driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from domain.errors import Unavailable
from infra.settings import MongoSettings, SettingsError

ADMIN = "admin"
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18

Client = AsyncMongoClient[Mapping[str, Any]]


async def initiate_replica_set(settings: MongoSettings, *, on_this_host: bool = False) -> str:
    """Make the servers that the URL names one replica set, unless they are; its primary, "" if none yet.

    May run any number of times, also at once. `on_this_host`: the first server is reached over loopback. Only
    there it lets in who comes before the first user. Raises Unavailable, and SettingsError for a bad URL.
    """
    uri = _parsed(settings)
    hosts = [f"{host}:{port}" for host, port in uri["nodelist"]]
    try:
        async with _open(settings, _first(uri, on_this_host)) as client:
            hello = await client.admin.command("hello")
            if hello.get("isreplicaset"):  # meant to be one, not yet initiated
                members = [{"_id": at, "host": host} for at, host in enumerate(hosts)]
                name = uri["options"]["replicaSet"]
                await client.admin.command("replSetInitiate", {"_id": name, "members": members})
    except ConnectionFailure as error:
        raise Unavailable("The message store does not answer.") from error
    except PyMongoError as error:
        raise Unavailable(f"The replica set could not be initiated: {error}") from error
    return str(hello.get("primary", ""))


async def ensure_users(settings: MongoSettings, admin_password: str) -> None:
    """Make the administrator `admin`, if there is no user yet, and the user of the URL with its password.

    The latter may read and write the database of the settings. The server is reached over loopback and is the
    primary. May run any number of times. Raises Unavailable, and SettingsError for a wrong password.
    """
    uri = _parsed(settings)
    if not uri["username"]:
        raise SettingsError("RINGPOST_MONGO_URL must name a user and a password.")
    here = _first(uri, on_this_host=True)
    try:
        async with _open(settings, here) as client:
            await _first_user(client, admin_password)
        async with _open(settings, here, username=ADMIN, password=admin_password) as client:
            roles = [{"role": "readWrite", "db": settings.database}]
            known = await client.admin.command("usersInfo", uri["username"])
            command = "updateUser" if known["users"] else "createUser"
            await client.admin.command(command, uri["username"], pwd=uri["password"], roles=roles)
    except OperationFailure as error:
        if error.code == _AUTHENTICATION_FAILED:
            raise SettingsError("MongoDB has another password for its user `admin`.") from None
        raise Unavailable(f"The users could not be made: {error}") from error
    except PyMongoError as error:
        raise Unavailable("The message store does not answer.") from error


async def _first_user(client: Client, password: str) -> None:
    """Does nothing once there is a user: the server lets nobody in without a password any more."""
    try:
        await client.admin.command("createUser", ADMIN, pwd=password, roles=["root"])
    except OperationFailure as error:
        if error.code != _UNAUTHORIZED:
            raise


def _parsed(settings: MongoSettings) -> dict[str, Any]:
    try:
        uri: dict[str, Any] = parse_uri(settings.url)
        uri["options"]["replicaSet"]
    except (KeyError, ConfigurationError, InvalidURI, ValueError):
        raise SettingsError("RINGPOST_MONGO_URL must be a URL with `replicaSet=NAME`.") from None
    return uri


def _first(uri: Mapping[str, Any], on_this_host: bool) -> str:
    host, port = uri["nodelist"][0]
    return f"127.0.0.1:{port}" if on_this_host else f"{host}:{port}"


def _open(settings: MongoSettings, address: str, **login: str) -> Client:
    options: dict[str, Any] = {
        "directConnection": True,
        "timeoutMS": round(settings.timeout_s * 1000),
        "appname": "ringpost",
        **login,
    }
    return AsyncMongoClient(address, **options)
