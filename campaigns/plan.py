"""Recipients -> chunks: what one call takes. Pure, and a stream."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from campaigns.audience.recipients import KINDS, Recipient
from campaigns.model import IdentifierKind

MAX_RECIPIENTS_PER_CHUNK: Final = 1000
"""What the API takes in one call."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The recipients of one call, all addressed by the same kind of identifier."""

    kind: IdentifierKind
    recipients: tuple[Recipient, ...]


def plan_chunks(
    recipients: Iterable[Recipient], *, identify_by: Sequence[IdentifierKind], chunk_size: int
) -> Iterator[Chunk]:
    """Chunks of one kind each, in the order of the recipients within a kind.

    Each recipient goes by the first kind of `identify_by` that it has. A chunk comes out as soon as it is
    full; what remains of each kind comes last, in the order of `identify_by`. Raises ValueError for a chunk
    size that the API doesn't take, and for a recipient who has none of the kinds.
    """
    if not 1 <= chunk_size <= MAX_RECIPIENTS_PER_CHUNK:
        raise ValueError(f"found a chunk size of {chunk_size}; accepted is 1 to {MAX_RECIPIENTS_PER_CHUNK:,}")
    return _chunks(recipients, identify_by, chunk_size)


def _chunks(recipients: Iterable[Recipient], identify_by: Sequence[IdentifierKind], chunk_size: int) -> Iterator[Chunk]:
    waiting: list[tuple[IdentifierKind, int, list[Recipient]]]
    waiting = [(kind, KINDS.index(kind), []) for kind in identify_by]
    for recipient in recipients:
        for kind, place, together in waiting:
            if recipient[place] is not None:
                together.append(recipient)
                if len(together) == chunk_size:
                    yield Chunk(kind, tuple(together))
                    together.clear()
                break
        else:
            kinds = ", ".join(identify_by)
            raise ValueError(f"the recipient of line {recipient.line} has none of: {kinds}")
    for kind, _, rest in waiting:
        if rest:
            yield Chunk(kind, tuple(rest))
