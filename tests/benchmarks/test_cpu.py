"""Which processes are watched, and what they used."""

from __future__ import annotations

import os
import sys
import time

import pytest

from benchmarks.cpu import CpuClock, cpu_s, given, name_of

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


@pytest.mark.parametrize(
    "line, name",
    [
        ("/usr/bin/mongod --replSet rs0", "mongod"),
        ("redis-server *:6379", "redis-server"),
        ("java -Xmx512m -cp libs/* kafka.Kafka server.properties", "kafka"),
        ("java -jar another.jar", None),
        ("/app/.venv/bin/python /app/.venv/bin/ringpost api", "ringpost api"),
        ("/app/.venv/bin/python3.11 -m ringpost worker inbox", "ringpost worker inbox"),
        ("python -m ringpost --verbose worker push", "ringpost worker push"),
        ("/app/.venv/bin/python /app/.venv/bin/ringpost bench --rate 200", None),
        ("python -m http.server", None),
        ("bash -c ringpost", None),
        ("", None),
    ],
)
def test_processes_are_known_by_their_command_lines(line, name):
    assert name_of(line.split()) == name


def test_processes_may_be_given():
    assert given("api=12,inbox=34") == {12: "api", 34: "inbox"}
    assert given("") == {}


@linux
def test_cpu_time_grows_with_work():
    clock = CpuClock({os.getpid(): "me"})
    clock.start()
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    used = clock.used_s()
    assert min(used["me"], used["this generator"]) > 0.05


@linux
def test_processes_of_one_name_are_added_up():
    clock = CpuClock({os.getpid(): "api", os.getppid(): "api"})
    clock.start()
    assert set(clock.used_s()) == {"api", "this generator"}


def test_process_that_is_gone_has_no_time():
    assert cpu_s(2**22 + 1) is None
