"""What sessions and calls do to a run's rows, as functions of a connection; each is one job of the writer."""

import json
from collections.abc import Sequence
from dataclasses import replace

import apsw

from campaigns.audience import Recipient
from sender.ledger import leases
from sender.ledger.arbiter import Accounts
from sender.ledger.records import Attempt, Later, Part, Rates, StoredChunk
from sender.ledger.rows import as_json, fetch, fetch_one, insert_chunk, load_chunk
from sender.outcome import ChunkState, Outcome, RunState

EXCLUDED = "excluded"


def start_session(connection: apsw.Connection, run_id: int, now: float, rates: Rates | None) -> int:
    """Marks a run as running; returns how many recipients a sender that died has left in doubt."""
    rate = str(rates.calls) if rates else None
    connection.execute("insert into session (run_id, started_at, rate) values (?, ?, ?)", (run_id, now, rate))
    # A sender that died left its start behind: its session lasted until its last call.
    connection.execute(
        """
        update run set state = case held when 1 then 'paused' else 'running' end, ended_at = null, reason = '',
            paused_until = null,
            elapsed_seconds = elapsed_seconds + max(0, coalesce(
                (select max(sent_at + coalesce(seconds, 0)) from attempt join chunk on chunk.id = chunk_id
                 where run_id = run.id) - session_started_at, 0)),
            session_started_at = ?
        where id = ?
        """,
        (now, run_id),
    )
    stranded = strand(connection, run_id, now)
    if rates:
        leases.take_lease(connection, run_id, rates)
    return stranded


def end_session(connection: apsw.Connection, run_id: int, state: RunState, reason: str, now: float) -> int:
    """Marks a run as ended; returns how many recipients are in doubt because their call was cut off."""
    connection.execute(
        """
        update run set reason = case when ? = '' and state = 'cancelled' then reason else ? end,
            state = ?, ended_at = ?, session_started_at = null,
            elapsed_seconds = elapsed_seconds + max(0, ? - coalesce(session_started_at, ?))
        where id = ?
        """,
        (reason, reason, state, now, now, now, run_id),
    )
    last = "select id from session where run_id = ? order by started_at desc, id desc limit 1"
    connection.execute(f"update session set ended_at = ? where id = ({last}) and ended_at is null", (now, run_id))
    return _strand(connection, run_id, "the sender was stopped before the reply came", now)


def strand(connection: apsw.Connection, run_id: int, now: float) -> int:
    """Marks as unknown what a sender that died was sending; returns how many recipients."""
    return _strand(connection, run_id, "the sender died while this was being sent", now)


def claim(connection: apsw.Connection, accounts: Accounts, chunk: StoredChunk, now: float) -> Attempt | Later | None:
    """Marks a chunk as being sent and notes the call; None when it is pending no more."""
    account = accounts.of_run(connection, chunk.run_id)
    verdict = account.judge(chunk.run_id, chunk.size, now)
    if verdict.later:
        return verdict.later
    statement = """
        update chunk set state = 'sending', attempts = attempts + 1 where id = ? and state = 'pending'
        returning attempts
    """
    found = fetch(connection, statement, chunk.id)
    if not found:
        return None
    ((number,),) = found
    connection.execute(
        "insert into attempt (chunk_id, account_id, number, recipients, sent_at, slot_at) values (?, ?, ?, ?, ?, ?)",
        (chunk.id, account.id, number, chunk.size, verdict.leaves_at, verdict.slot_at),
    )
    account.begin(verdict, chunk.size)
    accounts.noted(connection)
    return Attempt(
        id=connection.last_insert_rowid(),
        chunk_id=chunk.id,
        account_id=account.id,
        number=number,
        recipients=chunk.size,
        sent_at=verdict.leaves_at,
        courtesy_seconds=verdict.courtesy_seconds,
    )


def settle(connection: apsw.Connection, accounts: Accounts, attempt: Attempt, outcome: Outcome, now: float) -> None:
    """Records what became of a call, and of its chunk."""
    _end_attempt(connection, accounts, attempt, outcome, now)
    is_pending = outcome.chunk is ChunkState.PENDING
    connection.execute(
        """
        update chunk set state = ?, not_found_count = ?, not_found = ?, status = ?, reason = ?, request_id = ?,
            batch_task_id = ?, decided_at = ?
        where id = ? and state = 'sending'
        """,
        (
            outcome.chunk,
            outcome.not_found_count,
            as_json(outcome.not_found),
            outcome.status,
            outcome.reason,
            outcome.request_id,
            outcome.batch_task_id,
            None if is_pending else now,
            attempt.chunk_id,
        ),
    )
    accounts.noted(connection)
    if is_pending and connection.changes():
        screen(connection, attempt.chunk_id, now)


def divide(
    connection: apsw.Connection,
    accounts: Accounts,
    attempt: Attempt,
    outcome: Outcome,
    chunk: StoredChunk,
    parts: Sequence[Part],
    now: float,
) -> None:
    """Records a refused call and replaces its chunk by the parts."""
    _end_attempt(connection, accounts, attempt, outcome, now)
    connection.execute(
        """
        update chunk set state = 'split', status = ?, reason = ?, request_id = ?, decided_at = ?
        where id = ? and state = 'sending'
        """,
        (outcome.status, outcome.reason, outcome.request_id, now, chunk.id),
    )
    if connection.changes() == 0:
        return
    opted_out = {chunk.recipients[place] for place in _opted_out(connection, chunk.id)}
    for part in parts:
        places = [place for place, recipient in enumerate(part.recipients) if recipient in opted_out]
        chunk_id = insert_chunk(connection, chunk.run_id, chunk.id, chunk.kind, part, now)
        connection.execute("update chunk set opted_out = ? where id = ?", (as_json(places), chunk_id))
        if part.state is ChunkState.PENDING:
            screen(connection, chunk_id, now)


def split(connection: apsw.Connection, chunk: StoredChunk, parts: Sequence[Part], now: float) -> list[int]:
    """Replaces a pending chunk by its parts; returns their numbers, none when it is pending no more."""
    connection.execute("update chunk set state = 'split' where id = ? and state = 'pending'", (chunk.id,))
    if connection.changes() == 0:
        return []
    return [insert_chunk(connection, chunk.run_id, chunk.id, chunk.kind, part, now) for part in parts]


def exclude(connection: apsw.Connection, chunk_id: int, places: Sequence[int], now: float) -> int:
    """Cancels the recipients at those places of a chunk, now or when it becomes pending again; returns how many now.

    Those of a chunk that was split since it was looked at are found in its parts.
    """
    chunk = load_chunk(connection, chunk_id)
    opted_out = {chunk.recipients[place] for place in places}
    return sum(_exclude_from_leaf(connection, leaf, opted_out, now) for leaf in _leaves(connection, chunk))


def _exclude_from_leaf(connection: apsw.Connection, leaf: StoredChunk, opted_out: set[Recipient], now: float) -> int:
    places = [place for place, recipient in enumerate(leaf.recipients) if recipient in opted_out]
    connection.execute("update chunk set opted_out = ? where id = ?", (as_json(places), leaf.id))
    return screen(connection, leaf.id, now) if leaf.state is ChunkState.PENDING else 0


def _leaves(connection: apsw.Connection, chunk: StoredChunk) -> list[StoredChunk]:
    if chunk.state is not ChunkState.SPLIT:
        return [chunk]
    parts = fetch(connection, "select id from chunk where parent_id = ?", chunk.id)
    return [leaf for (part_id,) in parts for leaf in _leaves(connection, load_chunk(connection, part_id))]


def screen(connection: apsw.Connection, chunk_id: int, now: float) -> int:
    """Takes out of a chunk that has become pending whoever may not be sent to any more; returns how many.

    Those are the ones that were excluded while it was not pending, or everybody when the run was cancelled meanwhile.
    """
    query = "select run.state, run.reason from run join chunk on run.id = run_id where chunk.id = ?"
    [(run_state, why)] = fetch(connection, query, chunk_id)
    if run_state == RunState.CANCELLED:
        statement = "update chunk set state = 'cancelled', reason = ?, decided_at = ? where id = ?"
        connection.execute(statement, (why or "cancelled", now, chunk_id))
        return fetch_one(connection, "select size from chunk where id = ?", chunk_id)
    chunk = load_chunk(connection, chunk_id)
    kept, out = without_opted_out(connection, chunk)
    if out:
        cancelled = replace(out, state=ChunkState.CANCELLED, reason=EXCLUDED)
        split(connection, chunk, [*([kept] if kept else []), cancelled], now)
    return len(out.recipients) if out else 0


def without_opted_out(connection: apsw.Connection, chunk: StoredChunk) -> tuple[Part | None, Part | None]:
    """A chunk's recipients as two parts: those who may be sent to, and those who were excluded; None for nobody."""
    places = frozenset(_opted_out(connection, chunk.id))

    def part(wanted: list[int]) -> Part | None:
        recipients = tuple(chunk.recipients[place] for place in wanted)
        return Part(recipients=recipients, first=chunk.first + wanted[0]) if wanted else None

    return part([place for place in range(chunk.size) if place not in places]), part(sorted(places))


def _opted_out(connection: apsw.Connection, chunk_id: int) -> list[int]:
    places: list[int] = json.loads(fetch(connection, "select opted_out from chunk where id = ?", chunk_id)[0][0])
    return places


def _end_attempt(
    connection: apsw.Connection, accounts: Accounts, attempt: Attempt, outcome: Outcome, now: float
) -> None:
    ending = accounts.get(connection, attempt.account_id).end(attempt.recipients, now)
    connection.execute(
        """
        update attempt set seconds = ?, status = ?, result = ?, reason = ?, ended_at = ?, calls_ended = ?,
            recipients_ended = ?
        where id = ?
        """,
        (outcome.seconds, outcome.status, outcome.result, outcome.reason, *ending, attempt.id),
    )


def _strand(connection: apsw.Connection, run_id: int, reason: str, now: float) -> int:
    """What is `sending` though nobody sends it may have arrived: `unknown`."""
    leases.release(connection, run_id, now)
    where = "where run_id = ? and state = 'sending'"
    stranded = fetch_one(connection, f"select coalesce(sum(size), 0) from chunk {where}", run_id)
    connection.execute(f"update chunk set state = 'unknown', reason = ?, decided_at = ? {where}", (reason, now, run_id))
    return stranded
