"""Wall clocks that jump at run time, one for each part, by the library libfaketime (Debian's package)."""

from __future__ import annotations

from pathlib import Path

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)
ABSENT = "The mode clock needs the library libfaketime: `apt install libfaketime` (or your system's package)."


def faketime() -> str | None:
    return next((path for path in LIBRARIES if Path(path).exists()), None)


# With a monotonic clock that is left alone, the library refuses the call by which Python sleeps.
SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class Clocks:
    """Monotonic clocks are left alone: timeouts go on as before."""

    def __init__(self, folder: Path, faked: bool) -> None:
        self._folder = folder
        self._faked = faked
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(SLEEP)

    def settings(self, part: str) -> dict[str, str]:
        """The environment with which the part starts."""
        path = faketime()
        if not self._faked or path is None:
            return {}
        self.jump(part, 0)
        return {
            "LD_PRELOAD": path,
            "PYTHONPATH": str(self._folder),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / part),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # Else a wait by the monotonic clock ends at once, and threads fight over Python's lock: a part
            # then takes many times its CPU time.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def jump(self, part: str, by_s: int) -> None:
        """From now on (within a second) the part's clock is so far from ours."""
        fresh = self._folder / f"{part}.new"
        fresh.write_text(f"{by_s:+d}")
        fresh.replace(self._folder / part)
