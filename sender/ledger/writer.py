"""One thread that owns one SQLite connection, and commits in groups.

Jobs that wait while a commit is under way share the next one: with many workers that is one `fsync` for many chunks,
and a job's future resolves only once its commit is on the disk. When one of them fails, each is done once more in a
transaction of its own, so that it takes no other with it.
"""

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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
    future: "asyncio.Future[Any]"


_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]


class Writer:
    """The thread. `run` may be awaited from any coroutine of the event loop that started it.

    on_begin    called in the thread when a transaction begins
    on_commit   called in the thread when one that wrote is on the disk, with the seconds that it took
    """

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        path: Path,
        on_begin: Callable[[], None] = lambda: None,
        on_commit: Callable[[float], None] | None = None,
    ) -> None:
        self._connect = connect
        self._on_begin = on_begin
        self._on_commit = on_commit
        self._path = path
        self._inode: int | None = None
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)

    async def start(self) -> None:
        """Opens the connection in the thread. Raises LedgerError when that fails."""
        self._loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._thread.start()
        await self._opened

    async def run(self, work: Callable[[apsw.Connection], T], *, writes: bool = True) -> T:
        """What `work` returns, once it is durable. Raises LedgerError when the ledger can't do it.

        It may be done twice, the first time in a transaction that is rolled back.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(work, writes, future))
        return await future

    async def close(self) -> None:
        """Ends the thread after the jobs that are already queued."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:
            self._tell([(self._opened, None, self._translate(error))])
            return
        self._tell([(self._opened, None, None)])
        try:
            while jobs := self._next_group():
                began_at = time.perf_counter()
                done = self._do(connection, jobs)
                if self._on_commit and any(job.writes for job in jobs):
                    self._on_commit(time.perf_counter() - began_at)
                self._tell(done)
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
            if not job.future.cancelled():
                jobs.append(job)
        return jobs

    def _do(self, connection: apsw.Connection, jobs: list[_Job]) -> list[_Done]:
        """What each job returns or raises, all of them in one transaction if that is possible."""
        is_begun = is_worked = False
        try:
            self._refuse_vanished()
            connection.execute("begin immediate" if any(job.writes for job in jobs) else "begin")
            is_begun = True
            self._on_begin()
            done: list[_Done] = [(job.future, job.work(connection), None) for job in jobs]
            is_worked = True
            connection.execute("commit")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("rollback")
            if len(jobs) > 1 and is_begun and not is_worked:
                return [one for job in jobs for one in self._do(connection, [job])]
            return [(job.future, None, self._translate(error)) for job in jobs]
        return done

    def _tell(self, done: list[_Done]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(_resolve, done)

    def _refuse_vanished(self) -> None:
        # SQLite would go on writing to a file that was removed or replaced, and nobody would ever read it.
        try:
            found = os.stat(self._path)  # noqa: PTH116  # a third of the time, for every commit
        except OSError as error:
            raise LedgerError(f"the ledger {self._path} has vanished: {error.strerror}; bring it back") from error
        if self._inode not in (None, found.st_ino):
            raise LedgerError(f"the ledger {self._path} was replaced by another file while it was in use")
        self._inode = found.st_ino

    def _translate(self, error: BaseException) -> BaseException:
        return translate(error, self._path)


def _resolve(done: list[_Done]) -> None:
    for future, result, failure in done:
        if future.done():
            continue  # whoever waited was cancelled
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


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
