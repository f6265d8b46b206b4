"""Errors as people read them, and their exit codes."""

import sys
import traceback

from campaigns.errors import CampaignError
from sender.errors import SenderError
from sender.signals import Interrupted

BUG = 1
BAD_INPUT = 2


def explain(error: Exception) -> int:
    """Says on standard error what ended the command; returns its exit code."""
    match error:
        case CampaignError(problems=problems):
            for problem in problems:
                _say(str(problem))
            return BAD_INPUT
        case SenderError():
            _say(f"campaign: {error}")
            return error.exit_code
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


def _say(text: str) -> None:
    # Text that others control (names, the API's words) must not steer the terminal.
    printable = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
    sys.stderr.write(f"{printable}\n")
