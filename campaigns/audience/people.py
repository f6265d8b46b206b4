"""One person, one message: which rows share an identifier, told for tens of millions of rows in little memory.

An identifier becomes a number of fixed width and goes to a temporary file; a part of those of one kind at a time is
read back and sorted. An id stands for itself. A username or an e-mail becomes 128 bits: two SipHashes, keyed anew in
each process, so that two of thirty million are taken for one another once in 10^23 readings.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BufferedRandom
from tempfile import TemporaryFile
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from campaigns.audience.block import Block
from campaigns.audience.recipients import KINDS

Rows = NDArray[np.uint32]
Mask = NDArray[np.bool_]

_SALT: Final = " "  # in no identifier, and so its second hash is a first hash of nobody
_NOBODY: Final = hash(""), hash(_SALT)

_PARTS: Final = 64
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio: its products spread, even those of ids in a row
_PART_SHIFT: Final = np.uint64(58)  # the six highest bits of a product are the part
_RUN: Final = 1 << 16
_AT_ONCE: Final = 1 << 19


class Shared(NamedTuple):
    """Some rows whose identifier of one kind another row has, too: sorted by identifier, then by row.

    Whoever shares an identifier with one of them is there as well.
    """

    rows: Rows
    groups: Rows
    """A number for the identifier of each, equal exactly when the identifier is."""

    def pairs(self, chosen: Mask) -> tuple[Rows, Rows]:
        """Each of the `chosen` rows but the first that has an identifier, after the one before it that has it."""
        rows, groups = self.rows[chosen], self.groups[chosen]
        same = groups[1:] == groups[:-1]
        return rows[:-1][same], rows[1:][same]


class People:
    """Rows by their identifiers, numbered from 0 as they are added. Holds temporary files as long as the context."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._columns = tuple(_Column(self._stack) for _ in KINDS)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __len__(self) -> int:
        """How many rows were added."""
        return self._count

    def add(self, rows: Block) -> None:
        """Takes in rows. Raises OSError when the temporary files can't be written."""
        numbers = np.array([number or 0 for number in rows.ids], np.int64)
        self._columns[0].add(self._count, numbers, np.zeros_like(numbers), numbers != 0)
        for column, texts in zip(self._columns[1:], (rows.usernames, rows.emails), strict=True):
            column.add(self._count, *_hashed(texts))
        self._count += len(rows.lines)

    def shared(self) -> Iterator[Shared]:
        """Who shares an identifier with whom: some of one kind at a time, half a million identifiers or a 64th of all.

        Raises OSError when the temporary files can't be written or read.
        """
        return (shared for column in self._columns for shared in column.shared())


def _hashed(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Both hashes of each identifier, and which of them are there at all."""
    named = [text or "" for text in texts]
    high = np.fromiter(map(hash, named), np.int64, len(named))
    low = np.fromiter(map(hash, [text + _SALT for text in named]), np.int64, len(named))
    return high, low, (high != _NOBODY[0]) | (low != _NOBODY[1])


class _Column:
    """The identifiers of one kind: the row and the two halves of each, in files of their own.

    Each identifier falls in one of some parts. The files are made of runs, and a run is in order of the parts, so that
    a part is read without the rest.
    """

    def __init__(self, stack: ExitStack) -> None:
        files = (stack.enter_context(TemporaryFile()) for _ in range(3))  # noqa: SIM115  # the stack closes them
        self._rows, self._high, self._low = files
        self._waiting: list[tuple[Rows, NDArray[np.int64], NDArray[np.int64]]] = []
        self._waits = 0
        self._sizes: list[NDArray[np.intp]] = []
        """Of each run, how many identifiers each part has."""

    def add(self, first: int, high: NDArray[np.int64], low: NDArray[np.int64], present: Mask) -> None:
        rows = (np.flatnonzero(present) + first).astype(np.uint32)
        self._waiting.append((rows, high[present], low[present]))
        self._waits += len(rows)
        if self._waits >= _RUN:
            self._write_run()

    def shared(self) -> Iterator[Shared]:
        if self._waits:
            self._write_run()
        sizes = np.array(self._sizes, np.intp).reshape(-1, _PARTS)
        begins = np.cumsum(sizes).reshape(-1, _PARTS) - sizes
        step = max(1, _PARTS * _AT_ONCE // max(1, int(sizes.sum())))
        for part in range(0, _PARTS, step):
            counts = sizes[:, part : part + step].sum(axis=1)
            yield self._shared_in(list(zip(begins[:, part].tolist(), counts.tolist(), strict=True)))

    def _write_run(self) -> None:
        rows, high, low = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting, self._waits = [], 0
        parts = (high.view(np.uint64) * _MIX >> _PART_SHIFT).astype(np.uint8)
        order = np.argsort(parts, kind="stable")
        for file, values in (self._rows, rows), (self._high, high), (self._low, low):
            file.write(values[order].data)
        self._sizes.append(np.bincount(parts, minlength=_PARTS))

    def _shared_in(self, spans: list[tuple[int, int]]) -> Shared:
        groups, places = _alike(_read(self._high, np.int64, spans))
        low = _read(self._low, np.int64, spans)[places]
        rows = _read(self._rows, np.uint32, spans)[places]
        if (_begins(low) & ~_begins(groups)).any():  # two identifiers have the same first half
            order = np.lexsort((low, groups))  # stable, so that equal ones stay in the order of their rows
            rows, groups = rows[order], np.cumsum(_begins(low[order]) | _begins(groups[order]), dtype=np.uint32)
        return Shared(rows, groups)


def _alike(numbers: NDArray[np.int64]) -> tuple[Rows, Rows]:
    """The numbers that are there more than once, sorted: a number for each that is equal when they are, and its place.

    `numbers` is left sorted.
    """
    order = np.argsort(numbers)
    numbers.sort()
    begins = _begins(numbers)
    again = ~begins
    again[:-1] |= again[1:]
    # Group and place in one number: sorting those takes a tenth of the time of a stable argsort().
    both = np.cumsum(begins)[again] << 32 | order[again]
    both.sort()
    return (both >> 32).astype(np.uint32), both.astype(np.uint32)


def _begins(numbers: NDArray[Any]) -> Mask:
    """Which numbers differ from the one before them; the first does."""
    begins = np.ones(len(numbers), np.bool_)
    begins[1:] = numbers[1:] != numbers[:-1]
    return begins


def _read(file: BufferedRandom, kind: Any, spans: list[tuple[int, int]]) -> NDArray[Any]:
    """The numbers at some spans of the file, each given as its first place and its length."""
    found, at = np.empty(sum(length for _, length in spans), kind), 0
    for begin, length in spans:
        file.seek(begin * found.itemsize)
        file.readinto(found[at : at + length].data)
        at += length
    return found
