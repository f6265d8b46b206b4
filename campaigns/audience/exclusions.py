"""Who is left out: everyone in the exclusion lists, and whoever is tied to them by a row of the audience.

A row that names two identifiers says that they are one person. Excluding is therefore the closure over all
valid rows, whichever order they come in.

Exclusion lists are read leniently, since no opt-out may be lost: each sound identifier counts, whatever the
rest of its row is like; a malformed cell is taken apart at line breaks, delimiters, quotes and brackets; and in
a row that is broken or has too few or too many cells every piece is tried as every kind. That can exclude a
stranger whose name is a word of such a row; it never spares one who opted out.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from typing import BinaryIO, Final

import numpy as np

from campaigns.audience.block import Block
from campaigns.audience.columns import find_exclusion_columns, wanted_headers
from campaigns.audience.components import Components
from campaigns.audience.csvfile import open_csv
from campaigns.audience.identifiers import MalformedIdentifier, readable, shown
from campaigns.audience.people import People
from campaigns.audience.recipients import Counts, Recipient, RejectedRow, identifier_key
from campaigns.audience.rows import NORMAL, RowReader, is_blank
from campaigns.audience.sources import Sources, display_name, file_error
from campaigns.audience.spool import Spool, explained_spooling
from campaigns.audience.textfile import line_blocks
from campaigns.errors import Place
from campaigns.model import Audience, IdentifierKind

SHOWN_CELLS: Final = 5
_pieces = re.compile(r"[\r\n,;|\t\"'<>()]+").split


def listed_keys(audience: Audience) -> set[str]:
    """The keys of everyone in the exclusion lists themselves; no CSV of the audience is read.

    Rows with nothing usable in them are passed over; `read_audience` reports them. Raises AudienceError.
    """
    with Sources() as sources:
        return read_lists(audience, sources, lambda _: None)


def excluded_keys(
    audience: Audience, *, stdin: BinaryIO | None = None, on_progress: Callable[[int], None] | None = None
) -> set[str]:
    """The keys of everyone excluded: the lists, and along the chains through the audience's rows.

    Standard input is consumed when the audience reads it. Raises AudienceError.
    """
    with Sources(stdin) as sources:
        listed = read_lists(audience, sources, lambda _: None)
        reader = RowReader(
            audience=audience, sources=sources, counts=Counts(), on_rejected=lambda _: None, on_progress=on_progress
        )
        return tied_keys(listed, (block for source in range(len(audience.csv)) for block, _ in reader.blocks(source)))


def tied_keys(listed: Iterable[str], blocks: Iterable[Block]) -> set[str]:
    """The smallest set that holds `listed` and, with one key of a row, all of them."""
    keys = set(listed)
    with People() as people, Spool() as spool:
        people.add(named_by(keys))
        for block in blocks:
            with explained_spooling():
                people.add(block)
                spool.add(block)
        components = Components(len(people))
        with explained_spooling():
            for shared in people.shared():
                components.tie(*shared.pairs(np.ones(len(shared.rows), np.bool_)))
        tied = components.reached(slice(len(keys)))[len(keys) :]
        for rows, (is_tied,) in spool.beside(tied):
            keys.update(*map(Recipient.keys, compress(rows, is_tied)))
    return keys


def named_by(keys: Iterable[str]) -> Block:
    """A row with one identifier for each of `keys`, of Recipient.keys()."""
    make = {
        IdentifierKind.ID[0]: lambda value: Recipient(int(value), None, None, 0, 0),
        IdentifierKind.USERNAME[0]: lambda value: Recipient(None, value, None, 0, 0),
        IdentifierKind.EMAIL[0]: lambda value: Recipient(None, None, value, 0, 0),
    }
    return Block.of([make[key[0]](key[2:]) for key in keys])


def read_lists(audience: Audience, sources: Sources, on_problem: Callable[[RejectedRow], None]) -> set[str]:
    """The keys in all exclusion lists; rows without any go to `on_problem`. Raises AudienceError."""
    return {key for path in audience.exclude for key in _read_list(path, audience, sources, on_problem)}


def _read_list(
    path: str, audience: Audience, sources: Sources, on_problem: Callable[[RejectedRow], None]
) -> Iterator[str]:
    with sources.opened(path) as stream:
        # Its delimiter is found, not taken from `audience.delimiter`: the list may come from another program.
        csv = open_csv(line_blocks(stream, path, audience.encoding), wanted_headers(audience), None, path)
        if csv.header is None:
            raise file_error(path, "the exclusion list is empty; accepted is at least a header such as username")
        columns = find_exclusion_columns(csv.header, audience, path)
        for batch in csv.batches():
            for line, cells in zip(batch.lines, batch.rows, strict=True):
                fault = batch.faults.get(line)
                if is_blank(cells) and fault is None:
                    continue
                row = list(fault.cells) if fault else cells
                ragged = fault is not None or len(row) != len(csv.header.cells)
                keys = _keys_in(row, columns, ragged=ragged)
                if not keys:
                    on_problem(_problem(path, line, columns, row))
                yield from keys


def _keys_in(row: list[str], columns: list[tuple[IdentifierKind, int]], *, ragged: bool) -> list[str]:
    if ragged:
        return _keys_anywhere([piece for cell in row for piece in _pieces(cell)], columns)
    keys = list[str]()
    for kind, position in columns:
        found = _key(kind, row[position])
        keys += [found] if found else _keys_anywhere(_pieces(row[position]), columns)
    return keys


def _keys_anywhere(cells: list[str], columns: list[tuple[IdentifierKind, int]]) -> list[str]:
    found = (_key(kind, cell) for cell in cells for kind in {kind for kind, _ in columns})
    return [key for key in found if key]


def _key(kind: IdentifierKind, cell: str) -> str | None:
    try:
        value = NORMAL[kind](cell)
    except MalformedIdentifier:
        return None
    return None if value is None else identifier_key(kind, value)


def _problem(path: str, line: int, columns: list[tuple[IdentifierKind, int]], row: list[str]) -> RejectedRow:
    kinds = " or ".join(dict.fromkeys(kind for kind, _ in columns))
    found = ", ".join(map(shown, row[:SHOWN_CELLS])) + (" …" if len(row) > SHOWN_CELLS else "")
    return RejectedRow(
        place=Place(file=display_name(path), line=line, column=columns[0][1] + 1),
        reason=f"found {found}, which excludes nobody; accepted is a row with a sound {kinds}",
        cells=tuple(map(readable, row)),
    )
