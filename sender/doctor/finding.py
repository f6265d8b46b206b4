"""What one check found, and what all of them mean for the exit code."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BUG: Final = 1
BAD_INPUT: Final = 2
API: Final = 4
THIS_MACHINE: Final = 7
# The order in which `send` looks: the environment, then the ledger, then the API.
ORDER: Final = (BUG, BAD_INPUT, THIS_MACHINE, API)


class Level(StrEnum):
    """How bad it is. A problem keeps `send` from sending, a warning does not."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What one check found.

    check   what was looked at
    level   how bad it is
    says    what is so
    do      what to do about it; empty when it is ok
    code    the exit code that `send` would stop with; 0 unless it is a problem
    """

    check: str
    level: Level
    says: str
    do: str = ""
    code: int = 0

    def as_json(self) -> dict[str, object]:
        """The finding as `--json` prints it."""
        return {"check": self.check, "level": self.level, "says": self.says, "do": self.do}


def well(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, says=says)


def warning(check: str, says: str, do: str) -> Finding:
    """Worth a look; `send` sends all the same."""
    return Finding(check=check, level=Level.WARNING, says=says, do=do)


def problem(check: str, says: str, do: str, code: int) -> Finding:
    """`send` would stop with that exit code."""
    return Finding(check=check, level=Level.PROBLEM, says=says, do=do, code=code)


def exit_code(findings: Iterable[Finding]) -> int:
    """0 without a problem; else the code that `send` would stop with first."""
    found = {finding.code for finding in findings}
    return next((code for code in ORDER if code in found), 0)
