"""Errors as people read them, and their exit codes."""

import errno
import os
import sys
import traceback
from contextlib import suppress

from campaigns.errors import CampaignError
from sender.errors import SenderError
from sender.signals import Interrupted

BUG = 1
BAD_INPUT = 2
THIS_MACHINE = 7
OUTPUT_FAILURES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})


def explain(error: Exception) -> int:
    """Says on standard error what ended the command; returns its exit code."""
    match error:
        case CampaignError(problems=problems):
            for problem in problems:
                _say(str(problem))
            return BAD_INPUT
        case SenderError():
            _say(str(error) if error.place else f"campaign: {error}")
            return error.exit_code
        case OSError() if error.errno in OUTPUT_FAILURES and error.filename is None:
            _say(f"campaign: the output can't be written: {error.strerror}")
            _give_up_output()
            return THIS_MACHINE
        case Interrupted():
            _say(f"campaign: {error}")
            return 128 + error.number
        case _:
            return _bug(error)


def _bug(error: Exception) -> int:
    # The lines of our own code, without their local variables: the token may be among those.
    sys.stderr.write("".join(traceback.format_exception(error)))
    _say("campaign: a bug; please report the lines above. The ledger knows what was sent: the same command goes on.")
    return BUG


def _give_up_output() -> None:
    # What is buffered would fail once more at the exit, with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _say(text: str) -> None:
    # Text that others control (names, the API's words) must not steer the terminal.
    printable = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"{printable}\n")
