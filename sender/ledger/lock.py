"""One run has one sender: a lock of the operating system, beside the ledger.

The kernel frees it at the moment its holder dies, however it dies, so a restart never waits for a lease to run out.
"""

import fcntl
import glob
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from sender.errors import LedgerError, RunHeld


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who sends a run: the host, the process, since when (UTC), and whether that process is stopped (^Z)."""

    host: str
    pid: int
    since: datetime
    stopped: bool = False

    def __str__(self) -> str:
        state = "stopped; `kill -CONT` wakes it" if self.stopped else "running"
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC, {state}"


@contextmanager
def run_lock(ledger: Path, run: str) -> Iterator[None]:
    """Holds the run's lock. Raises RunHeld when another process does, saying who."""
    path = _lock_file(ledger, run)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"the lock {path} beside the ledger can't be opened: {error.strerror}") from error
    try:
        if not _acquire(descriptor):
            raise RunHeld(f"the run {run} is being sent already, by {_holder(descriptor) or 'another process'}")
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> bool:
    # `holder` shares the lock for an instant to look whether it is free, so one refusal proves nothing.
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False


def is_held(ledger: Path, run: str) -> bool:
    """Whether the run has a sender now, in this process or in another one."""
    try:
        descriptor = os.open(_lock_file(ledger, run), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)


def holder(ledger: Path, run: str) -> Holder | None:
    """Who sends the run now; None when nobody does."""
    if not is_held(ledger, run):
        return None
    try:
        descriptor = os.open(_lock_file(ledger, run), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _holder(descriptor)
    finally:
        os.close(descriptor)


def lock_files(ledger: Path) -> dict[str, Path]:
    """The lock file of every run that was ever sent, by the run's name."""
    prefix, suffix = f"{ledger.name}-", ".lock"
    files = sorted(ledger.parent.glob(f"{glob.escape(prefix)}*{suffix}"))
    return {file.name.removeprefix(prefix).removesuffix(suffix): file for file in files}


def _lock_file(ledger: Path, run: str) -> Path:
    # The file stays: removing it would let two processes lock two files of one name.
    return ledger.with_name(f"{ledger.name}-{run}.lock")


def _sign(descriptor: int) -> None:
    signature = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC)}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, orjson.dumps(signature), 0)


def _holder(descriptor: int) -> Holder | None:
    try:
        signature = orjson.loads(os.pread(descriptor, 4096, 0))
        pid = int(signature["pid"])
        since = datetime.fromisoformat(signature["since"])
        return Holder(host=str(signature["host"]), pid=pid, since=since, stopped=_is_stopped(pid))
    except (ValueError, KeyError, TypeError):
        return None  # caught between taking the lock and signing it


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return False
