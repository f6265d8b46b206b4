"""Rows of cells -> recipients, whether `where` lets them through, and rejected rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from campaigns.audience.columns import Columns, find_columns, wanted_headers
from campaigns.audience.csvfile import Batch, Fault, open_csv
from campaigns.audience.identifiers import (
    COMMON_LENGTH,
    STRIPPED,
    MalformedIdentifier,
    common_email,
    normal_email,
    normal_id,
    normal_username,
    plain_id,
    plain_username,
    readable,
)
from campaigns.audience.recipients import KINDS, Counts, Recipient, RejectedRow
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

    def batches(self, source: int) -> Iterator[tuple[list[Recipient], list[bool]]]:
        """The valid rows of one file in batches, and whether `where` lets each through. Raises AudienceError."""
        path = self.audience.csv[source]
        with self.sources.opened(path) as stream:
            blocks = line_blocks(stream, path, self.audience.encoding)
            csv = open_csv(blocks, wanted_headers(self.audience), self.audience.delimiter, path)
            if csv.header is None:
                raise file_error(path, "the file is empty; accepted is a header such as username, then one row each")
            columns = find_columns(csv.header, self.audience, path)
            for batch in csv.batches():
                before = self.counts.rows
                rows = self._valid(batch, columns, source)
                self.counts.rows += len(rows[0])
                self._tell_progress(before)
                yield rows

    def _valid(self, batch: Batch, columns: Columns, source: int) -> tuple[list[Recipient], list[bool]]:
        # One loop, and no call in it that could be spared: at ten million rows each of them is a second.
        id_at, username_at, email_at = map(columns.identifiers.get, KINDS)
        by_id, by_username, by_email = (kind in self.audience.identify_by for kind in KINDS)
        width, where, new = columns.width, columns.where, tuple.__new__
        number = username = email = None
        valid, passes = list[Recipient](), list[bool]()
        for line, cells in zip(batch.lines, batch.rows, strict=True):
            if len(cells) == width:
                try:
                    if id_at is not None:
                        cell = cells[id_at]
                        number = int(cell) if plain_id(cell) else normal_id(cell)
                    if username_at is not None:
                        cell = cells[username_at]
                        username = cell if plain_username(cell) else normal_username(cell)
                    if email_at is not None:
                        cell = cells[email_at]
                        email = cell if len(cell) <= COMMON_LENGTH and common_email(cell) else normal_email(cell)
                except MalformedIdentifier:
                    self._reject(line, cells, columns, source)
                    continue
                if (number and by_id) or (username and by_username) or (email and by_email):
                    # Half the time of Recipient(…), which is a Python function.
                    valid.append(new(Recipient, (number, username, email, source, line)))
                    passes.append(not where or _passes(cells, where))
                    continue
            if not is_blank(cells) or line in batch.faults:
                self._reject(line, cells, columns, source, batch.faults.get(line))
        return valid, passes

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


def _passes(cells: list[str], where: tuple[tuple[int, frozenset[str]], ...]) -> bool:
    for position, values in where:
        cell = cells[position]
        if cell not in values and cell.strip(STRIPPED) not in values:
            return False
    return True


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
