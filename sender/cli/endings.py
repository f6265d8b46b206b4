"""Errors as people read them, and their exit codes."""

import os
import sys
import traceback
from contextlib import suppress

from sender.cli import github
from sender.diagnosis import BUG, diagnose, is_lost_output


def explain(error: Exception) -> int:
    """Says on standard error what ended the command; returns its exit code."""
    found = diagnose(error)
    if found.exit_code == BUG:
        # Of our own code, without its local variables: the token may be among those.
        sys.stderr.write("".join(traceback.format_exception(error)))
    for finding in found.findings:
        _say(str(finding))
    github.annotate("error", found.findings)
    if isinstance(error, OSError) and is_lost_output(error):
        _give_up_output()
    return found.exit_code


def _give_up_output() -> None:
    # What is buffered would fail once more at the exit, with a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _say(text: str) -> None:
    # Text that others control (names, the API's words) must not steer the terminal.
    printable = "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
    with suppress(OSError, AttributeError):
        sys.stderr.write(f"{printable}\n")
