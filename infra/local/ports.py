"""Loopback ports that stay the same from run to run."""

from __future__ import annotations

import itertools
import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

# Below the range from which systems take ports for outgoing connections, so that nothing slips in
# between two runs by accident.
_LOW, _HIGH = 20_000, 32_000
_order = itertools.cycle(random.sample(range(_LOW, _HIGH), _HIGH - _LOW))


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port on which nothing listens.

    A process gets no port twice until it has had them all. Otherwise two servers that start side by side
    could be given one port, and each would take the other's answer for its own.
    """
    while not is_free(port := next(_order)):
        pass
    return port


def keep_ports(file: Path, names: Sequence[str]) -> dict[str, int]:
    """One port for each name: the port that `file` remembers if it is free, else another, which it
    remembers.
    """
    try:
        stored = dict(json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        stored = {}
    ports: dict[str, int] = {}
    for name in names:
        port = stored.get(name)
        while not _is_port(port) or port in ports.values() or not is_free(port):
            port = free_port()
        ports[name] = port
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(ports))
    return ports


def _is_port(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 < value < 65_536
