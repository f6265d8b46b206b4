"""One person, one message: which rows share an identifier, told for tens of millions of rows in little memory.

An identifier becomes a number of fixed width and goes to a temporary file; a kind at a time is read back and sorted.
An id stands for itself. A username or an e-mail becomes 128 bits: two SipHashes, keyed anew in each process, so that
two of thirty million are taken for one another once in 10^23 readings.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from campaigns.audience.block import Block
from campaigns.audience.recipients import KINDS

Rows = NDArray[np.uint32]
Mask = NDArray[np.bool_]

_SALT: Final = " "  # in no identifier, and so its second hash is a first hash of nobody
_NOBODY: Final = hash(""), hash(_SALT)


class Shared(NamedTuple):
    """The rows whose identifier of one kind another row has, too: sorted by identifier, then by row."""

    rows: Rows
    groups: Rows
    """A number for the identifier of each, equal exactly when the identifier is."""

    def pairs(self, among: Mask) -> tuple[Rows, Rows]:
        """Each of the rows in `among` but the first that has an identifier, after the one before it that has it."""
        chosen = among[self.rows]
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

    def shared(self) -> list[Shared]:
        """For each kind, who shares an identifier with whom."""
        return [column.shared() for column in self._columns]


def _hashed(texts: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int64], Mask]:
    """Both hashes of each identifier, and which of them are there at all."""
    named = [text or "" for text in texts]
    high = np.fromiter(map(hash, named), np.int64, len(named))
    low = np.fromiter(map(hash, [text + _SALT for text in named]), np.int64, len(named))
    return high, low, (high != _NOBODY[0]) | (low != _NOBODY[1])


class _Column:
    """The identifiers of one kind: the row and the two halves of each, in a file of their own."""

    def __init__(self, stack: ExitStack) -> None:
        files = (stack.enter_context(TemporaryFile()) for _ in range(3))  # noqa: SIM115  # the stack closes them
        self._rows, self._high, self._low = files

    def add(self, first: int, high: NDArray[np.int64], low: NDArray[np.int64], present: Mask) -> None:
        self._rows.write((np.flatnonzero(present) + first).astype(np.uint32).data)
        self._high.write(high[present].data)
        self._low.write(low[present].data)

    def shared(self) -> Shared:
        # At most two arrays with a place for each row are alive at once: 160 MB at ten million.
        high = _read(self._high, np.int64)
        order = np.argsort(high)
        high.sort()
        same = high[1:] == high[:-1]
        del high
        alike = np.zeros(len(order), np.bool_)
        alike[1:] = same
        alike[:-1] |= same
        places = np.sort(order[alike])
        del order, alike
        high, low = (_read(file, np.int64)[places] for file in (self._high, self._low))
        order = np.lexsort((low, high))  # stable, so that equal ones stay in the order of their rows
        high, low = high[order], low[order]
        begins = np.ones(len(order), np.bool_)
        begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        return Shared(_read(self._rows, np.uint32)[places][order], np.cumsum(begins, dtype=np.uint32))


def _read(file: IO[bytes], kind: Any) -> NDArray[Any]:
    file.seek(0)
    return np.fromfile(file, kind)
