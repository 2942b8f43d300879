"""The name under which this command is found, for lines that a person types."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

NAME = "ringpost"


def command_name() -> str:
    """What to type in this folder to run it again: `ringpost` if that is on the PATH, else its path."""
    called = Path(sys.argv[0]).absolute()
    if called.name != NAME or not called.exists():
        return NAME
    known = shutil.which(NAME)
    if known is not None and Path(known).absolute() == called:
        return NAME
    if not called.is_relative_to(Path.cwd()):
        return str(called)
    return f".{os.sep}{NAME}" if called.parent == Path.cwd() else os.path.relpath(called)
