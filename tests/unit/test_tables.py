"""The CSV that this program writes: one line for each recipient, and the rejected rows."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience import Recipient, RejectedRow
from campaigns.errors import Place
from campaigns.model import IdentifierKind
from sender.ledger import StoredChunk
from sender.ledger.packing import pack
from sender.outcome import ChunkState
from sender.report import RECIPIENT_STATES
from sender.tables import REJECTS_HEADER, REPORT_HEADER, csv_line, defused, reject_line, report_lines

ALL = frozenset(RECIPIENT_STATES)
PEOPLE = (
    Recipient(None, "ann", None, 0, 2),
    Recipient(178, "bob", "bob@x.io", 0, 3),
    Recipient(None, "cid", None, 1, 2),
)


def a_chunk(
    state: ChunkState = ChunkState.ACCEPTED,
    *,
    people: tuple[Recipient, ...] = PEOPLE,
    not_found: tuple[str, ...] = (),
    not_found_count: int = 0,
    reason: str = "",
    decided_at: float | None = 1_794_000_000.9,
) -> StoredChunk:
    return StoredChunk(
        id=7,
        run_id=1,
        first=0,
        kind=IdentifierKind.USERNAME,
        size=len(people),
        state=state,
        not_found=not_found,
        not_found_count=not_found_count,
        status=202,
        reason=reason,
        decided_at=decided_at,
        packed=pack(people),
    )


def test_a_line_says_who_where_from_and_what_became_of_them() -> None:
    lines = list(report_lines(a_chunk(not_found=("cid",), not_found_count=1), ["a.csv", "b.csv"], ALL))

    assert ",".join(REPORT_HEADER) == "id,username,email,kind,file,line,state,chunk,status,reason,time"
    assert lines == [
        ",ann,,username,a.csv,2,accepted,7,202,,2026-11-06T21:20:00+00:00\n",
        "178,bob,bob@x.io,username,a.csv,3,accepted,7,202,,2026-11-06T21:20:00+00:00\n",
        ",cid,,username,b.csv,2,not_found,7,202,no such contact,2026-11-06T21:20:00+00:00\n",
    ]


def test_when_the_reply_does_not_say_who_was_not_found_the_lines_say_that() -> None:
    lines = list(report_lines(a_chunk(not_found_count=2), ["a.csv", "b.csv"], ALL))

    assert all("2 of this chunk's recipients were not found; the reply does not say who" in line for line in lines)


def test_only_the_states_that_are_asked_for_are_written() -> None:
    chunk = a_chunk(not_found=("bob",), not_found_count=1)

    assert len(list(report_lines(chunk, ["a", "b"], frozenset({"not_found"})))) == 1
    assert len(list(report_lines(chunk, ["a", "b"], frozenset({"accepted"})))) == 2
    assert list(report_lines(chunk, ["a", "b"], frozenset({"unknown"}))) == []


def test_what_is_not_decided_has_no_time_and_a_source_that_is_not_known_no_name() -> None:
    [line] = report_lines(a_chunk(ChunkState.PENDING, people=PEOPLE[2:], decided_at=None), ["a.csv"], ALL)

    assert line == ",cid,,username,,2,pending,7,202,,\n"


@given(
    state=st.sampled_from([state for state in ChunkState if state is not ChunkState.SPLIT]),
    missing=st.sets(st.sampled_from(["ann", "bob", "cid"])),
    more=st.integers(0, 3),
    reason=st.text(st.characters(exclude_characters="\r"), max_size=30),
)
def test_every_recipient_has_one_line_that_a_reader_of_csv_gets_back(
    state: ChunkState, missing: set[str], more: int, reason: str
) -> None:
    names = tuple(missing) if state is ChunkState.ACCEPTED else ()
    chunk = a_chunk(state, not_found=names, not_found_count=min(3, len(names) + more), reason=reason)

    text = "".join(report_lines(chunk, ["a.csv", "b.csv"], ALL))
    rows = list(csv.reader(io.StringIO(text, newline="")))

    assert [row[1] for row in rows] == ["ann", "bob", "cid"]
    assert all(len(row) == len(REPORT_HEADER) for row in rows)
    assert {row[1] for row in rows if row[6] == "not_found"} == set(names)


def test_a_rejected_row_is_written_with_its_place_and_as_it_was_read() -> None:
    row = RejectedRow(
        place=Place(file="people.csv", line=9, column=2),
        reason="found the id 'x'",
        cells=("=1+1", 'He said "no"', "a,b"),
    )

    [cells] = csv.reader([reject_line(row)])

    assert REJECTS_HEADER == ("file", "line", "column", "reason", "row")
    assert cells == ["people.csv", "9", "2", "found the id 'x'", '\'=1+1,"He said ""no""","a,b"']


def test_a_rejected_row_with_a_carriage_return_in_a_cell_stays_one_row() -> None:
    row = RejectedRow(place=Place(file="people.csv", line=9, column=1), reason="odd", cells=("a\rb", "c"))

    [cells] = csv.reader(io.StringIO(reject_line(row), newline=""))

    assert cells == ["people.csv", "9", "1", "odd", '"a\rb",c']


@given(st.text(max_size=20))
def test_no_words_of_others_are_a_formula(text: str) -> None:
    shown = defused(text)

    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown in (text, f"'{text}")


@pytest.mark.parametrize("cells", [[None, 0, ""], ["a\nb", "c\r\n"], ['"', ","], ["é", "\u2028"]])
def test_a_csv_line_keeps_its_cells(tmp_path: Path, cells: list[object]) -> None:
    (tmp_path / "out.csv").write_text(csv_line(cells), "utf-8", newline="")

    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["" if cell is None else str(cell) for cell in cells]]
