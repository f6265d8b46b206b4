"""When the next call of this sender may leave.

asyncio-throttle gives the outer bound: so many calls in a window. On its own it counts departures, lets the whole
allowance go at once, polls every 10 ms for each waiter and serves them in no order; measured at 20/s, nginx with
`burst=5` refuses 70 % of what it lets through, and a sliding window 6 %. So to it are added:

- Its window is told of answers instead. A call under way takes up a place, and gives it back one period after its
  answer: the server saw it before it answered, so no window of the server's can hold one too many, however long the
  way takes. That bounds the rate by W/(W+RTT) of what was asked.
- An absolute schedule, one slot each period/count seconds, so that a bucket with little burst is satisfied. What a
  busy machine is late for is caught up, a tenth of a second at most.
- What the API's 429s and its rate-limit headers tell (`sender.pace`), and the pause of the whole account.
- One waiter at a time, in order, asleep until something can have changed.

Whether a call really leaves is decided by the ledger, for all senders of the account (`sender.ledger.arbiter`). This
here keeps a sender from asking in vain, and stands in when the machine's clock is set.
"""

import asyncio
import time
from dataclasses import dataclass
from math import ceil, inf

from asyncio_throttle.throttler import Throttler

from campaigns.model import Rate
from sender.outcome import TOO_MANY_REQUESTS, Outcome
from sender.pace import Pace

CATCH_UP_SECONDS = 0.1
LEAD_SECONDS = 0.04  # a permit comes so much before its moment at most: a busy machine takes 10 ms to wake and claim
MARGIN_SECONDS = 0.001  # asyncio-throttle frees a place only after the period, not at its end


class _Window(Throttler):
    """asyncio-throttle's window, in which calls under way take up room, and answers are what it counts."""

    def __init__(self, rate: Rate) -> None:
        super().__init__(rate.count, rate.period_seconds)
        self.under_way = 0

    def wait_seconds(self, places: int, now: float) -> float:
        """Until one of so many places is free; infinite when a call under way has to be answered first."""
        self.flush()
        taken = len(self._task_logs) + self.under_way - places
        if taken < 0:
            return 0.0
        if taken >= len(self._task_logs):
            return inf
        return max(MARGIN_SECONDS, self._task_logs[taken] + float(self.period) + MARGIN_SECONDS - now)

    async def answered(self) -> None:
        """A call under way has ended: its place is free again one period from now."""
        self.under_way -= 1
        await self.acquire()  # which never waits: the place that it logs was the call's own


@dataclass(frozen=True, slots=True)
class Permit:
    """A call that may leave: its moment, at most LEAD_SECONDS ahead, and the window in which it has its place.

    slot          its own in the even schedule
    slot_before   the one before that, None for the first call
    """

    moment: float
    window: _Window
    slot: float
    slot_before: float | None


class Throttle:
    """One sender's allowance: `acquire` before each call; `answered`, or else `give_back`, after it."""

    def __init__(self, rate: Rate) -> None:
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._needs_an_answer = False
        self._paused_until = -inf
        self._deferred_until = -inf
        self._courteous_until = -inf
        self._slot: float | None = None
        self._begin(rate)

    def _begin(self, rate: Rate) -> None:
        self.rate = rate
        self._window = _Window(rate)
        self._pace = Pace(rate)

    @property
    def share(self) -> float:
        """The part of the rate asked for that is used now, 1 unless the API answered 429 lately."""
        return self._pace.per_second(time.monotonic()) / self.rate.per_second

    async def acquire(self) -> Permit:
        """Returns when a call may be claimed, to leave at the permit's moment. Those that wait are served in order."""
        async with self._turn:
            while (wait := self._wait_seconds(time.monotonic())) > LEAD_SECONDS:
                await self._sleep(wait - LEAD_SECONDS / 2)
            return self._take(time.monotonic() + max(0.0, wait))

    async def answered(self, permit: Permit, outcome: Outcome) -> None:
        """The call has ended, however it did; its place is free one period from now."""
        await permit.window.answered()
        now = time.monotonic()
        if self._pace.is_single(now):
            self._slot = now
        if outcome.status not in (None, TOO_MANY_REQUESTS):
            self._pace.accepted(now)
        if outcome.quotas:
            self.pause(self._pace.heed(outcome.quotas, self._window.under_way))
        if self._needs_an_answer:
            self._changed.set()

    def give_back(self, permit: Permit) -> None:
        """The call was not made: its place is free at once, and so is its slot unless a later one was taken."""
        permit.window.under_way -= 1
        if self._slot == permit.slot:
            self._slot = permit.slot_before
        self._changed.set()

    def refused(self, permit: Permit, seconds: float) -> None:
        """A call was answered with a 429, upon which the account waits for so long."""
        self._pace.refused(permit.moment, time.monotonic(), seconds)

    def pause(self, seconds: float) -> None:
        """No call leaves for so many seconds; a longer pause that is under way stays."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def defer(self, seconds: float) -> None:
        """The account has no room for a call before that."""
        self._deferred_until = time.monotonic() + seconds

    def let_others_first(self, seconds: float) -> None:
        """Other senders of the account may have the next slot: the schedule stays, and this one asks later."""
        self._courteous_until = time.monotonic() + seconds

    def set_rate(self, rate: Rate) -> None:
        """Another rate from now on, for those who wait already, too; what was sent before is left to the ledger."""
        self._begin(rate)
        self._deferred_until = -inf
        self._changed.set()

    def _wait_seconds(self, now: float) -> float:
        """Until everything has room at once; asked again after each wait, since a pause may have come meanwhile."""
        if self._pace.is_single(now) and self._window.under_way:
            return inf
        held_until = max(self._paused_until, self._deferred_until, self._courteous_until)
        due = -inf if self._slot is None else self._slot + self._pace.step_seconds(now)
        # 20/s is 20 places, not 20.000000000000004.
        places = ceil(self._pace.per_second(now) * self.rate.period_seconds - 1e-9)
        return max(held_until - now, due - now, self._window.wait_seconds(max(1, places), now))

    def _take(self, moment: float) -> Permit:
        """Takes the slot that is due then; a pause and what the ledger deferred are not caught up."""
        before = self._slot
        due = moment if before is None else before + self._pace.step_seconds(moment)
        held_until = max(self._paused_until, self._deferred_until)
        self._slot = max(due, moment - CATCH_UP_SECONDS, min(moment, held_until))
        self._window.under_way += 1
        return Permit(moment=moment, window=self._window, slot=self._slot, slot_before=before)

    async def _sleep(self, seconds: float) -> None:
        """Sleeps so long, or until something has changed."""
        self._changed.clear()
        self._needs_an_answer = seconds == inf
        # Half the time of asyncio.timeout, for every call.
        timer = None if seconds == inf else asyncio.get_running_loop().call_later(seconds, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            if timer:
                timer.cancel()
