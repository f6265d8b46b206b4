"""A chunk's recipients as compressed bytes, and back.

Columns compress better than rows, since usernames resemble usernames; lines are kept as the step from the one before.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise, repeat

import orjson
import zstandard

from campaigns.audience import Recipient

_LEVEL = 3  # a seventh of the time of zlib's usual level, and smaller


def pack(recipients: Sequence[Recipient]) -> bytes:
    """The recipients, every identifier of each, compressed."""
    ids, usernames, emails, sources, lines = zip(*recipients, strict=True) if recipients else ((),) * 5
    columns = (ids, usernames, emails, sources, lines[:1] + tuple(b - a for a, b in pairwise(lines)))
    return zstandard.compress(orjson.dumps(columns), _LEVEL)


def unpack(packed: bytes) -> tuple[Recipient, ...]:
    """The recipients that were packed, in their order."""
    ids, usernames, emails, sources, steps = orjson.loads(zstandard.decompress(packed))
    rows = zip(ids, usernames, emails, sources, accumulate(steps), strict=True)
    # A third of the time of Recipient(…), which is a Python function.
    return tuple(map(tuple.__new__, repeat(Recipient), rows))
