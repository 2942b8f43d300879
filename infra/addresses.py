"""Addresses as people write them: which are accepted, and a sentence about each that is not.

Each check returns the address as it is used from then on. A ValueError continues a sentence that begins with
the name of the setting. It never quotes a user or a password, nor anything that may be a piece of one. It has
no words of another library, which may quote them.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import NamedTuple
from unicodedata import normalize

KAFKA_PORT = 9092
MONGO_PORT = 27017
REDIS_PORT = 6379
SENTINEL_PORT = 26379
MONGO_SCHEMES = ("mongodb", "mongodb+srv")
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")

KAFKA_FORM = f"`host:{KAFKA_PORT},host:{KAFKA_PORT}`"
MONGO_FORM = f"`mongodb://[user:password@]host:{MONGO_PORT},host:{MONGO_PORT}/?replicaSet=rs0`"
REDIS_FORM = (
    f"`redis://[user:password@]host:{REDIS_PORT}[/0]` (`rediss://` with TLS) or "
    f"`redis+sentinel://[user:password@]host:{SENTINEL_PORT},host:{SENTINEL_PORT}/name[/0]`"
)
LISTEN_FORM = "an IP address or the name of this host, such as `127.0.0.1`, `0.0.0.0` or `::1`"
NETWORKS_FORM = "addresses or networks, such as `10.0.0.7` or `10.0.0.0/8`, separated by commas"
ORIGINS_FORM = "origins without a path, such as `https://chat.example`, separated by commas, or `*`"

_ESCAPES = "`@` is written %40, `:` %3A, `/` %2F, `?` %3F, `#` %23 and `%` %25 in a user or password"
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNSAFE_IN_A_LOGIN = re.compile(r"[\[\]\s\x00-\x1f\x7f\ud800-\udfff]")
_DELIMITERS = frozenset("/?#@:")


class Address(NamedTuple):
    """A host without brackets, and its port."""

    host: str
    port: int


class _Url(NamedTuple):
    scheme: str
    login: str
    """User and password as written, with the `@`."""
    hosts: str
    path: str
    """What stands between the hosts and the query."""
    query: str
    """What stands behind the `?`."""


def kafka_brokers(text: str) -> str:
    """Brokers, separated by commas; spaces around them go away."""
    if not text.strip():
        return ""
    if "://" in text:
        raise ValueError(f"must be {KAFKA_FORM}, without a scheme: RINGPOST_KAFKA_SECURITY says if it is TLS")
    if "@" in text:
        raise ValueError(
            f"must be {KAFKA_FORM}, without a user: set RINGPOST_KAFKA_USERNAME and RINGPOST_KAFKA_PASSWORD"
        )
    _checked_hosts(text, KAFKA_PORT, KAFKA_FORM)
    return ",".join(part.strip() for part in text.split(","))


def mongo_url(text: str) -> str:
    """The form only: the driver checks the options when it opens."""
    text = text.strip()
    if not text:
        return ""
    url = _split(text, MONGO_SCHEMES, MONGO_FORM)
    user, _, password = url.login.partition(":")
    if "@" in url.login or ":" in password or (password and not user):
        raise ValueError(f"must be {MONGO_FORM}: what stands before the last `@` is none ({_ESCAPES})")
    found = _checked_hosts(url.hosts, MONGO_PORT, MONGO_FORM, secretive="@" in text)
    if url.scheme == "mongodb+srv" and (len(found) > 1 or _written_port(url.hosts)):
        raise ValueError("must name one host without a port after `mongodb+srv://`: DNS tells the rest")
    return text


def redis_url(text: str) -> str:
    """One server, or Sentinels and the name of what they watch."""
    text = text.strip()
    if not text:
        return ""
    url = _split(text, REDIS_SCHEMES, REDIS_FORM)
    sentinel = url.scheme.endswith("+sentinel")
    _check_redis_options(url.query, () if sentinel else ("db",), text.partition("?")[2])
    if url.scheme == "unix":
        return text
    found = _checked_hosts(
        url.hosts, SENTINEL_PORT if sentinel else REDIS_PORT, REDIS_FORM, secretive="@" in text
    )
    if not sentinel and len(found) > 1:
        raise ValueError(f"must be {REDIS_FORM}: one server, or Sentinels that watch several")
    name, _, database = url.path.strip("/").rpartition("/") if not sentinel else _watched(url.path)
    if name and not sentinel:
        raise ValueError(f"must be {REDIS_FORM}: only the number of a database may follow the host")
    if sentinel and not name:
        raise ValueError(f"must be {REDIS_FORM}: the name of the primary is missing")
    if database and not re.fullmatch(r"[0-9]{1,5}", database):
        raise ValueError(f"must be {REDIS_FORM}: the database{_quoted(database, text)} is no number")
    return text


def listen_host(text: str) -> str:
    """Where a process listens. Brackets around an IPv6 address go away."""
    host = text.strip().removeprefix("[").removesuffix("]")
    if not _is_host(host):
        raise ValueError(f"must be {LISTEN_FORM}{_quoted(text, text, ', and is')}")
    return host


def ip_networks(text: str) -> str:
    """Addresses and networks, separated by commas; spaces around them go away."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        try:
            ip_network(part)
        except ValueError:
            raise ValueError(f"must be {NETWORKS_FORM}{_quoted(part, text, ', and has')}") from None
    return ",".join(parts)


def page_origins(text: str) -> str:
    """Origins of web pages, separated by commas; `*` alone stands for all of them."""
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    for part in parts:
        if part != "*" and not _is_origin(part):
            raise ValueError(f"must be {ORIGINS_FORM}{_quoted(part, text, ', and has')}")
    if "*" in parts and len(parts) > 1:
        raise ValueError("must be `*` alone, or a list of origins without it")
    return ",".join(parts)


def hosts_of(address: str) -> list[Address]:
    """The hosts that this address leads to. Empty for a file, or for a name that DNS must resolve first."""
    if not address or address.startswith(("mongodb+srv:", "unix:")):
        return []
    if "://" not in address:
        return _addresses(address, KAFKA_PORT)
    scheme, _, rest = address.partition("://")
    ports = {"mongodb": MONGO_PORT, "redis": REDIS_PORT, "rediss": REDIS_PORT}
    return _addresses(_authority(rest).rpartition("@")[2], ports.get(scheme, SENTINEL_PORT))


def _watched(path: str) -> tuple[str, str, str]:
    return path.strip("/").partition("/")


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]


def _split(text: str, schemes: tuple[str, ...], form: str) -> _Url:
    scheme, colon, rest = text.partition("://")
    if not colon:
        raise ValueError(f"must be {form}: it has no scheme such as `{schemes[0]}://`")
    if scheme not in schemes:
        raise ValueError(f"must be {form}: its scheme is none of {', '.join(schemes)}")
    authority = _authority(rest)
    login, _, hosts = authority.rpartition("@")
    if _BAD_ESCAPE.search(login):
        raise ValueError(f"has a `%` in the user or password that does not stand for itself: {_ESCAPES}")
    if _UNSAFE_IN_A_LOGIN.search(login) or _DELIMITERS & set(normalize("NFKC", _bare(login))):
        raise ValueError(f"has a character in the user or password that must be written with `%`: {_ESCAPES}")
    path, _, query = rest[len(authority) :].partition("#")[0].partition("?")
    return _Url(scheme, login, hosts, path, query)


def _bare(login: str) -> str:
    """Without the delimiters themselves, so that what is left of them is what reads like one."""
    return "".join(one for one in login if one not in _DELIMITERS)


def _check_redis_options(query: str, allowed: tuple[str, ...], behind: str) -> None:
    """`behind` is all that stands behind the first `?`. With an `@` in it, that may be of a password."""
    for option in filter(None, query.split("&")):
        name, _, value = option.partition("=")
        if name not in allowed:
            known = "`?db=` is the only one" if allowed else "there is none"
            unknown = f"an option that does not exist{_quoted(name, behind, ':')}"
            raise ValueError(f"must be {REDIS_FORM}: it has {unknown}; {known}")
        if not re.fullmatch(r"[0-9]{1,5}", value):
            raise ValueError(f"must be {REDIS_FORM}: the value of `?db=` is no number")


def _quoted(piece: str, text: str, before: str = "") -> str:
    """The piece in quotation marks. Empty if the text may have a user and a password."""
    return "" if "@" in text else f'{before} "{piece}"'


def _is_origin(text: str) -> bool:
    scheme, _, rest = text.partition("://")
    try:
        _address(rest, 443)
    except ValueError:
        return False
    return scheme in ("http", "https")


def _checked_hosts(text: str, port: int, form: str, *, secretive: bool = False) -> list[Address]:
    """ValueError that says which part is wrong. `secretive`: it may be a piece of a password."""
    try:
        return _addresses(text, port)
    except ValueError as error:
        reason = f"what stands for the host is none ({_ESCAPES})" if secretive else str(error)
        raise ValueError(f"must be {form}: {reason}") from None


def _addresses(text: str, default_port: int) -> list[Address]:
    return [_address(part.strip(), default_port) for part in text.split(",")]


def _address(text: str, default_port: int) -> Address:
    if not text:
        raise ValueError("a host is missing, or a comma is too many")
    if " " in text:
        raise ValueError(f'"{text}" has a space; commas separate the hosts')
    if text.startswith("["):
        host, closing, port = text[1:].partition("]")
        if not closing or (port and not port.startswith(":")):
            raise ValueError(f'"{text}" is no IPv6 address in brackets with a port behind it')
        port = port.removeprefix(":") if port else str(default_port)
    elif text.count(":") > 1:
        raise ValueError(f'"{text}" needs brackets, such as [::1]:{default_port}')
    else:
        host, colon, port = text.partition(":")
        port = port if colon else str(default_port)
    if not _is_host(host) or (text.startswith("[") and ":" not in host):
        raise ValueError(f'"{host}" is no name of a host')
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        raise ValueError(f'"{port}" is no port, which is a number from 1 to 65535')
    return Address(host, int(port))


def _written_port(text: str) -> bool:
    return bool(re.search(r":[0-9]*$", text))


def _is_host(text: str) -> bool:
    """A name by its form, or an address that is one."""
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        try:
            ip_address(text)
        except ValueError:
            return False
        return True
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
