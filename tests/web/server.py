"""An API process with the stage, always on the same port: a test may kill it and start it again."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from infra.local.ports import free_port
from tests.docs.running import ROOT, Running
from tests.patience import PATIENCE_S


class StageServer:
    """Beside the API and the workers of `ringpost`, on the same engines."""

    def __init__(self, ringpost: Running, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = ringpost.environment | {"RINGPOST_HTTP_PORT": str(self.port)}
        self._log = folder / "stage.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ringpost", "api", "--stage"],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up and self._process.poll() is None:
            with suppress(URLError, OSError), urlopen(f"{self.url}/health/ready", timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the API was not ready:\n{self._log.read_text()[-4000:]}")

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Gone when this returns, whatever state it is in."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.kill()
