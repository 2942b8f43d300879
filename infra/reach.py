"""Why nobody answers at an address: its name, its port or its certificate, with the name of the setting."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from infra.addresses import Address, hosts_of
from infra.settings import Settings
from infra.tls import TlsFiles, tls_context

CONNECT_S = 3.0


class Target(NamedTuple):
    """One engine's address. `files` is None where the connection is not encrypted."""

    variable: str
    address: str
    files: TlsFiles | None


def targets(settings: Settings) -> list[Target]:
    mongo, kafka, redis = settings.mongo, settings.kafka, settings.redis
    return [
        Target("RINGPOST_MONGO_URL", mongo.url, _mongo_files(mongo.url)),
        Target("RINGPOST_KAFKA_BOOTSTRAP", kafka.bootstrap, kafka.tls),
        Target("RINGPOST_REDIS_URL", redis.url, redis.tls),
    ]


async def obstacle(target: Target) -> str:
    """What stands in the way to every host of the address; empty if one of them takes a connection."""
    reasons = await asyncio.gather(*(_reason(target, host) for host in hosts_of(target.address)))
    return "" if "" in reasons else " ".join(reasons)


async def obstacles(settings: Settings) -> str:
    """Of all engines; empty if each takes a connection."""
    return " ".join(filter(None, await asyncio.gather(*map(obstacle, targets(settings)))))


async def _reason(target: Target, host: Address) -> str:
    place = f"{host.host}:{host.port}"
    try:
        await asyncio.wait_for(_connected(target, host), CONNECT_S)
    except socket.gaierror:
        return f"The host {host.host} in {target.variable} is not known: its name does not resolve."
    except ssl.SSLCertVerificationError as error:
        return f"The certificate of {place} in {target.variable} is not trusted: {error.verify_message}."
    except (ssl.SSLError, ConnectionResetError, asyncio.IncompleteReadError):
        return f"{place} in {target.variable} does not speak TLS, or asks for a certificate."
    except ConnectionRefusedError:
        return f"Nothing listens on {place} in {target.variable}."
    except TimeoutError:
        return f"{place} in {target.variable} does not answer within {CONNECT_S:.0f} s."
    except ValueError as error:  # of our own files, and of a name that no resolver takes
        return f"{target.variable}: {error}."
    except OSError as error:
        return f"{place} in {target.variable} cannot be reached: {error.strerror or error}."
    return ""


async def _connected(target: Target, host: Address) -> None:
    """Connect, with TLS where the setting has it, and hang up."""
    context = None if target.files is None else tls_context(target.files)
    if context is not None and target.variable == "RINGPOST_MONGO_URL" and _trusts_anybody(target.address):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host.host, host.port, ssl=context)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _mongo_files(url: str) -> TlsFiles | None:
    """As the driver reads them from the URL."""
    options = _options(url)
    if (options.get("tls") or options.get("ssl") or "").lower() != "true":
        return None
    own = options.get("tlscertificatekeyfile", "")
    return TlsFiles(options.get("tlscafile", ""), own, own)


def _trusts_anybody(url: str) -> bool:
    names = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
    return any(_options(url).get(name, "").lower() == "true" for name in names)


def _options(url: str) -> dict[str, str]:
    return {name.lower(): values[-1] for name, values in parse_qs(urlsplit(url).query).items()}
