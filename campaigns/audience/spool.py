"""Rows on their way: kept in a temporary file from the reading of an audience until what becomes of each is known."""

import marshal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile, gettempdir
from typing import Any, Self

import zstandard

from campaigns.audience.block import Block
from campaigns.audience.people import Mask
from campaigns.audience.recipients import Recipient
from campaigns.audience.sources import file_error

_LEVEL = 1
_MARSHAL_VERSION = 2  # 3 and 4 look each object up, to write it once; that doubles the time
_LENGTH_BYTES = 4


@contextmanager
def explained_spooling() -> Iterator[None]:
    """Turns what the system says of the temporary files into an AudienceError; nothing else belongs inside."""
    try:
        yield
    except OSError as error:
        reason = f"rows can't be kept here while they are read: {error.strerror}; make room or set TMPDIR"
        raise file_error(gettempdir(), reason) from error


class Spool:
    """Blocks of rows, in order. Compressed, ten million take some 250 MB of the disk."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._file = self._stack.enter_context(TemporaryFile())  # noqa: SIM115  # the stack closes it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, block: Block) -> None:
        """Takes in the next rows. Raises OSError when the file can't be written."""
        columns: tuple[Any, ...] = (*map(list, block[:4]), block.source)
        packed = zstandard.compress(marshal.dumps(columns, _MARSHAL_VERSION), _LEVEL)
        self._file.write(len(packed).to_bytes(_LENGTH_BYTES, "big") + packed)

    def blocks(self) -> Iterator[Block]:
        """All rows, from the first, in the blocks that they came in."""
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            packed = self._file.read(int.from_bytes(length, "big"))
            yield Block(*marshal.loads(zstandard.decompress(packed)))  # noqa: S302  # written by add() above

    def beside(self, *masks: Mask) -> Iterator[tuple[list[Recipient], list[list[bool]]]]:
        """The rows by blocks, each beside its part of masks that have a place for every row."""
        begin = 0
        for block in self.blocks():
            end = begin + len(block.lines)
            yield block.recipients(), [mask[begin:end].tolist() for mask in masks]
            begin = end
