"""A chunk's recipients as compressed bytes, and back.

Columns compress better than rows, since usernames resemble usernames; lines are kept as the step from the one before.
"""

import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise

import orjson

from campaigns.audience import Recipient


def pack(recipients: Sequence[Recipient]) -> bytes:
    """The recipients, every identifier of each, compressed."""
    ids, usernames, emails, sources, lines = zip(*recipients, strict=True) if recipients else ((),) * 5
    columns = (ids, usernames, emails, sources, lines[:1] + tuple(b - a for a, b in pairwise(lines)))
    return zlib.compress(orjson.dumps(columns), level=6)


def unpack(packed: bytes) -> tuple[Recipient, ...]:
    """The recipients that were packed, in their order."""
    ids, usernames, emails, sources, steps = orjson.loads(zlib.decompress(packed))
    return tuple(map(Recipient, ids, usernames, emails, sources, accumulate(steps)))
