"""What can be wrong with a campaign before anything is sent.

CampaignError
├── CampaignFileError   the YAML file: unreadable, malformed, or not a campaign
├── AudienceError       a CSV: missing, unreadable, without a usable column (a bad row is rejected alone)
└── MediaError          a media file or URL that Instagram would not take

Each error carries one or more `Problem`s, and each problem knows its place.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Place:
    """A point in a file, as people and editors read it: `file:line:column`, both counted from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: where, what was found, and what would be accepted."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class CampaignError(Exception):
    """The root of this tree; `problems` holds everything that was found, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class CampaignFileError(CampaignError):
    """The campaign file can't be read as a campaign."""


class AudienceError(CampaignError):
    """A CSV can't be read as an audience, or `--strict` refuses its rejected rows."""


class MediaError(CampaignError):
    """A media file or URL breaks one of Instagram's limits."""
