"""What each lever does to a run's rows."""

from collections.abc import Callable, Mapping
from typing import Final

import apsw

from sender.ledger.calls import screen
from sender.ledger.records import Command
from sender.ledger.rows import fetch, fetch_one
from sender.outcome import ChunkState, Lever


def obey(connection: apsw.Connection, command: Command, now: float) -> int:
    """Does what was asked, and notes that and when. Returns how many recipients changed their state."""
    changed = EFFECTS[command.lever](connection, command, now)
    connection.execute("update command set obeyed_at = ?, recipients = ? where id = ?", (now, changed, command.id))
    return changed


def _pause(connection: apsw.Connection, command: Command, _now: float) -> int:
    connection.execute("update run set held = 1, state = 'paused' where id = ?", (command.run_id,))
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
    changed = _move(connection, command, now, ChunkState.PENDING, ChunkState.CANCELLED, f"cancelled by {command.user}")
    statement = "update run set held = 0, state = 'cancelled' where id = ? and state <> 'completed'"
    connection.execute(statement, (command.run_id,))
    return changed


def _rate(connection: apsw.Connection, command: Command, _now: float) -> int:
    connection.execute("update run set rate = ? where id = ?", (command.argument, command.run_id))
    return 0


def _retry(connection: apsw.Connection, command: Command, now: float) -> int:
    return _reopen(connection, command, now, ChunkState.REJECTED)


def _resend(connection: apsw.Connection, command: Command, now: float) -> int:
    return _reopen(connection, command, now, ChunkState.UNKNOWN)


def _assume_sent(connection: apsw.Connection, command: Command, now: float) -> int:
    reason = f"assumed sent by {command.user}"
    return _move(connection, command, now, ChunkState.UNKNOWN, ChunkState.ASSUMED_SENT, reason)


def _reopen(connection: apsw.Connection, command: Command, now: float, state: ChunkState) -> int:
    changed = _move(connection, command, now, state, ChunkState.PENDING, "")
    if not changed:
        return 0
    statement = """
        update run set state = 'interrupted'
        where id = ? and state in ('completed', 'cancelled', 'stopped')
    """
    connection.execute(statement, (command.run_id,))
    query = "select id from chunk where run_id = ? and state = 'pending' and opted_out <> '[]'"
    return changed - sum(screen(connection, row[0], now) for row in fetch(connection, query, command.run_id))


def _move(
    connection: apsw.Connection, command: Command, now: float, before: ChunkState, after: ChunkState, reason: str
) -> int:
    """Moves chunks from one state to another, the one that the command names or all; returns their recipients."""
    where = "where run_id = ? and state = ? and (? is null or id = ?)"
    values = (command.run_id, before, command.chunk, command.chunk)
    changed = fetch_one(connection, f"select coalesce(sum(size), 0) from chunk {where}", *values)
    decided_at = None if after is ChunkState.PENDING else now
    connection.execute(
        f"update chunk set state = ?, reason = ?, decided_at = ? {where}", (after, reason, decided_at, *values)
    )
    return changed


EFFECTS: Final[Mapping[Lever, Callable[[apsw.Connection, Command, float], int]]] = {
    Lever.PAUSE: _pause,
    Lever.RESUME: _resume,
    Lever.CANCEL: _cancel,
    Lever.RATE: _rate,
    Lever.RETRY: _retry,
    Lever.RESEND: _resend,
    Lever.ASSUME_SENT: _assume_sent,
}
