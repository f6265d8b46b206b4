"""Rows of cells -> recipients, whether `where` lets them through, and rejected rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import and_
from typing import Final

from campaigns.audience.block import Block
from campaigns.audience.columns import Columns, find_columns, wanted_headers
from campaigns.audience.csvfile import Batch, Fault, open_csv
from campaigns.audience.identifiers import (
    STRIPPED,
    MalformedIdentifier,
    normal_email,
    normal_emails,
    normal_id,
    normal_ids,
    normal_username,
    normal_usernames,
    readable,
)
from campaigns.audience.recipients import KINDS, Counts, RejectedRow
from campaigns.audience.sources import Sources, display_name, file_error
from campaigns.audience.textfile import line_blocks
from campaigns.errors import Place
from campaigns.model import Audience, IdentifierKind

PROGRESS_ROWS: Final = 1000
NORMAL: Final[dict[IdentifierKind, Callable[[str], int | str | None]]] = {
    IdentifierKind.ID: normal_id,
    IdentifierKind.USERNAME: normal_username,
    IdentifierKind.EMAIL: normal_email,
}


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads the valid rows of an audience's files, and counts the rows and the invalid ones among them."""

    audience: Audience
    sources: Sources
    counts: Counts
    on_rejected: Callable[[RejectedRow], None]
    on_progress: Callable[[int], None] | None = None
    """Called with the number of rows so far, whenever another thousand is full."""

    def blocks(self, source: int) -> Iterator[tuple[Block, list[bool]]]:
        """The valid rows of one file, and whether `where` lets each of them through. Raises AudienceError."""
        path = self.audience.csv[source]
        with self.sources.opened(path) as stream:
            lines = line_blocks(stream, path, self.audience.encoding)
            csv = open_csv(lines, wanted_headers(self.audience), self.audience.delimiter, path)
            if csv.header is None:
                raise file_error(path, "the file is empty; accepted is a header such as username, then one row each")
            columns = find_columns(csv.header, self.audience, path)
            for batch in csv.batches():
                before = self.counts.rows
                valid = self._valid(batch, columns, source)
                self.counts.rows += len(valid[0].lines)
                self._tell_progress(before)
                yield valid

    def _valid(self, batch: Batch, columns: Columns, source: int) -> tuple[Block, list[bool]]:
        lines, rows = batch.lines, batch.rows
        refused: list[tuple[int, list[str]]] = []
        fits = [len(cells) == columns.width for cells in rows]
        if not all(fits):
            refused += [(line, cells) for line, cells, fit in zip(lines, rows, fits, strict=True) if not fit]
            lines, rows = list(compress(lines, fits)), list(compress(rows, fits))
        cells: list[tuple[str, ...]] = list(zip(*rows, strict=True)) or [()] * columns.width
        block, passes = _block(cells, columns, lines, source), _passes(cells, columns, len(lines))
        is_valid = [True] * len(lines)
        for place in _incomplete(block, columns):
            if not self._is_usable(rows[place], columns):
                is_valid[place] = False
                refused.append((lines[place], rows[place]))
        for line, row in sorted(refused):
            if line in batch.faults or not is_blank(row):
                self._reject(line, row, columns, source, batch.faults.get(line))
        return (block, passes) if all(is_valid) else (block.only(is_valid), list(compress(passes, is_valid)))

    def _is_usable(self, cells: list[str], columns: Columns) -> bool:
        try:
            found = {kind for kind, position in columns.identifiers.items() if NORMAL[kind](cells[position])}
        except MalformedIdentifier:
            return False
        return not found.isdisjoint(self.audience.identify_by)

    def _tell_progress(self, before: int) -> None:
        if self.on_progress:
            for thousands in range(before // PROGRESS_ROWS, self.counts.rows // PROGRESS_ROWS):
                self.on_progress((thousands + 1) * PROGRESS_ROWS)

    def _reject(self, line: int, cells: list[str], columns: Columns, source: int, fault: Fault | None = None) -> None:
        found = fault or _fault(cells, columns, self.audience)
        self.counts.invalid += 1
        self.counts.rows += 1
        place = Place(file=display_name(self.audience.csv[source]), line=line, column=found.column)
        self.on_rejected(RejectedRow(place=place, reason=found.reason, cells=found.cells))


def is_blank(cells: list[str]) -> bool:
    """Whether the row is a blank line, which is no row at all."""
    return not cells or (len(cells) == 1 and not cells[0].strip(STRIPPED))


def _block(cells: list[tuple[str, ...]], columns: Columns, lines: Sequence[int], source: int) -> Block:
    """The rows in normal forms, with None for what is blank and for what is malformed."""
    at, nothing = columns.identifiers, [None] * len(lines)
    return Block(
        normal_ids(cells[at[IdentifierKind.ID]]) if IdentifierKind.ID in at else nothing,
        normal_usernames(cells[at[IdentifierKind.USERNAME]]) if IdentifierKind.USERNAME in at else nothing,
        normal_emails(cells[at[IdentifierKind.EMAIL]]) if IdentifierKind.EMAIL in at else nothing,
        lines,
        source,
    )


def _incomplete(block: Block, columns: Columns) -> list[int]:
    """The places of the rows that lack one of the file's identifiers: only those can be invalid."""
    found = [block[KINDS.index(kind)] for kind in columns.identifiers]
    return [place for place, is_whole in enumerate(map(all, zip(*found, strict=True))) if not is_whole]


def _passes(cells: list[tuple[str, ...]], columns: Columns, count: int) -> list[bool]:
    """Whether `where` lets each row through."""
    passes = [True] * count
    for position, values in columns.where:
        column = [cell in values or cell.strip(STRIPPED) in values for cell in cells[position]]
        passes = list(map(and_, passes, column))
    return passes


def _fault(cells: list[str], columns: Columns, audience: Audience) -> Fault:
    """What is wrong with a row whose cells could be read."""
    shown_cells = tuple(map(readable, cells))
    if len(cells) != columns.width:
        column = min(len(cells), columns.width) + 1
        return Fault(column, f"found {_cells(len(cells))}; accepted are {columns.width}, as in the header", shown_cells)
    for kind, position in columns.identifiers.items():
        try:
            NORMAL[kind](cells[position])
        except MalformedIdentifier as error:
            return Fault(position + 1, str(error), shown_cells)
    usable = [kind for kind in audience.identify_by if kind in columns.identifiers]
    column = columns.identifiers[usable[0]] + 1
    return Fault(
        column,
        f"found nothing to address anyone by; accepted is a row with {' or '.join(usable)}",
        shown_cells,
    )


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
