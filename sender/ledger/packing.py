"""A chunk's recipients as compressed bytes, and back.

Columns compress better than rows, since usernames resemble usernames; lines are kept as the step from the one before.
Each column is a line of JSON, so that the one that a call needs is taken out as it stands.
"""

import threading
from collections.abc import Sequence
from itertools import accumulate, pairwise, repeat
from typing import Any

import orjson
import zstandard

from campaigns.audience import Recipient

_LEVEL = 3  # a seventh of the time of zlib's usual level, and smaller
_NOBODY = b"null"  # a column in which nobody has anything


class _Local(threading.local):
    def __init__(self) -> None:
        self.decompressor = zstandard.ZstdDecompressor()  # to make one takes as long as a chunk does


_local = _Local()


def pack(recipients: Sequence[Recipient]) -> bytes:
    """The recipients, every identifier of each, compressed."""
    ids, usernames, emails, sources, lines = zip(*recipients, strict=True) if recipients else ((),) * 5
    steps = lines[:1] + tuple(b - a for a, b in pairwise(lines))
    columns = (ids, usernames, emails, sources, steps)
    return zstandard.compress(b"\n".join(map(_line, columns)), _LEVEL)


def unpack(packed: bytes) -> tuple[Recipient, ...]:
    """The recipients that were packed, in their order."""
    *columns, steps = map(orjson.loads, _local.decompressor.decompress(packed).split(b"\n"))
    rows = zip(*(column or [None] * len(steps) for column in columns), accumulate(steps), strict=True)
    # A third of the time of Recipient(…), which is a Python function.
    return tuple(map(tuple.__new__, repeat(Recipient), rows))


def unpack_column(packed: bytes, place: int) -> bytes:
    """One field of all recipients as a JSON list; `null` when nobody has it."""
    return _local.decompressor.decompress(packed).split(b"\n", place + 1)[place]


def repacked(packed: bytes) -> bytes:
    """What schema 5 had packed, as `pack` does it now. Raises ValueError when it was packed in another way."""
    try:
        columns = orjson.loads(_local.decompressor.decompress(packed))
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
    return zstandard.compress(b"\n".join(map(_line, columns)), _LEVEL)


def _line(column: Sequence[Any]) -> bytes:
    return _NOBODY if column and column.count(None) == len(column) else orjson.dumps(column)
