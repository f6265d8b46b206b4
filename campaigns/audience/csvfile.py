"""Lines of text -> rows of cells with their line numbers; the only user of the csv module.

A row that can't be read is at fault alone. When a quote is never closed, or is closed in the midst of a
cell, the line where that row starts is at fault, and the lines that it would have swallowed are read again
as rows of their own. A quote that happens to be closed properly many lines later can't be told from a cell
of many lines.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from campaigns.audience.identifiers import STRIPPED, readable, shown
from campaigns.audience.sources import file_error
from campaigns.audience.textfile import undecodable

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_ROW_CHARACTERS: Final = 1 << 20
_UNFINISHED: Final = "unexpected end of data"
_excel_hint = re.compile(r"sep=(.)[\r\n]*", re.IGNORECASE).fullmatch


class Fault(NamedTuple):
    """Why a row can't be read, and at which cell, counted from 1."""

    column: int | None
    reason: str
    cells: tuple[str, ...]


class Batch(NamedTuple):
    """Some rows, in order, and the line where each starts; a blank line and a row at fault have no cells."""

    lines: Sequence[int]
    rows: list[list[str]]
    faults: dict[int, Fault]


class Header(NamedTuple):
    """The first line that isn't blank."""

    line: int
    cells: list[str]
    delimiter: str
    lines: int
    """How many lines it takes, more than one when a cell has line breaks."""

    def keys(self) -> list[str]:
        """The cells as headers are compared."""
        return list(map(header_key, self.cells))


class CsvFile:
    """A CSV whose header is known and whose rows are yet to come."""

    def __init__(self, blocks: Iterable[list[str]], header: Header | None, pending: list[str], first: int) -> None:
        self.header = header
        """None when the file has no line that isn't blank."""
        self._blocks = blocks
        self._pending = pending
        self._first = first

    def batches(self) -> Iterator[Batch]:
        """The rows after the header, once. Raises what the blocks raise."""
        if self.header is None:
            return
        delimiter = self.header.delimiter
        first, pending = self._first, self._pending
        for block in self._blocks:
            pending = pending + block if pending else block
            batch, used = _parse(pending, first, delimiter, final=False)
            yield batch
            first, pending = first + used, pending[used:]
        yield _parse(pending, first, delimiter, final=True)[0]


def open_csv(blocks: Iterator[list[str]], names: frozenset[str], delimiter: str | None, path: str) -> CsvFile:
    """Reads up to and including the header. Raises AudienceError when that line can't be read.

    The delimiter, unless it is given, is the one that finds most of `names` in the header, then most cells.
    """
    first, lines = _skip_blank(blocks, 1, [])
    if lines and (hint := _excel_hint(lines[0])):
        delimiter = delimiter or hint[1]
        first, lines = _skip_blank(blocks, first + 1, lines[1:])
    if not lines:
        return CsvFile(blocks, None, [], first)
    while lines[0].count('"') % 2 and sum(map(len, lines)) < MAX_ROW_CHARACTERS and (more := next(blocks, None)):
        lines += more  # a header with line breaks in it may go on in the next block
    choices = [_read_header(lines, first, choice) for choice in ([delimiter] if delimiter else DELIMITERS)]
    header = max(choices, key=lambda choice: (len(names.intersection(choice.keys())), len(choice.cells)))
    if not header.cells:
        raise file_error(path, "the header has a stray quote; accepted are names with quotes in pairs, or none")
    return CsvFile(blocks, header, lines[header.lines :], first + header.lines)


def _skip_blank(blocks: Iterator[list[str]], first: int, lines: list[str]) -> tuple[int, list[str]]:
    """The lines from the first that isn't blank, reading on as far as needed, and that line's number."""
    while True:
        blank = next((n for n, line in enumerate(lines) if line.strip(STRIPPED)), len(lines))
        first, lines = first + blank, lines[blank:]
        more = None if lines else next(blocks, None)
        if more is None:
            return first, lines
        lines = more


def header_key(name: str) -> str:
    """`name` as headers are compared: without case, spaces or a leading `@`."""
    return "".join(name.strip(STRIPPED).split()).lower().removeprefix("@")


def _read_header(lines: list[str], first: int, delimiter: str) -> Header:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        return Header(first, next(reader), delimiter, reader.line_num)
    except csv.Error:
        return Header(first, [], delimiter, 1)


def _parse(lines: list[str], first: int, delimiter: str, *, final: bool) -> tuple[Batch, int]:
    """The rows that are complete in `lines`, and how many lines they take; with `final` all of them."""
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        rows = []
    if len(rows) == len(lines):  # so each row is one line, and nothing is at fault
        batch, used = Batch(range(first, first + len(rows)), rows, {}), len(rows)
    else:
        batch, used = _parse_row_by_row(lines, first, delimiter, final=final)
    if undecodable("".join(lines)):
        _set_aside_undecodable(batch)
    return batch, used


def _parse_row_by_row(lines: list[str], first: int, delimiter: str, *, final: bool) -> tuple[Batch, int]:
    starts, rows, faults = list[int](), list[list[str]](), dict[int, Fault]()
    done = 0
    while done < len(lines):
        start = done
        reader = csv.reader(lines[start:], delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                starts.append(first + done)
                rows.append(cells)
                done = start + reader.line_num
        except csv.Error as error:
            row = lines[done : start + reader.line_num]
            if str(error) == _UNFINISHED and not final and sum(map(len, row)) <= MAX_ROW_CHARACTERS:
                break
            faults[first + done] = _fault(row, first + done, delimiter, str(error))
            starts.append(first + done)
            rows.append([])
            done += 1
    return Batch(starts, rows, faults), done


def _fault(row: list[str], line: int, delimiter: str, error: str) -> Fault:
    last = line + len(row) - 1
    if error.startswith("field larger") and len(row) == 1:
        reason = f"found a cell of more than {csv.field_size_limit():,} characters; accepted are shorter ones"
    elif error.startswith((_UNFINISHED, "field larger")):
        reason = (
            f"found a quote that opens in line {line} and is not closed; accepted are quotes in pairs "
            "(the lines after it are read as rows of their own)"
        )
    else:
        where = "" if last == line else f" opens in line {line} and"
        reason = (
            f"found a quote that{where} closes in line {last} in the midst of a cell; "
            'accepted are quotes around a whole cell, and "" for a quote inside it'
        )
    cells = row[0].rstrip("\r\n").replace('"', "").split(delimiter)
    return Fault(_column_at_fault("".join(row), delimiter), reason, tuple(map(readable, cells)))


def _column_at_fault(text: str, delimiter: str) -> int | None:
    bar = re.escape(delimiter)
    whole_cell = re.compile(rf'(?:"[^"]*(?:""[^"]*)*"|(?!")[^{bar}\r\n]*)(?={bar}|[\r\n]|\Z)')
    column, position = 1, 0
    while (cell := whole_cell.match(text, position)) and len(cell[0]) <= csv.field_size_limit():
        position = cell.end() + 1
        if text[position - 1 : position] != delimiter:
            return None
        column += 1
    return column


def _set_aside_undecodable(batch: Batch) -> None:
    for index, cells in enumerate(batch.rows):
        for column, cell in enumerate(cells, 1):
            if bad := undecodable(cell):
                reason = (
                    f"found the {bad} in {shown(cell)}, which is no text in this file's encoding; "
                    "accepted is UTF-8, or what `encoding:` names"
                )
                batch.faults[batch.lines[index]] = Fault(column, reason, tuple(map(readable, cells)))
                batch.rows[index] = []
                break
