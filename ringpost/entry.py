"""The entry point of the command `ringpost`. Every failure ends here as one sentence on stderr.

Exit codes: 0: done. 1: it could not be done. 2: it was asked for wrongly. 130: ended by Ctrl-C, where that is
not the usual end. 141: whoever read the output has closed it (`ringpost … | head -1`).
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable

OUTPUT_CLOSED = 141
INTERRUPTED = 130


def main() -> None:
    """Run the command that the arguments name, and exit."""
    guarded(_command)


def _command() -> None:
    from ringpost.cli import app

    app()


def guarded(program: Callable[[], None]) -> None:
    """Run a program to its exit. A failure by a person, a file or a network becomes one sentence.

    From then on Ctrl-C changes nothing: the exit code is that of how it ended.
    """
    try:
        from ringpost.output import OutputLost, guard_output, release_output

        guard_output()
        # What libraries log is for the logs of a part; those of a command are its sentences.
        logging.lastResort = logging.NullHandler()
        try:
            _run(program)
        except OutputLost as lost:
            release_output()
            if lost.reason:
                sys.stderr.write(f"The output cannot be written: {lost.reason}.\n")
            sys.exit(1 if lost.reason else OUTPUT_CLOSED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        _over()


def _over() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(program: Callable[[], None]) -> None:
    from ringpost.failure import sentence_of
    from ringpost.output import complain

    try:
        try:
            program()
        finally:
            sys.stdout.flush()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        _over()
        complain(sentence.text)
        sys.exit(sentence.exit_code)
