"""Findings -> GitHub's workflow commands, which show them at their line of a pull request. Pure.

    ::error file=campaigns/spring.yaml,line=3,col=5,title=campaign::mesage: unknown key; did you mean message?

Escaped as @actions/core does in its `command.ts`. GitHub shows ten annotations of each level for a step, and drops
the others in silence (orgs/community discussion 26680), so warnings say themselves what they leave out.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Literal

from campaigns.audience import RejectedRow
from campaigns.errors import Place
from sender.diagnosis import Finding

Level = Literal["error", "warning"]

MAX_OF_A_LEVEL = 10
STANDARD_INPUT = "<stdin>"


def annotation(level: Level, finding: Finding, *, folder: str, workspaces: Iterable[str]) -> str:
    """The command, in one line, for one finding.

    folder       the absolute path that relative places are relative to
    workspaces   the absolute paths of the checked-out repository: where it is, by each of its names
    """
    place, message = finding.place, finding.message
    properties: dict[str, object] = {}
    if place:
        file = _in_repository(place.file, folder, workspaces)
        if file is None:  # no pull request shows that file: a person has to be told in words
            message = str(finding)
        else:
            column = None if finding.counts_cells else place.column
            properties = {"file": file, "line": place.line, "col": column}
    named = {**properties, "title": "campaign"}
    listed = ",".join(
        f"{name}={escape_property(_printable(str(value)))}" for name, value in named.items() if value is not None
    )
    return f"::{level} {listed}::{escape_data(_printable(message))}"


def rejected_rows(rows: Sequence[RejectedRow], total: int) -> list[Finding]:
    """Findings for the first rejected rows, as many as GitHub shows, the last of which says how many more there are."""
    shown = rows if total <= MAX_OF_A_LEVEL else rows[: MAX_OF_A_LEVEL - 1]
    found = [Finding(message=f"rejected: {row.reason}", place=row.place, counts_cells=True) for row in shown]
    if total > len(shown) > 0:
        place = Place(file=shown[0].place.file)
        found.append(Finding(message=f"and {total - len(shown):,} more rejected rows", place=place))
    return found


def escape_data(text: str) -> str:
    """A command's message, in one line."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A property's value, with nothing in it that would end it."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)


def _in_repository(file: str, folder: str, workspaces: Iterable[str]) -> str | None:
    """The file's path in the repository, None when it is not in there."""
    if file == STANDARD_INPUT:
        return None
    path = os.path.normpath(os.path.join(folder, file))  # noqa: PTH118 – by name alone, no disk is looked at
    for workspace in workspaces:
        below = os.path.join(os.path.normpath(workspace), "")  # noqa: PTH118
        if path.startswith(below):
            return path.removeprefix(below)
    return None
