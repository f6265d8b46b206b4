"""A copy of the ledger, taken while it is used.

Whoever restores one forgets what was sent after it was taken, and may send that again: docs/ledger.md says what to do.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import apsw

from sender.errors import InputError, LedgerError
from sender.ledger.rows import fetch, fetch_one
from sender.ledger.sizes import beside
from sender.ledger.snapshot import require_ledger, snapshot

STEP_PAGES = 1000  # some 4 MB: ^C is heard between two steps
RUNS = "select count(*) from run where state <> 'planning'"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A copy that was checked: where it is, how large, and how many runs it holds."""

    path: Path
    size_bytes: int
    runs: int


def back_up(ledger: Path, target: Path, *, overwrite: bool = False) -> Backup:
    """Copies one moment of the ledger, also while senders write to it; none of them waits.

    The copy is one file for its owner alone, checked and on the disk before it takes its name. Raises InputError for a
    target that exists (unless `overwrite`) or is the ledger itself, LedgerError when one of the two can't be used.
    """
    require_ledger(ledger)
    target = target.resolve()
    _check_target(ledger, target, overwrite=overwrite)
    with _temporary_beside(target) as temporary:
        with snapshot(ledger) as source:
            runs = _runs(source, ledger)
            with _write_errors(target):
                _copy(source, temporary)
        _check_copy(temporary, ledger, runs)
        _check_target(ledger, target, overwrite=overwrite)
        with _write_errors(target):
            _put(temporary, target)
    return Backup(path=target, size_bytes=target.stat().st_size, runs=runs)


def _check_target(ledger: Path, target: Path, *, overwrite: bool) -> None:
    own = [ledger, *(beside(ledger, ending) for ending in ("-wal", "-shm", "-journal"))]
    if any(target == file or (target.exists() and file.exists() and target.samefile(file)) for file in own):
        raise InputError(f"{target} is the ledger itself: name another file for the backup")
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "lies in a folder that does not exist"
        raise InputError(f"{target} {what}: name a file in a folder for the backup")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists already, and nothing was written: name another file, or add --force")
    for ending in ("-wal", "-journal"):
        # SQLite would play a log that belongs to another database into the copy, when it is opened.
        if (log := beside(target, ending)).exists():
            raise InputError(f"{log} belongs to another database that is or was open: name another file for the backup")


@contextmanager
def _temporary_beside(target: Path) -> Iterator[Path]:
    """A new empty file for its owner alone; whatever is left of it in the end is removed."""
    with _write_errors(target):
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}-", suffix=".part", dir=target.parent)
        os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
    finally:
        for file in (temporary, *(beside(temporary, ending) for ending in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                file.unlink(missing_ok=True)


@contextmanager
def _write_errors(target: Path) -> Iterator[None]:
    """Raises what the two disks do as LedgerError."""
    try:
        yield
    except OSError as error:
        raise LedgerError(f"the backup {target} can't be written: {error.strerror}; nothing was written") from error
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        words = "the disk is full" if isinstance(error, apsw.FullError) else f"SQLite says {error}"
        raise LedgerError(f"copying the ledger to {target} failed: {words}; nothing was written") from error


def _copy(source: apsw.Connection, temporary: Path) -> None:
    copy = apsw.Connection(str(temporary))
    try:
        # The source stands still within its transaction, so that no commit of a sender makes this begin again.
        with copy.backup("main", source, "main") as steps:
            while not steps.done:
                steps.step(STEP_PAGES)
        # One file, which can be read where nothing can be written; a ledger is put into WAL mode when it is opened.
        copy.execute("pragma journal_mode = delete").fetchall()
    finally:
        copy.close()


def _check_copy(copy: Path, ledger: Path, runs: int) -> None:
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        said = [row[0] for row in fetch(connection, "pragma quick_check(1)")]
        if said == ["ok"] and _runs(connection, copy) == runs:
            return
        reason = said[0] if said != ["ok"] else "it does not hold every run"
    except apsw.Error as error:
        reason = str(error)
    finally:
        connection.close()
    raise LedgerError(
        f"the copy of {ledger} is damaged ({reason}), and no backup was made: `campaign doctor` tells whether the "
        "ledger itself is"
    )


def _runs(connection: apsw.Connection, path: Path) -> int:
    try:
        return fetch_one(connection, RUNS)
    except apsw.SQLError as error:
        raise LedgerError(f"{path} is no ledger: CAMPAIGN_LEDGER names another place") from error


def _put(temporary: Path, target: Path) -> None:
    """Makes the copy durable, then gives it its name, and makes that durable, too."""
    _sync(temporary)
    temporary.replace(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
