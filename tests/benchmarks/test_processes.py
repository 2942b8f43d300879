"""Whose CPU time is counted: that of the Ringpost under load, and of no other on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from urllib.parse import urlsplit

import pytest

from benchmarks.processes import processes_of
from infra.local.ports import free_port
from tests.docs.running import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")


def test_parts_and_engines_of_this_ringpost_are_found_and_those_of_another_are_not(ringpost, request):
    away = {
        "RINGPOST_MONGO_URL": "mongodb://127.0.0.1:9/?replicaSet=rs0",
        "RINGPOST_KAFKA_BOOTSTRAP": "127.0.0.1:9",
        "RINGPOST_REDIS_URL": "redis://127.0.0.1:9",
        "RINGPOST_HTTP_PORT": "0",
    }
    command = [sys.executable, "-m", "ringpost", "api"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | away, stderr=subprocess.DEVNULL) as another:
        try:
            found = processes_of("127.0.0.1", urlsplit(ringpost.url).port)
        finally:
            another.kill()
    parts = {pid: name for pid, name in found.items() if name.startswith("ringpost")}
    assert parts == {ringpost.pids["api"]: "ringpost api", ringpost.pids["workers"]: "ringpost worker all"}
    if request.config.getoption("--engines") != "containers":
        engines = Counter(name for name in found.values() if not name.startswith("ringpost"))
        assert engines == {"mongod": 1, "kafka": 1, "redis-server": 1}


def test_nothing_is_found_where_no_ringpost_listens():
    assert processes_of("127.0.0.1", free_port()) == {}
    assert processes_of("192.0.2.1", 8080) == {}
