"""Initiates the replica set: `python -m infra.mongo.replica_set` makes the servers of RINGPOST_MONGO_URL one.

Use it for new servers that are no replica set yet. It does nothing to an existing set.
With `--admin-password-file FILE` it also makes the users. It must then share the network of the only server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from domain.errors import Unavailable
from infra.environment import secret_in
from infra.mongo.administration import ensure_users, initiate_replica_set
from infra.retry import backoff_s
from infra.settings import MongoSettings, SettingsError, load_settings
from infra.telemetry.logs import configure_logs, logger

DEADLINE_S = 120.0


async def ready_replica_set(
    settings: MongoSettings, deadline_s: float = DEADLINE_S, admin_password: str | None = None
) -> str:
    """Returns the primary's address once there is one, with users if there is a password for `admin`.

    Unavailable when that takes too long.
    """
    give_up = time.monotonic() + deadline_s
    waits = backoff_s(0.2, 3.0)
    while True:
        reason = "The replica set has no primary."
        try:
            if primary := await initiate_replica_set(settings, on_this_host=admin_password is not None):
                if admin_password is not None:
                    await ensure_users(settings, admin_password)
                return primary
        except Unavailable as error:
            reason = error.message
        if time.monotonic() > give_up:
            raise Unavailable(reason)
        await asyncio.sleep(next(waits))


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the servers of RINGPOST_MONGO_URL a replica set.")
    parser.add_argument("--admin-password-file", help="make the users too; the password of `admin` is here")
    path = parser.parse_args().admin_password_file
    try:
        settings = load_settings()
        configure_logs(settings.log, "init")
        password = secret_in(path, "--admin-password-file") if path else None
        primary = asyncio.run(ready_replica_set(settings.mongo, admin_password=password))
    except (SettingsError, Unavailable) as error:
        sys.exit(str(error))
    logger().info("the replica set is ready", primary=primary)


if __name__ == "__main__":
    main()
