"""What there is to know about a ledger's health. Each question opens it by itself, so that one's failure is its own.

Raises LedgerError where SQLite can't answer, and InputError when there is no ledger. Nothing is changed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from sender.errors import LedgerError
from sender.ledger import database
from sender.ledger.lock import holder, lock_files
from sender.ledger.rows import fetch
from sender.ledger.sizes import beside
from sender.ledger.snapshot import snapshot
from sender.outcome import RunState

SHOWN_DAMAGE = 3


@dataclass(frozen=True, kw_only=True)
class Integrity:
    """The ledger's schema, the newest one that this program knows, and what SQLite finds damaged."""

    schema: int
    newest: int
    damage: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunHealth:
    """A run as far as somebody has to look after it: whether its sender died, and how many are in doubt for good."""

    name: str
    is_sent: bool
    has_died: bool
    unknown: int


def integrity(path: Path) -> Integrity:
    """The schema, and the first findings of SQLite's quick check. A new file without a schema has schema 0."""
    with snapshot(path) as connection:
        schema = _schema(connection)
        if schema == 0 and fetch(connection, "select 1 from sqlite_schema limit 1"):
            raise LedgerError(f"{path} is the database of another program: CAMPAIGN_LEDGER names another place")
        return Integrity(schema=schema, newest=database.migrations()[-1][0], damage=_damage(connection))


def run_health(path: Path) -> list[RunHealth]:
    """Every sealed run, the newest first. What a dead sender was sending counts as unknown: it will be."""
    held = {name for name in lock_files(path) if holder(path, name)}
    with snapshot(path) as connection:
        rows = _rows(
            connection,
            """
            select name, run.state, session_started_at is not null,
                coalesce(sum(size) filter (where chunk.state = 'unknown'), 0),
                coalesce(sum(size) filter (where chunk.state = 'sending'), 0)
            from run left join chunk on run_id = run.id and chunk.state in ('unknown', 'sending')
            where run.state <> 'planning' group by run.id order by run.id desc
            """,
        )
    # Looked at before and after, so that who starts or ends in this very moment is not taken for dead.
    held |= {name for name in lock_files(path) if holder(path, name)}
    return [_health(name in held, name, *row) for name, *row in rows]


def last_call_at(path: Path) -> float | None:
    """When the last call began of all that the ledger knows, in seconds since 1970; None when there was none."""
    with snapshot(path) as connection:
        rows: list[tuple[float | None]] = _rows(connection, "select max(sent_at) from attempt")
        return rows[0][0] if rows else None


def sqlite_version() -> str:
    """The version of the SQLite that ledgers are kept by."""
    return apsw.sqlite_lib_version()


def open_to_others(path: Path) -> list[Path]:
    """The ledger's files, its locks included, that somebody besides their owner may read or write."""
    files = [path, *(beside(path, ending) for ending in ("-wal", "-shm", "-journal"))]
    return [file for file in (*files, *lock_files(path).values()) if file.exists() and file.stat().st_mode & 0o077]


def network_file_system(path: Path) -> str | None:
    """The kind of network file system that holds the ledger; None for a local disk, or where the kernel won't tell."""
    kind = database.file_system(path)
    return kind if kind in database.NETWORK_FILE_SYSTEMS | database.NETWORK_FUSE else None


def _schema(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))


def _rows(connection: apsw.Connection, query: str) -> list[Any]:
    """What a query gives; nothing for a file that has no tables yet."""
    return fetch(connection, query) if _schema(connection) else []


def _damage(connection: apsw.Connection) -> tuple[str, ...]:
    said: list[str] = []
    try:
        said.extend(row[0] for row in connection.execute(f"pragma quick_check({SHOWN_DAMAGE})"))
    except apsw.CorruptError as error:  # the check itself stumbles over it
        said.append(str(error))
    return () if said == ["ok"] else tuple(said)


def _health(is_sent: bool, name: str, state: str, has_session: bool, unknown: int, sending: int) -> RunHealth:
    has_died = not is_sent and (bool(has_session) or state == RunState.RUNNING)
    return RunHealth(name=name, is_sent=is_sent, has_died=has_died, unknown=unknown + (0 if is_sent else sending))
