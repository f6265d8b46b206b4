"""The ledger's file: created for its owner alone, opened durably, brought to the newest schema."""

import os
import re
import time
from importlib import resources
from pathlib import Path
from typing import Any, cast

import apsw

from sender.errors import LedgerError
from sender.ledger.packing import repacked

BUSY_MILLISECONDS = 15_000
NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs"})
NETWORK_FUSE = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.glusterfs"})


def connect(path: Path) -> apsw.Connection:
    """A connection to an existing or new ledger at `path`. Raises LedgerError, or SQLite's own errors."""
    _create_private(path)
    _refuse_network(path)
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        # FULL: a commit returns only when its bytes are on the disk, also in WAL mode.
        connection.execute("pragma synchronous = full")
        connection.execute("pragma foreign_keys = on")
        _use_wal(connection)
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: apsw.Connection) -> None:
    # The busy timeout does not hold for this one statement, and two first starts at once do meet here.
    until = time.monotonic() + BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("pragma journal_mode = wal").fetchall()
            return
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def migrations() -> list[tuple[int, str]]:
    """Every migration as (number, SQL), in order."""
    found = []
    for file in resources.files("sender.ledger.schema").iterdir():
        if match := re.fullmatch(r"(\d{4})_\w+\.sql", file.name):
            found.append((int(match[1]), file.read_text("utf-8")))
    return sorted(found)


def _migrate(connection: apsw.Connection, path: Path) -> None:
    known = migrations()
    newest = known[-1][0]
    if _version(connection) == newest:
        return
    connection.execute("begin immediate")  # two first starts at once: the second finds the work done
    with_rollback = True
    try:
        version = _version(connection)
        if version > newest:
            raise LedgerError(
                f"the ledger {path} has schema {version}, and this version of campaign knows up to {newest}: "
                "use the newer campaign that wrote it"
            )
        if version == 0 and connection.execute("select 1 from sqlite_schema").fetchone():
            raise LedgerError(f"{path} is the database of another program: CAMPAIGN_LEDGER names another place")
        connection.create_scalar_function("repacked", cast("Any", repacked), 1)
        for number, sql in known:
            if number > version:
                connection.execute(sql)
        connection.pragma("user_version", newest)
        connection.execute("commit")
        with_rollback = False
    except ValueError as error:
        words = f"the ledger {path} is of a version of campaign before 0.1, which alone can go on with it"
        raise LedgerError(words) from error
    finally:
        if with_rollback and connection.in_transaction:
            connection.execute("rollback")


def _version(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version"))


def _create_private(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the permissions of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LedgerError(
            f"the ledger {path} can't be opened: {error.strerror}. CAMPAIGN_LEDGER names another place for it"
        ) from error


def _refuse_network(path: Path) -> None:
    kind = file_system(path)
    if kind in NETWORK_FILE_SYSTEMS | NETWORK_FUSE:
        raise LedgerError(
            f"the ledger {path} lies on a network file system ({kind}), where locks and durability can't be relied on: "
            "let CAMPAIGN_LEDGER name a path on a local disk"
        )


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the file system that holds `path`, as the kernel names it; None where the kernel does not tell."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None  # no Linux: there the check is left to the documentation
    resolved = path.resolve()
    best: tuple[int, str | None] = (-1, None)
    for line in lines:
        left, _, right = line.partition(" - ")
        mount_point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), left.split()[4]))
        # Of two mounts on one point the later one is seen.
        if resolved.is_relative_to(mount_point) and len(mount_point.parts) >= best[0]:
            best = len(mount_point.parts), right.split()[0]
    return best[1]
