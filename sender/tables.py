"""CSV that this program writes: a report with one line for each recipient, and rejected rows.

The report's first columns are those of an audience, so that it can be one itself.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from campaigns.audience import RejectedRow
from sender.ledger import StoredChunk
from sender.outcome import ChunkState

REPORT_HEADER = ("id", "username", "email", "kind", "file", "line", "state", "chunk", "status", "reason", "time")
REJECTS_HEADER = ("file", "line", "column", "reason", "row")


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV, with its end; None is an empty cell."""
    line = io.StringIO()
    # Before Python 3.13 a carriage return is quoted only when it is part of the line's end.
    csv.writer(line, lineterminator="\r\n").writerow(["" if cell is None else cell for cell in cells])
    return line.getvalue().removesuffix("\r\n") + "\n"


class ReportRow(NamedTuple):
    """What became of one recipient, in the order of REPORT_HEADER; the reason is in the API's words."""

    id: int | None
    username: str | None
    email: str | None
    kind: str
    file: str | None
    line: int
    state: str
    chunk: int
    status: int | None
    reason: str
    time: str | None


def report_rows(chunk: StoredChunk, sources: Sequence[str], states: frozenset[str]) -> Iterator[ReportRow]:
    """The chunk's recipients that are in one of the states; `not_found` is a state of its own here."""
    time = datetime.fromtimestamp(chunk.decided_at, UTC).isoformat(timespec="seconds") if chunk.decided_at else None
    missing = frozenset(chunk.not_found)
    unnamed = chunk.not_found_count - len(missing)
    said = chunk.reason
    if unnamed > 0:
        said = f"{unnamed} of this chunk's recipients were not found; the reply does not say who"
    for recipient, address in zip(chunk.recipients, chunk.addresses, strict=True):
        is_missing = chunk.state is ChunkState.ACCEPTED and str(address) in missing
        state, reason = ("not_found", "no such contact") if is_missing else (str(chunk.state), said)
        if state in states:
            file = sources[recipient.source] if recipient.source < len(sources) else None
            identifiers = (recipient.id, recipient.username, recipient.email)
            yield ReportRow(*identifiers, chunk.kind, file, recipient.line, state, chunk.id, chunk.status, reason, time)


def report_lines(chunk: StoredChunk, sources: Sequence[str], states: frozenset[str]) -> Iterator[str]:
    """The same as lines of CSV."""
    for row in report_rows(chunk, sources, states):
        yield csv_line(row._replace(reason=defused(row.reason)))


def reject_line(row: RejectedRow) -> str:
    """The line of a rejected row: where it stands, why it was rejected, and the row as it was read."""
    place = row.place
    return csv_line((place.file, place.line, place.column, row.reason, defused(csv_line(row.cells).rstrip("\n"))))


def defused(text: str) -> str:
    """Text that a spreadsheet shows and does not compute (https://owasp.org/www-community/attacks/CSV_Injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
