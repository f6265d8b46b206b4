"""A refused chunk -> its parts, pure: cut until the bad recipients stand alone, so that they never cost the others.

For k bad recipients among n it takes about 2·k·log2(n) calls; a refusal that names them saves all but one.
"""

from collections.abc import Sequence
from itertools import pairwise

from sender.ledger import Part, StoredChunk
from sender.outcome import ChunkState, Outcome


def parts_of_refused(chunk: StoredChunk, outcome: Outcome) -> tuple[Part, ...]:
    """What to send instead of a chunk that was refused; empty when nothing is left to cut.

    The named ones are rejected and the rest is sent again; when none is named, or all are, it is cut in the middle.
    """
    if chunk.size == 1:
        return ()
    named = frozenset(outcome.refused)
    if 0 < len(named) < chunk.size:
        return _without(chunk, named, outcome)
    return cut(chunk, [chunk.size // 2])


def cut(chunk: StoredChunk, places: Sequence[int]) -> tuple[Part, ...]:
    """The chunk cut before each of these places; empty parts are left out."""
    edges = [0, *places, chunk.size]
    return tuple(
        Part(recipients=chunk.recipients[start:end], first=chunk.first + start)
        for start, end in pairwise(edges)
        if start < end
    )


def _without(chunk: StoredChunk, named: frozenset[str], outcome: Outcome) -> tuple[Part, ...]:
    is_named = [str(address) in named for address in chunk.addresses]
    return tuple(
        Part(
            recipients=tuple(r for r, is_bad in zip(chunk.recipients, is_named, strict=True) if is_bad is wanted),
            first=chunk.first + is_named.index(wanted),
            state=state,
            status=outcome.status if wanted else None,
            reason=outcome.reason if wanted else "",
        )
        for wanted, state in ((False, ChunkState.PENDING), (True, ChunkState.REJECTED))
    )


def decided(chunk: StoredChunk, outcome: Outcome, parts: Sequence[Part]) -> int:
    """How many recipients need no further call after this one."""
    if parts:
        return sum(len(part.recipients) for part in parts if part.state is not ChunkState.PENDING)
    return 0 if outcome.chunk is ChunkState.PENDING else chunk.size
