"""What can end a command early, and the exit code that each carries.

SenderError
├── InputError      2   a flag, the environment or a missing consent; nothing was sent
├── SendingStopped  4   the token, the plan, the message or the API stands in the way; the rest is pending
├── RunHeld         5   another process is sending this run
├── RunMismatch     6   the plan, the API or the account is not what this run began with
└── LedgerError     7   a fault of this machine: the ledger, the disk

Bad campaign files and CSVs are `campaigns.errors.CampaignError` (exit code 2 as well). Every message is a sentence
for a person: what happened, and what to do.
"""

from typing import ClassVar

from campaigns.errors import Place


class SenderError(Exception):
    """The root of this tree; `place` is where in the campaign file it has its cause, if it has it there."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, place: Place | None = None) -> None:
        self.place = place
        super().__init__(f"{place}: {message}" if place else message)


class InputError(SenderError):
    """A flag, an environment variable or a missing consent. Nothing was sent."""

    exit_code = 2


class SendingStopped(SenderError):
    """No further call makes sense before a person has looked; what was not sent is pending."""

    exit_code = 4


class RunHeld(SenderError):
    """Another process is sending this run."""

    exit_code = 5


class RunMismatch(SenderError):
    """The plan, the API or the account is not what this run began with."""

    exit_code = 6


class LedgerError(SenderError):
    """The ledger can't be read or written: disk full, no permission, damaged, or of a newer version."""

    exit_code = 7


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error of a group that a person should read: a SenderError before any other."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.append(first_error(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((leaf for leaf in leaves if isinstance(leaf, SenderError)), leaves[0])
