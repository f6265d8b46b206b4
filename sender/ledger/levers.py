"""What each lever does to a run's rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import apsw

from campaigns import model
from sender.ledger import leases
from sender.ledger.calls import EXCLUDED, without_opted_out
from sender.ledger.records import Command, Part, StoredChunk
from sender.ledger.rows import as_json, fetch, fetch_one, insert_chunk, load_chunk
from sender.outcome import ChunkState, Lever


def obey(connection: apsw.Connection, command: Command, now: float) -> int:
    """Does what was asked, and notes that and when. Returns how many recipients changed their state."""
    changed = EFFECTS[command.lever](connection, command, now)
    connection.execute("update command set obeyed_at = ?, recipients = ? where id = ?", (now, changed, command.id))
    return changed


def _pause(connection: apsw.Connection, command: Command, _now: float) -> int:
    connection.execute(
        """
        update run set held = 1, reason = case state when 'scheduled' then '' else reason end, state = 'paused'
        where id = ? and state not in ('completed', 'cancelled')
        """,
        (command.run_id,),
    )
    return 0


def _resume(connection: apsw.Connection, command: Command, _now: float) -> int:
    # With a sender it is running again; without one it waits for the next `send`.
    connection.execute(
        """
        update run set held = 0,
            state = case when state <> 'paused' then state
                         when session_started_at is null then 'interrupted' else 'running' end
        where id = ?
        """,
        (command.run_id,),
    )
    return 0


def _cancel(connection: apsw.Connection, command: Command, now: float) -> int:
    reason = f"cancelled by {command.user}"
    changed = _move(connection, command, now, ChunkState.PENDING, ChunkState.CANCELLED, reason)
    statement = "update run set held = 0, state = 'cancelled', reason = ? where id = ? and state <> 'completed'"
    connection.execute(statement, (reason, command.run_id))
    return changed


def _rate(connection: apsw.Connection, command: Command, _now: float) -> int:
    connection.execute("update run set rate = ? where id = ?", (command.argument, command.run_id))
    leases.change_lease(connection, command.run_id, model.Rate.parse(command.argument))
    return 0


def _retry(connection: apsw.Connection, command: Command, now: float) -> int:
    return _reopen(connection, command, now, ChunkState.REJECTED)


def _resend(connection: apsw.Connection, command: Command, now: float) -> int:
    return _reopen(connection, command, now, ChunkState.UNKNOWN)


def _assume_sent(connection: apsw.Connection, command: Command, now: float) -> int:
    reason = f"assumed sent by {command.user}"
    return _move(connection, command, now, ChunkState.UNKNOWN, ChunkState.ASSUMED_SENT, reason)


def _reopen(connection: apsw.Connection, command: Command, now: float, state: ChunkState) -> int:
    """Makes chunks in that state pending, without those who were excluded meanwhile.

    Of those the refused are cancelled, and the unknown stay unknown: they may have got the message.
    """
    changed = 0
    for chunk_id in _meant(connection, command, state):
        kept, out = without_opted_out(connection, load_chunk(connection, chunk_id))
        if out:
            _part(connection, load_chunk(connection, chunk_id), kept, out, now)
        else:
            statement = "update chunk set state = 'pending', reason = '', decided_at = null where id = ?"
            connection.execute(statement, (chunk_id,))
        changed += len(kept.recipients) if kept else 0
    if changed:
        statement = """
            update run set state = 'interrupted'
            where id = ? and state in ('completed', 'cancelled', 'stopped')
        """
        connection.execute(statement, (command.run_id,))
    return changed


def _part(connection: apsw.Connection, chunk: StoredChunk, kept: Part | None, out: Part, now: float) -> None:
    if chunk.state is ChunkState.REJECTED:
        out = replace(out, state=ChunkState.CANCELLED, reason=EXCLUDED)
    else:
        out = replace(out, state=chunk.state, status=chunk.status, reason=chunk.reason)
    connection.execute("update chunk set state = 'split' where id = ?", (chunk.id,))
    if kept:
        insert_chunk(connection, chunk.run_id, chunk.id, chunk.kind, kept, now)
    out_id = insert_chunk(connection, chunk.run_id, chunk.id, chunk.kind, out, now)
    # Marked as a whole, so that another `resend` leaves them alone, too.
    everybody = as_json(list(range(len(out.recipients))))
    connection.execute("update chunk set opted_out = ? where id = ?", (everybody, out_id))


def _move(
    connection: apsw.Connection, command: Command, now: float, before: ChunkState, after: ChunkState, reason: str
) -> int:
    """Moves the chunks that a command means from one state to another; returns how many recipients."""
    changed = 0
    for chunk_id in _meant(connection, command, before):
        statement = "update chunk set state = ?, reason = ?, decided_at = ? where id = ?"
        connection.execute(statement, (after, reason, now, chunk_id))
        changed += fetch_one(connection, "select size from chunk where id = ?", chunk_id)
    return changed


def _meant(connection: apsw.Connection, command: Command, state: ChunkState) -> list[int]:
    """The numbers of the chunks in that state, the one that the command names or all."""
    query = "select id from chunk where run_id = ? and state = ? and (? is null or id = ?)"
    return [row[0] for row in fetch(connection, query, command.run_id, state, command.chunk, command.chunk)]


EFFECTS: Final[Mapping[Lever, Callable[[apsw.Connection, Command, float], int]]] = {
    Lever.PAUSE: _pause,
    Lever.RESUME: _resume,
    Lever.CANCEL: _cancel,
    Lever.RATE: _rate,
    Lever.RETRY: _retry,
    Lever.RESEND: _resend,
    Lever.ASSUME_SENT: _assume_sent,
}
