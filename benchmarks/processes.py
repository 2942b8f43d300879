"""Which processes belong to the Ringpost that listens at an address of this machine (Linux, by /proc).

The process that listens there is found first. Another part of Ringpost belongs to it if it was given the same
engines and prefixes. An engine belongs to it if one of those parts has a connection to it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.cpu import PROC, name_of

LISTEN, ESTABLISHED = "0A", "01"
SAME = tuple(
    f"RINGPOST_{name}{of}"
    for of in ("", "_FILE")
    for name in (
        "CONFIG",
        "MONGO_URL",
        "MONGO_DATABASE",
        "KAFKA_BOOTSTRAP",
        "KAFKA_TOPIC_PREFIX",
        "REDIS_URL",
        "REDIS_KEY_PREFIX",
    )
)
"""What all parts of one Ringpost have in common."""


class Connection(NamedTuple):
    """One row of the kernel's table: ports here and there, and the number by which a process holds it."""

    port: int
    peer_port: int
    peer_is_here: bool
    state: str
    inode: str


def processes_of(host: str, port: int) -> dict[int, str]:
    """Process id → name. Empty when no part of Ringpost is seen to listen there.

    So it is with one on another machine, in a container, or behind a proxy.
    """
    if not _is_here(host):
        return {}
    table = list(_connections())
    holders = _holders({row.inode for row in table})
    listening = {
        row.port: holders[row.inode] for row in table if row.state == LISTEN and row.inode in holders
    }
    api = listening.get(port)
    if api is None or not _is_part(_name(api)):
        return {}
    parts = {pid: name for pid, name in _parts().items() if _common(pid) == _common(api)}
    peers = {
        row.peer_port
        for row in table
        if row.state == ESTABLISHED and row.peer_is_here and holders.get(row.inode) in parts
    }
    engines = {pid: _name(pid) for pid in (listening[peer] for peer in peers if peer in listening)}
    return parts | {pid: name for pid, name in engines.items() if name is not None}


def _is_here(host: str) -> bool:
    """Whether an address of this host is one of this machine."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, _, _, address in found:
        with suppress(OSError), socket.socket(family, kind) as probe:
            probe.bind((address[0], 0))
            return True
    return False


def _connections() -> Iterator[Connection]:
    """Of TCP over IPv4 and IPv6, those that a process holds."""
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / name).read_text().splitlines()[1:]:
                fields = line.split()
                (here, port), (peer, peer_port) = (place.split(":") for place in fields[1:3])
                is_here = _is_same_machine(here, peer)
                yield Connection(int(port, 16), int(peer_port, 16), is_here, fields[3], fields[9])


def _is_same_machine(here: str, peer: str) -> bool:
    """A connection to oneself has the same address at both ends, or is a loopback one."""
    return here == peer or peer.endswith("7F") or peer == "00000000000000000000000001000000"


def _holders(inodes: set[str]) -> dict[str, int]:
    """Number of a connection → process id, as far as this user may see it."""
    found = {}
    for folder in PROC.glob("[0-9]*/fd"):
        with suppress(OSError):
            for link in folder.iterdir():
                with suppress(OSError):
                    kind, _, inode = str(link.readlink()).partition(":[")
                    if kind == "socket" and inode[:-1] in inodes:
                        found[inode[:-1]] = int(folder.parent.name)
    return found


def _parts() -> dict[int, str]:
    """All parts of any Ringpost on this machine."""
    names = {int(folder.name): _name(int(folder.name)) for folder in PROC.glob("[0-9]*")}
    return {pid: name for pid, name in names.items() if name is not None and _is_part(name)}


def _is_part(name: str | None) -> bool:
    """Not so a command that someone runs beside it."""
    return name is not None and name.startswith(("ringpost api", "ringpost worker"))


def _name(pid: int) -> str | None:
    with suppress(OSError):
        line = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
        return name_of(line.split("\0"))
    return None


def _common(pid: int) -> tuple[str | None, ...]:
    environment = _environment(pid)
    return tuple(environment.get(name) for name in SAME)


def _environment(pid: int) -> Mapping[str, str]:
    """As it was at the start of the process; empty if it may not be read."""
    with suppress(OSError):
        pairs = (Path(PROC / str(pid) / "environ").read_bytes()).decode(errors="replace").split("\0")
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return {}
