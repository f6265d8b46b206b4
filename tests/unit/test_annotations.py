"""Findings -> GitHub's workflow commands, read back as the runner reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience import RejectedRow
from campaigns.errors import AudienceError, CampaignFileError, Place, Problem
from sender.annotations import annotation, escape_data, escape_property, rejected_rows
from sender.diagnosis import Finding, diagnose
from sender.errors import InputError

HERE = "/workspace/shop"


def annotated(finding: Finding, *, folder: str = HERE, workspaces: tuple[str, ...] = (HERE,)) -> str:
    return annotation("error", finding, folder=folder, workspaces=workspaces)


def read_back(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message, as ActionCommand.TryParseV2 of actions/runner takes a line apart."""
    assert line.startswith("::")
    head, message = line[2:].split("::", 1)
    level, _, listed = head.partition(" ")
    properties = dict(each.split("=", 1) for each in listed.split(","))
    return level, {name: unescaped(value) for name, value in properties.items()}, unescaped(message)


def unescaped(text: str) -> str:
    for escaped, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        text = text.replace(escaped, plain)
    return text


def test_a_finding_stands_at_its_line_of_the_repository() -> None:
    place = Place(file="spring.yaml", line=3, column=5)

    line = annotated(Finding(message="mesage: unknown key", place=place), folder=f"{HERE}/campaigns")

    assert line == "::error file=campaigns/spring.yaml,line=3,col=5,title=campaign::mesage: unknown key"


def test_what_github_escapes_is_escaped() -> None:
    # The examples of actions/toolkit, packages/core/__tests__/command.test.ts.
    assert escape_data("percent % percent % cr \r cr \r lf \n lf \n colon : colon : comma , comma ,") == (
        "percent %25 percent %25 cr %0D cr %0D lf %0A lf %0A colon : colon : comma , comma ,"
    )
    assert escape_property("percent % percent % cr \r cr \r lf \n lf \n colon : colon : comma , comma ,") == (
        "percent %25 percent %25 cr %0D cr %0D lf %0A lf %0A colon %3A colon %3A comma %2C comma %2C"
    )


printable = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"), exclude_characters="\xa0"))
names = printable.filter(lambda text: text not in ("", ".", "..") and "/" not in text and text.isprintable())


@given(name=names, message=printable.filter(str.isprintable), line=st.none() | st.integers(1, 10**6))
def test_the_runner_reads_back_what_was_found_whatever_it_is(name: str, message: str, line: int | None) -> None:
    written = annotated(Finding(message=message, place=Place(file=f"a,b/{name}", line=line)))

    level, properties, told = read_back(written)
    assert (level, told) == ("error", message)
    assert properties == {"file": f"a,b/{name}", **({"line": str(line)} if line else {}), "title": "campaign"}


@given(st.text(), st.text())
def test_nothing_that_is_found_begins_a_second_command(name: str, message: str) -> None:
    written = annotated(Finding(message=message, place=Place(file=name or "x", line=1)))

    assert len(written.splitlines()) == 1
    assert written.startswith(("::error file=", "::error title="))


@pytest.mark.parametrize("file", ["/etc/people.csv", "../people.csv", "<stdin>", f"{HERE}-2/people.csv"])
def test_what_no_pull_request_shows_is_told_in_words(file: str) -> None:
    written = annotated(Finding(message="the file is empty", place=Place(file=file, line=1, column=1)))

    assert written == f"::error title=campaign::{file}:1:1: the file is empty"


def test_a_repository_that_is_reached_by_a_link_is_known_by_either_name() -> None:
    finding = Finding(message="no", place=Place(file="/link/spring.yaml", line=1))

    assert "file=spring.yaml,line=1" in annotated(finding, workspaces=("/link", HERE))
    assert "file=spring.yaml,line=1" in annotated(
        Finding(message="no", place=Place(file="spring.yaml", line=1)), workspaces=("/link", HERE)
    )


def test_the_number_of_a_cell_is_no_column() -> None:
    place = Place(file="people.csv", line=7, column=2)
    [cell] = diagnose(AudienceError([Problem(place=place, message="no")])).findings
    [character] = diagnose(CampaignFileError([Problem(place=place, message="no")])).findings

    assert annotated(cell) == "::error file=people.csv,line=7,title=campaign::no"
    assert annotated(character) == "::error file=people.csv,line=7,col=2,title=campaign::no"


def test_an_error_with_a_place_says_it_once() -> None:
    [finding] = diagnose(InputError("take it out", place=Place(file="spring.yaml", line=4, column=9))).findings

    assert str(finding) == "spring.yaml:4:9: take it out"
    assert annotated(finding) == "::error file=spring.yaml,line=4,col=9,title=campaign::take it out"


@pytest.mark.parametrize(("total", "shown", "last"), [(0, 0, ""), (1, 1, "no"), (10, 10, "no"), (11, 10, "and 2 more")])
def test_rejected_rows_are_as_many_as_github_shows(total: int, shown: int, last: str) -> None:
    rows = [
        RejectedRow(place=Place(file="people.csv", line=line, column=1), reason="no", cells=())
        for line in range(2, 2 + min(total, 10))
    ]

    found = rejected_rows(rows, total)

    assert len(found) == shown
    assert not found or last in found[-1].message
