"""Initiates the replica set: `python -m infra.mongo.replica_set` makes the servers of RINGPOST_MONGO_URL one.

Use it for new servers that are no replica set yet. It does nothing to an existing set.
"""

from __future__ import annotations

import asyncio
import sys
import time

from domain.errors import Unavailable
from infra.mongo.client import initiate_replica_set
from infra.retry import backoff_s
from infra.settings import MongoSettings, SettingsError, load_settings
from infra.telemetry.logs import configure_logs, logger

DEADLINE_S = 120.0


async def ready_replica_set(settings: MongoSettings, deadline_s: float = DEADLINE_S) -> str:
    """Returns the primary's address once there is one. Unavailable when that takes too long."""
    give_up = time.monotonic() + deadline_s
    waits = backoff_s(0.2, 3.0)
    while True:
        reason = "The replica set has no primary."
        try:
            if primary := await initiate_replica_set(settings):
                return primary
        except Unavailable as error:
            reason = error.message
        if time.monotonic() > give_up:
            raise Unavailable(reason)
        await asyncio.sleep(next(waits))


def main() -> None:
    try:
        settings = load_settings()
        configure_logs(settings.log, "init")
        primary = asyncio.run(ready_replica_set(settings.mongo))
    except (SettingsError, Unavailable) as error:
        sys.exit(str(error))
    logger().info("the replica set is ready", primary=primary)


if __name__ == "__main__":
    main()
