"""What ended a command early: its exit code, and what a person or a machine is told about it. Pure."""

import errno
from dataclasses import dataclass

from campaigns.errors import AudienceError, CampaignError, Place
from sender.errors import SenderError
from sender.signals import Interrupted

BUG = 1
BAD_INPUT = 2
THIS_MACHINE = 7
OUTPUT_FAILURES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a person should see to.

    place          where in a file it is, when it is in one
    counts_cells   whether the place's column is the number of a CSV's cell, and not of a character
    """

    message: str
    place: Place | None = None
    counts_cells: bool = False

    def __str__(self) -> str:
        return f"{self.place or 'campaign'}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The exit code that an error means, and all that was found, in the order of the file."""

    exit_code: int
    findings: tuple[Finding, ...]


def diagnose(error: Exception) -> Diagnosis:
    """What the error that ended a command means; what nobody foresaw is a bug."""
    match error:
        case CampaignError(problems=problems):
            in_table = isinstance(error, AudienceError)
            findings = [Finding(message=p.message, place=p.place, counts_cells=in_table) for p in problems]
            return Diagnosis(exit_code=BAD_INPUT, findings=tuple(findings))
        case SenderError(place=place):
            message = str(error).removeprefix(f"{place}: ")
            return Diagnosis(exit_code=error.exit_code, findings=(Finding(message=message, place=place),))
        case Interrupted():
            return _one(128 + error.number, str(error))
        case OSError() if is_lost_output(error):
            return _one(THIS_MACHINE, f"the output can't be written: {error.strerror}")
        case _:
            outlook = "The ledger knows what was sent: the same command goes on."
            return _one(BUG, f"a bug; please report the traceback. {outlook}")


def is_lost_output(error: OSError) -> bool:
    """Whether it was our own output that could not be written, rather than a file."""
    return error.errno in OUTPUT_FAILURES and error.filename is None


def _one(exit_code: int, message: str) -> Diagnosis:
    return Diagnosis(exit_code=exit_code, findings=(Finding(message=message),))
