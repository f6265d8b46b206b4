"""Rows of the ledger's tables as values, and the statements that several of its files share."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import apsw

from campaigns.audience import SourceStamp
from campaigns.audience.recipients import KINDS
from campaigns.model import IdentifierKind
from sender.ledger.packing import pack
from sender.ledger.records import Command, Part, Plan, Run, StoredChunk
from sender.outcome import ChunkState, Lever, RunState

RUN = """
    select run.id, name, key, campaign, account_id, origin, label, state, message_fingerprint, audience_spec,
           audience_fingerprint, sources, exclusions, counts, planned, content,
           created_at, session_started_at, elapsed_seconds, ended_at, reason, rate, held,
           rate_asked, run.paused_until, pause_reason
    from run join account on account.id = account_id
"""
_CHUNK_COLUMNS = "chunk.id, run_id, first, kind, size, state, not_found_count, not_found, status, reason, decided_at"
CHUNK = f"select {_CHUNK_COLUMNS} from chunk"
PACKED_CHUNK = f"select {_CHUNK_COLUMNS}, packed from chunk join chunk_recipients on chunk_id = chunk.id"
# A part that was never sent itself is in doubt, or accepted, by its parent's call.
LAST_CALLS = """
    with recursive line (leaf, id) as (
        select id, id from chunk where run_id = ? and state in ('accepted', 'unknown')
        union all
        select leaf, parent_id from line join chunk using (id)
        where parent_id is not null and not exists (select 1 from attempt where chunk_id = chunk.id)
    )
    select chunk.id, state, size, max(sent_at), chunk.reason, batch_task_id
    from line join attempt on attempt.chunk_id = line.id join chunk on chunk.id = line.leaf
    group by chunk.id order by max(attempt.id)
"""
COMMAND = "select id, run_id, lever, argument, user, given_at, obeyed_at, recipients from command"


def insert_chunk(
    connection: apsw.Connection,
    run_id: int,
    parent_id: int | None,
    kind: IdentifierKind,
    part: Part,
    now: float = 0.0,
) -> int:
    """Adds a chunk, with its recipients; returns its number. Raises LookupError when a call could not address one."""
    place = KINDS.index(kind)
    if any(recipient[place] is None for recipient in part.recipients):
        raise LookupError(f"a recipient of a chunk has no {kind}")
    decided_at = None if part.state is ChunkState.PENDING else now
    connection.execute(
        """
        insert into chunk (run_id, parent_id, first, kind, size, state, status, reason, decided_at)
        values (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (run_id, parent_id, part.first, kind, len(part.recipients), part.state, part.status, part.reason, decided_at),
    )
    chunk_id = connection.last_insert_rowid()
    connection.execute("insert into chunk_recipients values (?, ?)", (chunk_id, pack(part.recipients)))
    return chunk_id


def load_chunk(connection: apsw.Connection, chunk_id: int) -> StoredChunk:
    """A chunk with its recipients."""
    return chunk_of(fetch(connection, f"{PACKED_CHUNK} where chunk.id = ?", chunk_id)[0])


def fetch(connection: apsw.Connection, query: str, *values: Any) -> list[Any]:
    """All rows of a query."""
    return connection.execute(query, values).fetchall()


def fetch_one(connection: apsw.Connection, query: str, *values: Any) -> int:
    """The one number that a query gives."""
    ((value,),) = fetch(connection, query, *values)
    return int(value)


def run_of(row: tuple[Any, ...]) -> Run:
    """A row of RUN."""
    plan = Plan(
        audience_fingerprint=row[10],
        sources=tuple(SourceStamp(**stamp) for stamp in json.loads(row[11])),
        exclusions=tuple(SourceStamp(**stamp) for stamp in json.loads(row[12])),
        counts=json.loads(row[13]),
        planned=row[14],
    )
    return Run(
        id=row[0],
        name=row[1],
        key=row[2],
        campaign=row[3],
        account_id=row[4],
        origin=row[5],
        account=row[6],
        state=RunState(row[7]),
        message_fingerprint=row[8],
        audience_spec=row[9],
        plan=plan,
        content=json.loads(row[15]) if row[15] else None,
        created_at=row[16],
        session_started_at=row[17],
        elapsed_seconds=row[18],
        ended_at=row[19],
        reason=row[20],
        rate=row[21],
        held=bool(row[22]),
        rate_asked=row[23],
        paused_until=row[24],
        pause_reason=row[25],
    )


def chunk_of(row: tuple[Any, ...]) -> StoredChunk:
    """A row of CHUNK, without its recipients, or of PACKED_CHUNK."""
    chunk_id, run_id, first, kind, size, state, not_found_count, not_found, status, reason, decided_at, *packed = row
    return StoredChunk(
        id=chunk_id,
        run_id=run_id,
        first=first,
        kind=IdentifierKind(kind),
        size=size,
        state=ChunkState(state),
        not_found_count=not_found_count,
        not_found=tuple(json.loads(not_found)),
        status=status,
        reason=reason,
        decided_at=decided_at,
        packed=packed[0] if packed else b"",
    )


def as_json(value: object) -> str:
    """JSON as the ledger keeps it."""
    return json.dumps(value)  # not orjson: a path may hold bytes that are no UTF-8


def as_stamps(stamps: Iterable[SourceStamp]) -> str:
    """Stamps as the ledger keeps them."""
    return as_json([asdict(stamp) for stamp in stamps])


def command_of(row: tuple[Any, ...]) -> Command:
    """A row of COMMAND."""
    command_id, run_id, lever, argument, user, given_at, obeyed_at, recipients = row
    return Command(
        id=command_id,
        run_id=run_id,
        lever=Lever(lever),
        argument=argument,
        user=user,
        given_at=given_at,
        obeyed_at=obeyed_at,
        recipients=recipients,
    )
