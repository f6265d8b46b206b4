"""The rate of one account: when the next call may leave, and the pause of the whole account.

asyncio-throttle is the base: one of its windows bounds the calls in any full period, a second, of a tenth of a second
or of one call, spreads them evenly inside it. On its own that library lets the whole allowance go at once, polls every
10 ms for each waiter and serves waiters in no order; so one waiter at a time goes through here, in order, and sleeps
until the window has room instead of polling.

Its weakness: the windows count when a call leaves here. Jitter on the way can make a server that counts arrivals see
one more in its own window; it answers 429, which costs a pause and no message.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

from asyncio_throttle.throttler import Throttler

from campaigns.model import Rate

SUB_WINDOW_SECONDS = 0.1
SLOWEST = 1 / 32  # of the rate asked for, after 429s
RECOVERY = 1 / 50  # of the rate asked for, regained with every call that is accepted


@dataclass(frozen=True, slots=True)
class Permit:
    """A call that may leave: the moments at which the windows have counted it."""

    calls: float
    spread: float


class Throttle:
    """One account's allowance: `acquire` before each call, `pause`, `ease` and `recover` after its reply."""

    def __init__(self, rate: Rate, recipients: Rate | None = None) -> None:
        self.rate = rate
        self._turn = asyncio.Lock()
        self._calls = _Window(rate.count, rate.period_seconds)
        self._spread = _Window(*_sub_window(rate.per_second))
        self._recipients = _Budget(recipients) if recipients else None
        self._share = 1.0
        self._paused_until = 0.0
        self._changed = asyncio.Event()

    @property
    def paused_until(self) -> float:
        """When the pause ends, on `time.monotonic()`; in the past when there is none."""
        return self._paused_until

    @property
    def burst(self) -> int:
        """How many calls may leave at once: those of a tenth of a second."""
        return int(self._spread.rate_limit)

    @property
    def share(self) -> float:
        """The part of the rate asked for that is used now, 1 unless the API answered 429 lately."""
        return self._share

    def remember(self, sends: Iterable[tuple[float, int]]) -> None:
        """Counts calls made before this process began, as (seconds ago, recipients), the oldest first."""
        now = time.monotonic()
        for seconds_ago, recipients in sends:
            moment = now - max(0.0, seconds_ago)
            self._calls.remember(moment)
            self._spread.remember(moment)
            if self._recipients:
                self._recipients.charge(recipients, moment)

    async def acquire(self, recipients: int) -> Permit:
        """Returns when a call to so many recipients may leave. Calls that wait are served in order."""
        async with self._turn:
            while (wait := self._wait_seconds(recipients)) > 0:
                await self._sleep(wait)
            await self._calls.acquire()
            await self._spread.acquire()
            if self._recipients:
                self._recipients.charge(recipients, time.monotonic())
            return Permit(calls=self._calls.newest, spread=self._spread.newest)

    def confirm(self, permit: Permit) -> None:
        """The call leaves only now, a slow disk having held it up: the windows count it from here."""
        self._calls.move(permit.calls)
        self._spread.move(permit.spread)

    def pause(self, seconds: float) -> None:
        """No call leaves for so many seconds; a longer pause that is under way stays."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def set_rate(self, rate: Rate, sends: Iterable[tuple[float, int]]) -> None:
        """Another rate from now on, for those who wait already, too; `sends` are those that count, as in `remember`."""
        self.rate = rate
        self._calls = _Window(rate.count, rate.period_seconds)
        self._spread = _Window(*_sub_window(rate.per_second * self._share))
        self._recipients = self._recipients and self._recipients.emptied()
        self.remember(sends)
        self._changed.set()

    def ease(self) -> None:
        """Halves the rate, after a 429."""
        self._set_share(max(SLOWEST, self._share / 2))

    def recover(self) -> None:
        """Regains a little of what `ease` took, never above what was asked for."""
        if self._share < 1.0:
            self._set_share(min(1.0, self._share + RECOVERY))

    def _set_share(self, share: float) -> None:
        self._share = share
        self._spread.rate_limit, self._spread.period = _sub_window(self.rate.per_second * share)
        self._changed.set()

    async def _sleep(self, seconds: float) -> None:
        """Sleeps so long, or until the rate changes."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _wait_seconds(self, recipients: int) -> float:
        """Until everything has room at once; asked again after each wait, since a pause may have come meanwhile."""
        now = time.monotonic()
        budget = self._recipients.wait_seconds(recipients, now) if self._recipients else 0.0
        return max(self._paused_until - now, self._calls.wait_seconds(now), self._spread.wait_seconds(now), budget)


def _sub_window(per_second: float) -> tuple[int, float]:
    """The calls of a tenth of a second, rounded up, and the time that they take at this rate."""
    calls = max(1, ceil(per_second * SUB_WINDOW_SECONDS - 1e-9))  # 20/s is 2 a tenth, not 2.0000000000000004
    return calls, calls / per_second


class _Window(Throttler):
    """asyncio-throttle's window, which can be told of earlier calls, and says how long to sleep instead of polling."""

    MARGIN_SECONDS = 0.001  # the library frees a place only after the period, not at its end

    def wait_seconds(self, now: float) -> float:
        """Until the window has room for one call more."""
        sent = self._task_logs
        if len(sent) < self.rate_limit:
            return 0.0
        return max(0.0, sent[-self.rate_limit] + float(self.period) + self.MARGIN_SECONDS - now)

    @property
    def newest(self) -> float:
        return self._task_logs[-1]

    def remember(self, moment: float) -> None:
        self._task_logs.append(moment)

    def move(self, moment: float) -> None:
        """Counts a call from now on that was counted at that moment."""
        if moment in self._task_logs:  # else a change of the rate has emptied the window meanwhile
            self._task_logs.remove(moment)
            self._task_logs.append(time.monotonic())


class _Budget:
    """Recipients in any period: every call weighs as much as it has recipients."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._sent: deque[tuple[float, int]] = deque()
        self._used = 0

    def emptied(self) -> "_Budget":
        return _Budget(self._rate)

    def charge(self, recipients: int, moment: float) -> None:
        self._sent.append((moment, recipients))
        self._used += recipients

    def wait_seconds(self, recipients: int, now: float) -> float:
        """Until so many recipients more fit; never longer than the period, which empties the budget."""
        while self._sent and now - self._sent[0][0] >= self._rate.period_seconds:
            self._used -= self._sent.popleft()[1]
        excess = self._used + recipients - self._rate.count
        for moment, sent in self._sent:
            if excess <= 0:
                break
            excess -= sent
            wait = moment + self._rate.period_seconds - now
            if excess <= 0:
                return wait
        return 0.0
