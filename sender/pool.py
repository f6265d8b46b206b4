"""The workers: as many calls under way as allowed, each noted durably before its first byte, decided after its reply.

A dispatcher takes the next chunk, waits for a free worker, then for the rate; only then does a worker claim the chunk
and send it. So whatever waits is `pending`, and a crash leaves no more chunks in doubt than there are workers.
"""

import asyncio
import random
import time
from collections import deque
from dataclasses import replace
from enum import Enum, auto

import structlog

from sender import logs
from sender.backlog import Backlog
from sender.delivery import Answer, Delivery, Parcel
from sender.gate import Gate
from sender.halving import decided
from sender.ledger import Attempt, Later, Ledger, StoredChunk
from sender.outcome import TOO_MANY_REQUESTS, ChunkState, Outcome, Then
from sender.ports import Messenger, Watcher
from sender.retry import History, Pause, Policy, Probe, Stop, Tally, decide
from sender.throttle import Permit, Throttle

TRIALS = 3


class _Doubt(Enum):
    MESSAGE = auto()
    API = auto()


_Delivered = Outcome | Later | None


class Pool:
    """Sends what is pending of one run. `run` once; `stop` from signal handlers and operators' levers."""

    def __init__(
        self,
        *,
        backlog: Backlog,
        ledger: Ledger,
        messenger: Messenger,
        throttle: Throttle,
        policy: Policy,
        tally: Tally,
        workers: int,
        watcher: Watcher,
        gate: Gate,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._backlog = backlog
        self._ledger = ledger
        self._messenger = messenger
        self._throttle = throttle
        self._delivery = Delivery(ledger=ledger, messenger=messenger, throttle=throttle, watcher=watcher, log=log)
        self._policy = policy
        self._tally = tally
        self._watcher = watcher
        self._gate = gate
        self._log = log
        self._free = asyncio.Semaphore(workers)
        self._in_flight = 0
        self._settled = asyncio.Event()
        self._returned: deque[Parcel] = deque()
        self._history = History()
        self._doubt: _Doubt | None = None
        self._dispatcher: asyncio.Task[None] | None = None
        self._is_stopped = False
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
        self._is_stopped = True
        if self._dispatcher:
            self._dispatcher.cancel()

    async def _dispatch(self, workers: asyncio.TaskGroup) -> None:
        while True:
            await self._free.acquire()
            parcel = await self._next()
            if parcel is None:
                return
            await self._until_open()
            permit = await self._throttle.acquire()
            if self._is_stopped:  # by this very task, which no await has told yet
                return
            if self._doubt is None and self._gate.is_open:
                self._start(workers, parcel, permit)
                continue
            self._throttle.give_back(permit)
            self._returned.appendleft(parcel)
            self._free.release()
            if self._doubt is not None:
                await self._settle_doubt(workers)

    async def _until_open(self) -> None:
        if self._gate.is_open:
            return
        closed_at = time.monotonic()
        await self._gate.opened()
        # While nothing might be tried, nothing failed either.
        since = self._history.failing_since + time.monotonic() - closed_at
        self._history = replace(self._history, failing_since=since)

    async def _next(self) -> Parcel | None:
        """The next pending chunk; None when none is left and no call under way can bring one back."""
        while True:
            if self._returned:
                return self._returned.popleft()
            if chunk := await self._backlog.next():
                return self._delivery.parcel(chunk)
            if self._in_flight:
                self._settled.clear()
                await self._settled.wait()
            elif not await self._backlog.rewind():
                return None

    def _start(self, workers: asyncio.TaskGroup, parcel: Parcel, permit: Permit) -> asyncio.Task[_Delivered]:
        self._in_flight += 1
        return workers.create_task(self._deliver(parcel, permit))

    async def _deliver(self, parcel: Parcel, permit: Permit) -> _Delivered:
        try:
            try:
                # Cancelled in between, the chunk stays `sending`, which the end of the session turns into `unknown`.
                claimed = await self._delivery.claim(parcel, permit)
                if not isinstance(claimed, Attempt):
                    if claimed:
                        self._returned.appendleft(parcel)
                    return claimed
                answer = await self._delivery.call(parcel, claimed, permit)
                pause = self._follow(parcel.chunk, answer, permit)
            finally:
                # The next claim then shares its commit with the end of this call, which is put down before it.
                self._free.release()
            await self._delivery.settle(parcel, claimed, answer)
            if answer.outcome.chunk is ChunkState.PENDING and answer.outcome.then is not Then.STOP:
                self._returned.append(parcel)
            if pause:
                await self._ledger.pause(parcel.chunk.run_id, time.time() + pause.seconds)
            return answer.outcome
        finally:
            self._in_flight -= 1
            self._settled.set()

    def _follow(self, chunk: StoredChunk, answer: Answer, permit: Permit) -> Pause | None:
        """Does at once what follows for the calls that come next; returns the pause that is every sender's."""
        outcome, parts = answer
        self._tally = self._tally.after(outcome.chunk, decided(chunk, outcome, parts))
        if outcome.chunk is ChunkState.REJECTED and not self._tally.accepted and self._doubt is None:
            self._doubt = _Doubt.MESSAGE
        if too_many := self._tally.too_many_rejected(self._policy):
            self.stop(too_many)
        now = time.monotonic()
        self._history = self._history.after(outcome, now)
        decision = decide(outcome, self._history, self._policy, now=now, random=_random())
        match decision:
            case Pause(seconds=seconds, reason=reason):
                if outcome.status == TOO_MANY_REQUESTS:
                    self._throttle.refused(permit, seconds)
                self._pause(seconds, reason)
                return decision if outcome.then is Then.WAIT else None
            case Probe(reason=reason):
                self._doubt = _Doubt.API
                self._log.warning(logs.API_ILL, reason=reason)
            case Stop(reason=reason):
                self.stop(reason)
        return None

    def _pause(self, seconds: float, reason: str) -> None:
        self._throttle.pause(seconds)
        self._log.warning(
            logs.ACCOUNT_PAUSED, seconds=round(seconds, 3), reason=reason, rate_share=round(self._throttle.share, 3)
        )
        self._watcher.paused(seconds, reason)

    # Doubts: whether the message is at fault, or the API ill. While one lasts, no chunk is taken.

    async def _settle_doubt(self, workers: asyncio.TaskGroup) -> None:
        while self._doubt is not None:  # an API that falls ill while the message is tried is a doubt of its own
            while self._in_flight:
                self._settled.clear()
                await self._settled.wait()
            doubt, self._doubt = self._doubt, None
            if doubt is _Doubt.API:
                await self._until_well(workers)
            elif not self._tally.accepted:
                await self._try_message(workers)

    async def _try_message(self, workers: asyncio.TaskGroup) -> None:
        """Three recipients from across the audience, singly: does the API refuse the message whoever it is for?"""
        refusals: list[str] = []
        for where in (0.0, 0.5, 1.0):
            outcome = await self._send_single(workers, where)
            if outcome is None or outcome.chunk is not ChunkState.REJECTED:
                return
            refusals.append(outcome.reason)
        self.stop(f"the API refuses the message itself: three recipients were tried singly. It says: {refusals[-1]}")

    async def _until_well(self, workers: asyncio.TaskGroup) -> None:
        """Asks a harmless question until the API answers, then tries a single recipient; stops after three in vain."""
        last, trials = "", 0
        while trials < TRIALS:
            await self._until_answering()
            outcome = await self._send_single(workers, 0.0)
            if outcome is not None and outcome.chunk is ChunkState.PENDING:
                continue  # it was not received, which says nothing
            if outcome is None or outcome.chunk is not ChunkState.UNKNOWN:
                self._history = replace(self._history, unknowns=0)
                self._doubt = None
                self._log.info(logs.API_WELL)
                return
            last, trials = outcome.reason, trials + 1
        self.stop(f"the API answers, but {TRIALS} single recipients in a row are unknown. The last word was: {last}")

    async def _until_answering(self) -> None:
        while True:
            await self._until_open()
            permit = await self._throttle.acquire()
            outcome = await self._messenger.probe()
            await self._throttle.answered(permit, outcome)
            now = time.monotonic()
            self._history = self._history.after(outcome, now) if outcome.chunk is ChunkState.PENDING else self._history
            match decide(outcome, self._history, self._policy, now=now, random=_random()):
                case Pause(seconds=seconds, reason=reason):
                    self._pause(seconds, f"the API does not answer: {reason}")
                case Stop(reason=reason):
                    self.stop(reason)
                    await asyncio.sleep(0)  # where the stop reaches this task
                case _:
                    return

    async def _send_single(self, workers: asyncio.TaskGroup, where: float) -> Outcome | None:
        chunk = await self._backlog.single(where)
        if chunk is None:
            return None
        while True:
            await self._until_open()
            await self._free.acquire()
            permit = await self._throttle.acquire()
            if not self._gate.is_open:
                self._throttle.give_back(permit)
                self._free.release()
                continue
            # A task of its own, so that a stop lets the call finish like any other.
            outcome = await asyncio.shield(self._start(workers, self._delivery.parcel(chunk), permit))
            if not isinstance(outcome, Later):
                return outcome
            self._returned.popleft()  # which is this very chunk: while there is a doubt, no other is under way


_random = random.random  # jitter, no secret
