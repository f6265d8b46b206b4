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


class SenderError(Exception):
    """The root of this tree."""

    exit_code: ClassVar[int] = 1


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
