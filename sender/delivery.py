"""One call: noted durably before its first byte, made, and recorded with what became of it."""

import asyncio
import time
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from sender import logs
from sender.halving import decided, parts_of_refused
from sender.inro.wire import Request
from sender.ledger import Attempt, Later, Ledger, Part, StoredChunk
from sender.outcome import ChunkState, Outcome
from sender.ports import Messenger, Watcher
from sender.throttle import Permit, Throttle

TIMER_SECONDS = 0.001  # uvloop's timers may wake so much early, and then would have to once more


@dataclass(frozen=True, slots=True)
class Parcel:
    """A chunk, and the call that sends it."""

    chunk: StoredChunk
    request: Request


class Answer(NamedTuple):
    """What became of a call, and into which parts its chunk is cut."""

    outcome: Outcome
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What every call goes through: `claim`, `call`, `settle`."""

    ledger: Ledger
    messenger: Messenger
    throttle: Throttle
    watcher: Watcher
    log: structlog.typing.FilteringBoundLogger

    def parcel(self, chunk: StoredChunk) -> Parcel:
        """The chunk with its call, encoded."""
        return Parcel(chunk, self.messenger.request(chunk))

    async def claim(self, parcel: Parcel, permit: Permit) -> Attempt | Later | None:
        """Notes the call, and returns when it may leave; whoever may not gives the permit back."""
        claimed = await self.ledger.claim(parcel.chunk, time.time)
        if isinstance(claimed, Attempt):
            self.throttle.let_others_first(claimed.courtesy_seconds)
            await _sleep_until(permit.moment, claimed.sent_at)
            return claimed
        self.throttle.give_back(permit)
        if claimed:
            self.throttle.defer(claimed.seconds)
            if claimed.is_paused:
                self.watcher.paused(claimed.seconds, "the API asked this account to wait")
        return claimed

    async def call(self, parcel: Parcel, attempt: Attempt, permit: Permit) -> Answer:
        """Makes the call; says in the log what became of it."""
        chunk = parcel.chunk
        log = self.log.bind(chunk=chunk.id, attempt=attempt.number, recipients=chunk.size)
        log.info(logs.CHUNK_SENDING)
        outcome = await self.messenger.send(chunk, parcel.request)
        await self.throttle.answered(permit, outcome)
        parts = parts_of_refused(chunk, outcome) if outcome.chunk is ChunkState.REJECTED else ()
        logs.chunk_outcome(log, outcome, parts=len(parts))
        return Answer(outcome, parts)

    async def settle(self, parcel: Parcel, attempt: Attempt, answer: Answer) -> None:
        """Records what became of the call."""
        chunk, (outcome, parts) = parcel.chunk, answer
        if parts:
            await self.ledger.divide(attempt, outcome, chunk, parts, time.time())
        else:
            await self.ledger.settle(attempt, outcome, time.time())
        self.watcher.settled(decided(chunk, outcome, parts), outcome)


async def _sleep_until(moment: float, sent_at: float) -> None:
    """Until both have come: a moment of the monotonic clock, and one of the wall's."""
    while (seconds := max(moment - time.monotonic(), sent_at - time.time())) > 0:  # noqa: ASYNC110  # no event tells
        await asyncio.sleep(seconds + TIMER_SECONDS)
