"""One SQLite connection, whose work is committed in groups.

Jobs that wait while a commit is under way share the next one: with many workers that is one `fsync` for many chunks,
and a job's future resolves only once its commit is on the disk. When a job fails, each of its group is done once more
in a transaction of its own, so that it takes no other with it. When the ledger fails, whatever waits fails with it:
what was asked for before anybody could know of that must not be done afterwards.

What may take long is done in a thread: every commit, and every job but the brief ones. Those stay in the loop's own,
since two threads that both have work hand Python's lock to and fro: with 16 workers that took a fifth of all CPU time.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw

from sender.errors import LedgerError
from sender.ledger import database
from sender.ledger.arbiter import Accounts

T = TypeVar("T")
GROUP_LIMIT = 256


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[apsw.Connection], Any]
    future: "asyncio.Future[Any]"
    writes: bool
    is_brief: bool


_Done = tuple["asyncio.Future[Any]", Any, BaseException | None]

# Not of a job, but of the ledger.
_FAULTS = (
    LedgerError,
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
)


class Writer:
    """The connection and its thread. `run` may be awaited from any coroutine of the event loop that started it.

    accounts    what is told of each transaction's beginning, and forgets when one is rolled back
    on_commit   called in the thread when one that wrote is on the disk, with its seconds, those for its lock included
    """

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        path: Path,
        accounts: Accounts,
        on_commit: Callable[[float], None] | None = None,
    ) -> None:
        self._connect = connect
        self._accounts = accounts
        self._on_commit = on_commit
        self._path = path
        self._inode: int | None = None
        self._waiting: deque[_Job] = deque()
        self._is_busy = False
        self._began_at = 0.0
        self._fault: BaseException | None = None
        self._tasks: queue.SimpleQueue[Callable[[], list[_Done]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)

    async def start(self) -> None:
        """Opens the connection. Raises LedgerError when that fails."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = self._loop.create_future()
        self._is_busy = True
        self._tasks.put(lambda: [(opened, None, self._open())])
        self._thread.start()
        try:
            await opened
        except BaseException:
            self._tasks.put(None)
            raise

    async def run(self, work: Callable[[apsw.Connection], T], *, writes: bool = True, is_brief: bool = False) -> T:
        """What `work` returns, once it is durable. Raises LedgerError when the ledger can't do it.

        It may be done more than once, in transactions that are rolled back. Brief is what touches a few rows.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Job(work, future, writes, is_brief))
        if not self._is_busy:
            self._is_busy = True
            self._loop.call_soon(self._next)
        return await future

    async def close(self) -> None:
        """Ends the thread after the jobs that are already queued."""
        with suppress(LedgerError):
            await self.run(lambda _: None, writes=False)
        self._tasks.put(self._shut)
        self._tasks.put(None)
        await asyncio.to_thread(self._thread.join)

    # In the loop's thread

    def _next(self) -> None:
        jobs = self._group()
        self._is_busy = bool(jobs)
        if not jobs:
            return
        self._began_at = time.perf_counter()
        done = self._briefly(jobs) if jobs[0].is_brief else None
        self._tasks.put(partial(self._do, jobs) if done is None else partial(self._commit, done, is_written=True))

    def _group(self) -> list[_Job]:
        """The jobs that go together, in the order in which they came: brief ones, or else whatever waits."""
        jobs: list[_Job] = []
        while self._waiting and len(jobs) < GROUP_LIMIT:
            if jobs and jobs[0].is_brief and not self._waiting[0].is_brief:
                break
            job = self._waiting.popleft()
            if not job.future.cancelled():
                jobs.append(job)
        return jobs

    def _briefly(self, jobs: list[_Job]) -> list[_Done] | None:
        """What each brief job returns, the commit still to come; None when the thread has to see to it."""
        self._connection.set_busy_timeout(0)
        try:
            return self._begun(jobs)
        except Exception:  # somebody else is writing, or a job fails: neither is brief
            return None
        finally:
            self._connection.set_busy_timeout(database.BUSY_MILLISECONDS)

    def _finish(self, done: list[_Done]) -> None:
        for future, result, failure in done:
            if future.done():
                continue  # whoever waited was cancelled
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
        fault, self._fault = self._fault, None
        while fault and self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(fault)
        self._next()

    # In the ledger's thread

    def _work(self) -> None:
        while task := self._tasks.get():
            done = task()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._finish, done)

    def _open(self) -> BaseException | None:
        try:
            self._connection = self._connect()
        except BaseException as error:
            return self._translate(error)
        return None

    def _shut(self) -> list[_Done]:
        self._connection.close()
        return []

    def _do(self, jobs: list[_Job]) -> list[_Done]:
        """What each job returns or raises, all of them in one transaction if that is possible."""
        try:
            done = self._begun(jobs)
        except BaseException as error:
            failure = self._translate(error)
            if isinstance(error, _FAULTS):
                self._fault = failure
            elif len(jobs) > 1:
                return self._do_singly(jobs)
            return [(job.future, None, failure) for job in jobs]
        return self._commit(done, is_written=any(job.writes for job in jobs))

    def _do_singly(self, jobs: list[_Job]) -> list[_Done]:
        done: list[_Done] = []
        for job in jobs:
            done += [(job.future, None, self._fault)] if self._fault else self._do([job])
        return done

    def _commit(self, done: list[_Done], *, is_written: bool) -> list[_Done]:
        try:
            self._connection.execute("commit")
        except BaseException as error:
            self._roll_back()
            self._fault = self._translate(error)
            return [(future, None, self._fault) for future, *_ in done]
        if self._on_commit and is_written:
            self._on_commit(time.perf_counter() - self._began_at)
        return done

    # In either, never in both at once

    def _begun(self, jobs: list[_Job]) -> list[_Done]:
        """What each job returns, in a transaction that is left open; when one raises, nothing is done."""
        self._refuse_vanished()
        self._connection.execute("begin immediate" if any(job.writes for job in jobs) else "begin")
        try:
            self._accounts.begun(self._connection)
            # Whoever waited for the lock may have given up meanwhile.
            wanted = [job for job in jobs if not job.future.cancelled()]
            return [(job.future, job.work(self._connection), None) for job in wanted]
        except BaseException:
            self._roll_back()
            raise

    def _refuse_vanished(self) -> None:
        # SQLite would go on writing to a file that was removed or replaced, and nobody would ever read it.
        try:
            found = self._path.stat()
        except OSError as error:
            raise LedgerError(f"the ledger {self._path} has vanished: {error.strerror}; bring it back") from error
        if self._inode not in (None, found.st_ino):
            raise LedgerError(f"the ledger {self._path} was replaced by another file while it was in use")
        self._inode = found.st_ino

    def _roll_back(self) -> None:
        self._accounts.forget()
        # One that stays open fails the next one, which is said; a thread that ends here would leave everybody waiting.
        with suppress(apsw.Error):
            if self._connection.in_transaction:
                self._connection.execute("rollback")

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
