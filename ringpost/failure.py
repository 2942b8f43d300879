"""The sentences for failures of a command that a person, a file or a network caused."""

from __future__ import annotations

from typing import NamedTuple

from domain.errors import RingpostError
from infra.environment import SettingsError
from ringpost.http import AddressError, ApiError
from ringpost.output import OutputLost


class UsageError(Exception):
    """A command was asked for wrongly. The message is a sentence."""


class Sentence(NamedTuple):
    text: str
    exit_code: int


def sentence_of(error: BaseException) -> Sentence | None:
    """The sentence for an error. None for a fault of the program. For a group: the first that has a
    sentence.
    """
    from infra.local.process import LocalEngineError

    match error:
        case BaseExceptionGroup():
            return next(filter(None, map(sentence_of, error.exceptions)), None)
        case OutputLost():
            return None
        case AddressError() | UsageError():
            return Sentence(str(error), 2)
        case SettingsError() | LocalEngineError() | RingpostError() | ApiError():
            return Sentence(str(error), 1)
        case OSError(strerror=str(reason), filename=str(name)):
            return Sentence(f"{name}: {reason}.", 1)
        case OSError():
            return Sentence(f"{error.strerror or str(error) or type(error).__name__}.", 1)
    return None
