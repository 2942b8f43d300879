from __future__ import annotations

import socket
from pathlib import Path

import pytest

from infra.local.ports import free_port, is_free, keep_ports


def test_ports_stay_the_same_from_run_to_run(tmp_path: Path) -> None:
    first = keep_ports(tmp_path / "ports.json", ("broker", "controller"))
    assert keep_ports(tmp_path / "ports.json", ("broker", "controller")) == first
    assert len(set(first.values())) == 2


def test_port_that_was_taken_meanwhile_is_replaced_and_the_other_kept(tmp_path: Path) -> None:
    first = keep_ports(tmp_path / "ports.json", ("broker", "controller"))
    with socket.create_server(("127.0.0.1", first["broker"])):
        assert not is_free(first["broker"])
        second = keep_ports(tmp_path / "ports.json", ("broker", "controller"))
    assert second["broker"] != first["broker"]
    assert second["controller"] == first["controller"]
    assert keep_ports(tmp_path / "ports.json", ("broker", "controller")) == second


@pytest.mark.parametrize(
    "content", ["", "no json", "[]", "3", '{"port": "x"}', '{"port": -1}', '{"port": 99999999}']
)
def test_spoiled_file_is_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "ports.json").write_text(content)
    assert is_free(keep_ports(tmp_path / "ports.json", ("port",))["port"])


def test_free_port_can_be_listened_on() -> None:
    socket.create_server(("127.0.0.1", free_port())).close()


def test_no_port_is_given_twice():
    """Two servers that start side by side ask before either listens."""
    assert len({free_port() for _ in range(1_000)}) == 1_000
