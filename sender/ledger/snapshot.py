"""One moment of an existing ledger, read beside whoever writes it.

In WAL mode a reader and a writer never wait for each other. As long as a moment is being read, the write-ahead log
can't be emptied: it takes up more of the disk, and nothing else happens.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from sender.errors import InputError, LedgerError
from sender.ledger.database import BUSY_MILLISECONDS
from sender.ledger.sizes import beside
from sender.ledger.writer import translate


@contextmanager
def snapshot(path: Path) -> Iterator[apsw.Connection]:
    """A connection to that moment, as it lies there: nothing is made, migrated or changed.

    Raises InputError when there is no ledger, and LedgerError, also for SQLite's errors within the context.
    """
    require_ledger(path)
    with sqlite_errors(path):
        connection = _open(path)
        try:
            connection.execute("begin")
            connection.execute("select count(*) from sqlite_schema").fetchall()  # the first read chooses the moment
            yield connection
        finally:
            connection.close()


def require_ledger(path: Path) -> None:
    """Raises InputError when there is no ledger at `path`, LedgerError when nobody can tell."""
    try:
        is_there = path.exists()
    except OSError as error:
        raise LedgerError(f"the ledger {path} can't be opened: {error.strerror}") from error
    if not is_there:
        raise InputError(f"there is no ledger at {path} yet: nothing was ever sent from here")


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as LedgerError."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, path) from error


def _open(path: Path) -> apsw.Connection:
    # A connection that may write merges the log into the ledger when it is the last to go, and removes it. One that
    # may not leaves the empty log behind that it had to make. So whichever of them leaves things as they are.
    has_log = beside(path, "-wal").exists()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY if has_log else apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.execute("pragma query_only = on")
    return connection
