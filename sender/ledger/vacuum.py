"""Gives back to the disk what a ledger no longer uses."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from sender.errors import LedgerError, RunHeld
from sender.ledger import database
from sender.ledger.lock import lock_files, run_lock
from sender.ledger.rows import fetch_one
from sender.ledger.sizes import free_bytes, ledger_bytes, sized
from sender.ledger.snapshot import require_ledger, sqlite_errors


@dataclass(frozen=True, kw_only=True)
class Vacuumed:
    """The sizes of a ledger before and after its free space was given back, its log included."""

    path: Path
    before_bytes: int
    after_bytes: int


def vacuum(ledger: Path) -> Vacuumed:
    """Gives the ledger's free space back to the disk.

    Raises InputError without a ledger, RunHeld while a run is being sent, LedgerError when there is too little room.
    """
    require_ledger(ledger)
    with _all_locks(ledger), sqlite_errors(ledger):
        connection = database.connect(ledger)
        try:
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            before = ledger_bytes(ledger)
            _require_room(connection, ledger)
            # Without this the names would go through /tmp, which is often small or in memory.
            connection.pragma("temp_store_directory", str(ledger.parent))
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            return Vacuumed(path=ledger, before_bytes=before, after_bytes=ledger_bytes(ledger))
        finally:
            connection.close()


@contextmanager
def _all_locks(ledger: Path) -> Iterator[None]:
    """Holds the lock of every run that was ever sent, so that no sender starts meanwhile. Raises RunHeld."""
    with ExitStack() as stack:
        for run in lock_files(ledger):
            try:
                stack.enter_context(run_lock(ledger, run))
            except RunHeld as error:
                raise RunHeld(f"{error}: the ledger can only be vacuumed when nothing is being sent") from error
        yield


def _require_room(connection: apsw.Connection, ledger: Path) -> None:
    # SQLite writes the new file twice: as a temporary one, and through the log (https://sqlite.org/lang_vacuum.html).
    used = fetch_one(connection, "pragma page_count") - fetch_one(connection, "pragma freelist_count")
    needed, free = 2 * used * fetch_one(connection, "pragma page_size"), free_bytes(ledger.parent)
    if free < needed:
        raise LedgerError(
            f"vacuuming {ledger} needs about {sized(needed)} beside it, and {sized(free)} are free: make room first"
        )
