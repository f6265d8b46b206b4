"""What is asked of a run while it is sent or afterwards: the reading half of the ledger on SQLite."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from typing import Any

from campaigns.audience import Recipient
from sender.ledger import history
from sender.ledger.packing import unpack
from sender.ledger.records import (
    START,
    Bucket,
    Call,
    Failure,
    Latency,
    Reason,
    Span,
    StoredChunk,
    StoredSession,
    Totals,
)
from sender.ledger.rows import CHUNK, as_json, load_chunk
from sender.ledger.writer import Writer
from sender.outcome import ChunkState


class Looking:
    """See `sender.ledger.Ledger` for what each method promises."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def load(self, chunk_id: int) -> StoredChunk:
        return await self._writer.run(lambda connection: load_chunk(connection, chunk_id), writes=False)

    async def totals(self, run_id: int) -> Totals:
        return await self._writer.run(lambda connection: history.totals(connection, run_id), writes=False)

    async def sessions(self, run_id: int) -> list[StoredSession]:
        return await self._writer.run(lambda connection: history.sessions(connection, run_id), writes=False)

    async def buckets(self, run_id: int, starts: Sequence[float], seconds: float) -> list[Bucket]:
        return await self._writer.run(
            lambda connection: history.buckets(connection, run_id, starts, seconds), writes=False
        )

    async def waits(self, run_id: int, seconds: float) -> list[Span]:
        return await self._writer.run(lambda connection: history.waits(connection, run_id, seconds), writes=False)

    async def latency(self, run_id: int, percents: Sequence[int]) -> Latency:
        return await self._writer.run(lambda connection: history.latency(connection, run_id, percents), writes=False)

    async def reasons(self, run_id: int, limit: int) -> list[Reason]:
        return await self._writer.run(lambda connection: history.reasons(connection, run_id, limit), writes=False)

    async def run_sends(self, run_id: int, since: float) -> list[tuple[float, int]]:
        return await self._writer.run(lambda connection: history.sends(connection, run_id, since), writes=False)

    async def failures(self, run_id: int, limit: int) -> list[Failure]:
        return await self._writer.run(lambda connection: history.failures(connection, run_id, limit), writes=False)

    async def calls(self, run_id: int) -> list[Call]:
        return await self._writer.run(lambda connection: history.last_calls(connection, run_id), writes=False)

    async def chunks(
        self, run_id: int, states: Iterable[ChunkState], *, only_incomplete: bool = False
    ) -> AsyncGenerator[StoredChunk]:
        wanted = as_json([*states])
        query = f"""{CHUNK} where run_id = ? and state <> 'split' and state in (select value from json_each(?))
            and not_found_count >= ? and (first, id) > (?, ?) order by first, id limit 200"""
        after = START
        while rows := await self._read(query, run_id, wanted, int(only_incomplete), *after):
            for row in rows:
                chunk = await self.load(row[0])
                after = chunk.position
                yield chunk

    async def _packed(self, query: str, *values: Any) -> AsyncIterator[tuple[Recipient, ...]]:
        """What the second column of a query holds, read by pages that begin behind a number in the first."""
        after = 0
        while page := await self._read(query, *values, after):
            after = page[-1][0]
            for _, packed in page:
                yield unpack(packed)

    async def _read(self, query: str, *values: Any) -> list[Any]:
        return await self._writer.run(lambda connection: connection.execute(query, values).fetchall(), writes=False)

    async def _write(self, statement: str, *values: Any) -> None:
        await self._writer.run(lambda connection: connection.execute(statement, values).fetchall())
