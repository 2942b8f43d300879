from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.kafka import KafkaServer
from infra.local.mongo import MongoServer
from infra.local.process import LocalEngineError
from infra.local.program import Program, _executable
from infra.local.redis import RedisServer
from infra.local.server import Server

SERVERS = [MongoServer, KafkaServer, RedisServer]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def script(path: Path, says: str, code: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("server", SERVERS)
def test_without_a_program_the_message_says_what_to_install_or_set(server: type[Server], path: Path) -> None:
    with pytest.raises(LocalEngineError) as raised:
        server.wanted._replace(wheels=[("no-such-wheel", "x")]).find(server.name)
    assert server.name in str(raised.value)
    assert f"`{server.wanted.command}`" in str(raised.value)
    assert "or set RINGPOST_" in str(raised.value)


@pytest.mark.parametrize("server", SERVERS)
def test_wheel_serves_where_the_path_has_nothing(server: type[Server], path: Path) -> None:
    found = server.wanted.find(server.name)
    assert found.source.startswith("from the wheel ")
    assert int(found.version.split(".")[0]) >= server.wanted.at_least


def test_path_comes_first(path: Path) -> None:
    mongod = script(path / "mongod", "db version v8.0.4")
    assert MongoServer.wanted.find(MongoServer.name) == Program(mongod, "8.0.4", "from PATH")


@pytest.mark.parametrize(("says", "code"), [("db version v4.4.1", 0), ("db version v7.0.0", 1), ("what?", 0)])
def test_program_that_is_too_old_or_does_not_run_is_passed_over(path: Path, says: str, code: int) -> None:
    script(path / "mongod", says, code)
    assert MongoServer.wanted.find(MongoServer.name).source.startswith("from the wheel ")


@pytest.mark.parametrize(
    ("server", "says", "version"),
    [
        (
            RedisServer,
            "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4",
            "7.0.15",
        ),
        (KafkaServer, 'openjdk version "17.0.15" 2025-04-15', "17.0.15"),
        (KafkaServer, 'openjdk version "21" 2023-09-19 LTS', "21"),
    ],
)
def test_version_is_read_from_what_each_program_says(
    server: type[Server], says: str, version: str, path: Path
) -> None:
    script(path / server.wanted.command, says)
    assert server.wanted.find(server.name).version == version


def test_missing_run_bit_is_set(tmp_path: Path) -> None:
    program = script(tmp_path / "mongod", "hello")
    program.chmod(0o644)
    assert _executable(program) == program
    assert program.stat().st_mode & 0o111 == 0o111
