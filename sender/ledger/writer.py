"""One thread that owns one SQLite connection, and commits in groups.

Jobs that wait while a commit is under way share the next one: with many workers that is one `fsync` for many chunks,
and a job's future resolves only once its commit is on the disk. Each job runs in a savepoint of its own, so that one
that fails takes no other with it.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apsw

from sender.errors import LedgerError

T = TypeVar("T")
GROUP_LIMIT = 256


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[apsw.Connection], Any]
    writes: bool
    future: "Future[Any]"


class Writer:
    """The thread. `run` may be awaited from any coroutine of one event loop."""

    def __init__(
        self, connect: Callable[[], apsw.Connection], path: Path, on_commit: Callable[[float], None] | None = None
    ) -> None:
        self._connect = connect
        self._on_commit = on_commit
        self._path = path
        self._inode: int | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)

    async def start(self) -> None:
        """Opens the connection in the thread. Raises LedgerError when that fails."""
        ready: Future[None] = Future()
        self._opened = ready
        self._thread.start()
        await asyncio.wrap_future(ready)

    async def run(self, work: Callable[[apsw.Connection], T], *, writes: bool = True) -> T:
        """What `work` returns, once it is durable. Raises LedgerError when the ledger can't do it."""
        future: Future[T] = Future()
        self._jobs.put(_Job(work, writes, future))
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Ends the thread after the jobs that are already queued."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._opened.set_exception(self._translate(error))
            return
        self._opened.set_result(None)
        try:
            while jobs := self._next_group():
                began_at = time.perf_counter()
                self._commit(connection, jobs)
                if self._on_commit and any(job.writes for job in jobs):
                    self._on_commit(time.perf_counter() - began_at)
        finally:
            connection.close()

    def _next_group(self) -> list[_Job]:
        jobs: list[_Job] = []
        while len(jobs) < GROUP_LIMIT:
            try:
                job = self._jobs.get(block=not jobs)
            except queue.Empty:
                break
            if job is None:
                if jobs:
                    self._jobs.put(None)
                break
            if job.future.set_running_or_notify_cancel():
                jobs.append(job)
        return jobs

    def _commit(self, connection: apsw.Connection, jobs: list[_Job]) -> None:
        results: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            self._refuse_vanished()
            connection.execute("begin immediate" if any(job.writes for job in jobs) else "begin")
            results = [self._attempt(connection, job) for job in jobs]
            connection.execute("commit")
        except BaseException as error:
            self._roll_back(connection)
            for job in jobs:
                job.future.set_exception(self._translate(error))
            return
        for job, result, failure in results:
            if failure is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(failure)

    def _attempt(self, connection: apsw.Connection, job: _Job) -> tuple[_Job, Any, BaseException | None]:
        connection.execute("savepoint job")
        try:
            result = job.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite gave up the whole transaction: disk full, I/O error
            connection.execute("rollback to job")
            connection.execute("release job")
            return job, None, self._translate(error)
        connection.execute("release job")
        return job, result, None

    def _refuse_vanished(self) -> None:
        # SQLite would go on writing to a file that was removed or replaced, and nobody would ever read it.
        try:
            found = self._path.stat()
        except OSError as error:
            raise LedgerError(f"the ledger {self._path} has vanished: {error.strerror}; bring it back") from error
        if self._inode not in (None, found.st_ino):
            raise LedgerError(f"the ledger {self._path} was replaced by another file while it was in use")
        self._inode = found.st_ino

    def _roll_back(self, connection: apsw.Connection) -> None:
        if connection.in_transaction:
            connection.execute("rollback")

    def _translate(self, error: BaseException) -> BaseException:
        return translate(error, self._path)


def translate(error: BaseException, path: Path) -> BaseException:
    """SQLite's errors as a LedgerError that says what to do; any other error as it is."""
    match error:
        case apsw.FullError():
            words = "the disk is full: make room, then start the same command again"
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            words = "it can't be written: see to its owner and permissions"
        case apsw.CorruptError() | apsw.NotADBError():
            words = "it is damaged, or no ledger: restore a backup (a new one would know nobody who was sent to)"
        case apsw.CantOpenError():
            words = "it can't be opened: see that its folder exists and is yours"
        case apsw.BusyError() | apsw.LockedError():
            words = "another program keeps it locked: end that one, then start the same command again"
        case apsw.IOError():
            words = f"the disk failed ({error})"
        case apsw.Error():
            words = str(error)
        case _:
            return error
    translated = LedgerError(f"the ledger {path}: {words}")
    translated.__cause__ = error
    return translated
