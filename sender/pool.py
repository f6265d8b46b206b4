"""The workers: as many calls under way as allowed, each noted durably before its first byte, decided after its reply.

A dispatcher takes the next chunk, waits for a free worker, then for the rate; only then does a worker claim the chunk
and send it. So whatever waits is `pending`, and a crash leaves no more chunks in doubt than there are workers.
"""

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import structlog

from sender import logs
from sender.inro.wire import Request
from sender.ledger import START, Attempt, Ledger, Position, StoredChunk
from sender.outcome import ChunkState, Outcome, Then
from sender.retry import GoOn, History, Pause, Policy, Stop, decide
from sender.throttle import Throttle

BACKLOG_SIZE = 256


class Messenger(Protocol):
    """What the pool needs of an API."""

    def request(self, chunk: StoredChunk) -> Request:
        """The call that sends this chunk, encoded once for all its tries."""

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        """What became of the call; the request leaves at most once."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def settled(self, chunk: StoredChunk, outcome: Outcome) -> None:
        """A call has its outcome, and the ledger knows it."""

    def paused(self, seconds: float, reason: str) -> None:
        """The whole account waits for so long."""


@dataclass(frozen=True, slots=True)
class _Parcel:
    chunk: StoredChunk
    request: Request


class Backlog:
    """The pending chunks of a run in plan order, read from the ledger a few at a time."""

    def __init__(self, ledger: Ledger, run_id: int, *, until: Position | None = None) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._until = until
        self._after = START
        self._ready: deque[StoredChunk] = deque()

    async def next(self) -> StoredChunk | None:
        """The next chunk with its recipients; None when there is none before the end."""
        if not self._ready:
            await self._read()
        if not self._ready:
            return None
        return await self._ledger.load(self._ready.popleft())

    async def rewind(self) -> bool:
        """Begins again: whether anything is pending still, such as the parts of a chunk that was split meanwhile."""
        self._after = START
        await self._read()
        return bool(self._ready)

    async def _read(self) -> None:
        chunks = await self._ledger.pending(self._run_id, after=self._after, limit=BACKLOG_SIZE)
        if chunks:
            self._after = chunks[-1].position
        self._ready.extend(chunk for chunk in chunks if self._until is None or chunk.position < self._until)


class Pool:
    """Sends what is pending of one run. `run` once; `stop` from a signal handler."""

    def __init__(
        self,
        *,
        backlog: Backlog,
        ledger: Ledger,
        messenger: Messenger,
        throttle: Throttle,
        policy: Policy,
        workers: int,
        watcher: Watcher,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._backlog = backlog
        self._ledger = ledger
        self._messenger = messenger
        self._throttle = throttle
        self._policy = policy
        self._watcher = watcher
        self._log = log
        self._free = asyncio.Semaphore(workers)
        self._in_flight = 0
        self._settled = asyncio.Event()
        self._returned: deque[_Parcel] = deque()
        self._history = History()
        self._dispatcher: asyncio.Task[None] | None = None
        self.stop_reason: str | None = None

    async def run(self) -> None:
        """Sends until nothing is pending, or until it is stopped; what is in flight is always let finish.

        Afterwards `stop_reason` says why the API stands in the way, if it does. Raises a group with a LedgerError.
        """
        # What can't be recorded may not be sent: should the ledger fail, the group cancels every call.
        async with asyncio.TaskGroup() as workers:
            self._dispatcher = workers.create_task(self._dispatch(workers))

    def stop(self, reason: str | None = None) -> None:
        """Takes no further chunk; `reason` says what stands in the way, if anything does."""
        self.stop_reason = self.stop_reason or reason
        if self._dispatcher:
            self._dispatcher.cancel()

    async def _dispatch(self, workers: asyncio.TaskGroup) -> None:
        while True:
            await self._free.acquire()
            parcel = await self._next()
            if parcel is None:
                return
            await self._throttle.acquire(parcel.chunk.size)
            self._in_flight += 1
            workers.create_task(self._deliver(parcel))

    async def _next(self) -> _Parcel | None:
        """The next pending chunk; None when none is left and no call under way can bring one back."""
        while True:
            if self._returned:
                return self._returned.popleft()
            if chunk := await self._backlog.next():
                return _Parcel(chunk, self._messenger.request(chunk))
            if self._in_flight:
                self._settled.clear()
                await self._settled.wait()
            elif not await self._backlog.rewind():
                return None

    async def _deliver(self, parcel: _Parcel) -> None:
        try:
            # Cancelled in between, the chunk stays `sending`, which the end of the session turns into `unknown`.
            if attempt := await self._ledger.claim(parcel.chunk, time.time()):
                await self._call(parcel, attempt)
        finally:
            self._in_flight -= 1
            self._free.release()
            self._settled.set()

    async def _call(self, parcel: _Parcel, attempt: Attempt) -> None:
        chunk = parcel.chunk
        log = self._log.bind(chunk=chunk.id, attempt=attempt.number, recipients=chunk.size)
        log.info(logs.CHUNK_SENDING)
        outcome = await self._messenger.send(chunk, parcel.request)
        await self._ledger.settle(attempt, outcome, time.time())
        log_outcome(log, outcome)
        if outcome.chunk is ChunkState.PENDING and outcome.then is not Then.STOP:
            self._returned.append(parcel)
        self._watcher.settled(chunk, outcome)
        self._follow(outcome)

    def _follow(self, outcome: Outcome) -> None:
        now = time.monotonic()
        self._history = self._history.after(outcome, now)
        match decide(outcome, self._history, self._policy, now=now, random=random.random()):  # noqa: S311 – jitter
            case GoOn():
                self._throttle.recover()
            case Pause(seconds=seconds, reason=reason):
                self._pause(seconds, reason, is_throttled=outcome.then is Then.WAIT)
            case Stop(reason=reason):
                self.stop(reason)

    def _pause(self, seconds: float, reason: str, *, is_throttled: bool) -> None:
        if is_throttled and self._throttle.paused_until <= time.monotonic():
            self._throttle.ease()  # once a pause: the calls that were under way with this one are the same offence
        self._throttle.pause(seconds)
        self._log.warning(
            logs.ACCOUNT_PAUSED, seconds=round(seconds, 3), reason=reason, rate_share=self._throttle.share
        )
        self._watcher.paused(seconds, reason)


def log_outcome(log: structlog.typing.FilteringBoundLogger, outcome: Outcome) -> None:
    """One line for each reply, under the event's stable name."""
    facts = {
        "status": outcome.status,
        "seconds": round(outcome.seconds, 4),
        "request_id": outcome.request_id,
        **({"reason": outcome.reason} if outcome.reason else {}),
        **({"not_found": outcome.not_found_count} if outcome.not_found_count else {}),
    }
    match outcome.chunk:
        case ChunkState.ACCEPTED:
            log.info(logs.CHUNK_ACCEPTED, **facts)
        case ChunkState.REJECTED:
            log.warning(logs.CHUNK_REJECTED, **facts)
        case ChunkState.PENDING:
            log.warning(logs.CHUNK_RETRY, **facts)
        case _:
            log.warning(logs.CHUNK_UNKNOWN, **facts)
