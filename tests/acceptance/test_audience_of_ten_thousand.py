"""A large and untidy audience: exactly the right people get the message, each once, in as few calls as can be."""

import csv
import io
from math import ceil
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import Command
from tests.acceptance.crowd import KINDS, Crowd, gather
from tests.acceptance.files import write_campaign
from tests.acceptance.recorded import addressed, messages

AUDIENCE = "  exclude: [optouts.csv]\n  columns: {email: E-Mail}\n"


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return gather()


def test_the_crowd_is_what_it_is_meant_to_be(crowd: Crowd) -> None:
    again = sum(person.rows - 1 for person in crowd.people)
    excluded = sum(person.excluded for person in crowd.people)
    assert (len(crowd.people), again, crowd.malformed, excluded) == (10_500, 775, 210, 145)
    assert all(len(crowd.addresses(kind)) > 1000 for kind in KINDS)


def test_exactly_the_right_people_get_the_message_once_each(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, crowd: Crowd
) -> None:
    (tmp_path / "optouts.csv").write_text(crowd.exclusions, "utf-8")
    file = write_campaign(tmp_path, crowd.csv, audience=AUDIENCE)
    calls_expected = {kind: ceil(len(crowd.addresses(kind)) / 1000) for kind in KINDS}

    ended = campaign("send", file, "--expect", str(len(crowd.kept)), "--json")

    assert ended.code == 0
    arrived: dict[str, list[int | str]] = {kind: [] for kind in KINDS}
    calls = dict.fromkeys(KINDS, 0)
    for call in messages(sandbox):
        [name] = call["json"].keys() - {"message_type", "text"}
        kind = name.removeprefix("contact_").removesuffix("s")
        calls[kind] += 1
        arrived[kind] += addressed(call)
    assert calls == calls_expected
    for kind in KINDS:
        expected = crowd.addresses(kind)
        assert len(arrived[kind]) == len(expected)
        assert set(arrived[kind]) == set(expected)
    assert sandbox.stats()["most_to_one"] == 1
    assert sandbox.stats()["largest_call"] == 1000

    excluded_rows = sum(person.rows for person in crowd.people if person.excluded)
    total_calls = sum(calls_expected.values())
    summary = ended.json
    assert summary.pop("elapsed_seconds") > 0
    assert summary == {
        "run": "spring",
        "campaign": "spring",
        "account": "default",
        "state": "completed",
        "audience": {
            "rows": sum(person.rows for person in crowd.people) + crowd.malformed,
            "kept": len(crowd.kept),
            "invalid": crowd.malformed,
            "duplicates": sum(person.rows - 1 for person in crowd.kept),
            "excluded": excluded_rows,
            "filtered": 0,
            "already_planned": 0,
        },
        "recipients": {
            "planned": len(crowd.kept),
            "accepted": len(crowd.kept),
            "not_found": 0,
            "rejected": 0,
            "unknown": 0,
            "assumed_sent": 0,
            "cancelled": 0,
            "pending": 0,
            "sending": 0,
        },
        "chunks": {
            "planned": total_calls,
            "accepted": total_calls,
            "rejected": 0,
            "unknown": 0,
            "assumed_sent": 0,
            "cancelled": 0,
            "pending": 0,
            "sending": 0,
        },
        "requests": {"sent": total_calls, "retried": 0, "rate_limited": 0},
    }
    audience = summary["audience"]
    assert audience["rows"] == sum(count for name, count in audience.items() if name != "rows")

    _check_report(campaign, crowd, tmp_path)


def _check_report(campaign: Command, crowd: Crowd, folder: Path) -> None:
    """The report lists each recipient once, at the line of their first row, and is an audience of the same people."""
    report = campaign("report", "spring", "--format", "csv")
    assert report.code == 0
    rows = list(csv.DictReader(io.StringIO(report.out)))
    assert [row["state"] for row in rows] == ["accepted"] * len(crowd.kept)
    found = [(row["kind"], row[row["kind"]], int(row["line"]), row["file"]) for row in rows]
    expected = [(person.kind, str(person.address), person.line, "people.csv") for person in crowd.kept]
    assert sorted(found) == sorted(expected)
    identifiers = {(row["id"], row["username"], row["email"]) for row in rows}
    assert identifiers == {tuple(person.first.get(kind, "") for kind in KINDS) for person in crowd.kept}

    (folder / "again").mkdir()
    file = write_campaign(folder / "again", report.out)
    planned = campaign("plan", file)
    assert planned.code == 0
    shown = " ".join(planned.out.split())
    assert f"recipients planned {len(crowd.kept):,}" in shown
    for kind in KINDS:
        number = len(crowd.addresses(kind))
        assert f"by {kind} {number:,} in {ceil(number / 1000):,} calls" in shown
    assert "invalid" not in shown
    assert "duplicates" not in shown
