"""The pending chunks of a run, read from the ledger a few at a time."""

import time
from collections import deque

from sender.halving import cut
from sender.ledger import START, Ledger, Position, StoredChunk
from sender.outcome import ChunkState

AHEAD = 64  # each look at the ledger waits for a commit, so one for every call would hold up the workers


class Backlog:
    """What is still to be sent, in plan order, up to but without the position `until`."""

    def __init__(self, ledger: Ledger, run_id: int, *, until: Position | None = None) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._until = until
        self._after = START
        self._ready: deque[StoredChunk] = deque()

    async def next(self) -> StoredChunk | None:
        """The next chunk with its recipients; None when there is none before the end."""
        if not self._ready:
            await self._read()
        return self._ready.popleft() if self._ready else None

    async def rewind(self) -> bool:
        """Begins again: whether anything is pending still, such as the parts of a chunk that was split meanwhile."""
        self._after = START
        self._ready.clear()
        await self._read()
        return bool(self._ready)

    async def single(self, where: float) -> StoredChunk | None:
        """One pending recipient as a chunk of their own, from so far into what is pending (0 to 1); None when none is.

        The chunk around them is cut in the ledger.
        """
        pending = [leaf for leaf in await self._ledger.leaves(self._run_id) if self._is_wanted(leaf)]
        offset = int(where * (sum(leaf.size for leaf in pending) - 1))
        for leaf in pending:
            if offset < leaf.size:
                return await self._cut_out(leaf, offset)
            offset -= leaf.size
        return None

    async def _cut_out(self, leaf: StoredChunk, offset: int) -> StoredChunk | None:
        chunk = await self._ledger.load(leaf.id)
        if chunk.size == 1:
            return chunk
        parts = cut(chunk, [offset, offset + 1])
        numbers = await self._ledger.split(chunk, parts, time.time())
        wanted = chunk.recipients[offset : offset + 1]
        for number, part in zip(numbers, parts, strict=False):  # no numbers: somebody else was faster
            if part.recipients == wanted:
                return await self._ledger.load(number)
        return None

    def _is_wanted(self, leaf: StoredChunk) -> bool:
        return leaf.state is ChunkState.PENDING and (self._until is None or leaf.position < self._until)

    async def _read(self) -> None:
        chunks = await self._ledger.pending(self._run_id, after=self._after, limit=AHEAD)
        if chunks:
            self._after = chunks[-1].position
        self._ready.extend(chunk for chunk in chunks if self._is_wanted(chunk))
