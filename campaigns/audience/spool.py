"""Rows on their way: kept in a temporary file from the reading of an audience until what becomes of each is known."""

import marshal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import repeat
from tempfile import TemporaryFile
from typing import Self

import zstandard

from campaigns.audience.people import Mask
from campaigns.audience.recipients import Recipient

_LEVEL = 1
_MARSHAL_VERSION = 2  # 3 and 4 look each object up, to write it once; that doubles the time
_LENGTH_BYTES = 4


class Spool:
    """Blocks of rows of one source each, in order. Compressed, ten million take some 250 MB of the disk."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(TemporaryFile())  # noqa: SIM115  # the stack closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, rows: Sequence[Recipient]) -> None:
        """Takes in the next rows, all of one source. Raises OSError when the file can't be written."""
        if not rows:
            return
        ids, usernames, emails, _, lines = zip(*rows, strict=True)
        block = marshal.dumps((ids, usernames, emails, rows[0].source, lines), _MARSHAL_VERSION)
        packed = zstandard.compress(block, _LEVEL)
        self._file.write(len(packed).to_bytes(_LENGTH_BYTES, "big") + packed)

    def blocks(self) -> Iterator[list[Recipient]]:
        """All rows, from the first, in the blocks that they came in."""
        self._file.seek(0)
        new = tuple.__new__
        while length := self._file.read(_LENGTH_BYTES):
            block = zstandard.decompress(self._file.read(int.from_bytes(length, "big")))
            ids, usernames, emails, source, lines = marshal.loads(block)  # noqa: S302  # written by add() above
            # Half the time of Recipient(…), which is a Python function.
            yield [new(Recipient, row) for row in zip(ids, usernames, emails, repeat(source), lines)]

    def beside(self, *masks: Mask) -> Iterator[tuple[list[Recipient], list[list[bool]]]]:
        """The blocks, each beside its part of masks with a place for every row."""
        begin = 0
        for block in self.blocks():
            end = begin + len(block)
            yield block, [mask[begin:end].tolist() for mask in masks]
            begin = end
