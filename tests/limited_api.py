"""A rate-limited API on a clock that is moved: what a throttle lets through, and what becomes of it there."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from campaigns.model import Rate
from sender.outcome import ChunkState, Outcome, Quota, Then
from sender.sandbox.limits import Limit, Limiter, LimiterKind, limiter
from sender.throttle import Permit, Throttle

ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202)
REFUSED = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429)


@dataclass(kw_only=True)
class LimitedApi:
    """Holds a limit that may change, as (seconds from the start, rate), and notes what arrived and what it refused.

    rtt_seconds     what a call takes at least
    jitter_seconds  what it may take more, on its way there
    says_when       whether a 429 has a Retry-After, in whole seconds
    quota_window    the window of which every reply's headers tell what is left; None for no such headers
    """

    kind: LimiterKind
    limits: Sequence[tuple[float, str]]
    burst: int | None = None
    rtt_seconds: float = 0.005
    jitter_seconds: float = 0.0
    says_when: bool = True
    quota_window: Limit | None = None
    arrived: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(4711)
        self._began = time.monotonic()
        self._to_come = list(self.limits)
        self._limiter: Limiter | None = None

    async def call(self, throttle: Throttle, permit: Permit) -> None:
        """One call, and what the pool does after it."""
        on_its_way = self.rtt_seconds / 2
        await asyncio.sleep(max(0.0, permit.moment - time.monotonic()))
        await asyncio.sleep(on_its_way + self._dice.uniform(0, self.jitter_seconds))
        wait_seconds = self._take()
        await asyncio.sleep(on_its_way)
        quotas = self._quotas()
        if wait_seconds is None:
            await throttle.answered(permit, _with(ACCEPTED, quotas))
            return
        await throttle.answered(permit, _with(REFUSED, quotas))
        pause = max(1, math.ceil(wait_seconds)) if self.says_when else self._dice.uniform(0, 0.5)
        throttle.refused(permit, pause)
        throttle.pause(pause)

    def _take(self) -> float | None:
        now = time.monotonic()
        while self._to_come and now - self._began >= self._to_come[0][0]:
            self._limiter = limiter(self.kind, Limit.parse(self._to_come.pop(0)[1]), burst=self.burst)
        assert self._limiter
        wait_seconds = self._limiter.take(now)
        (self.arrived if wait_seconds is None else self.refused).append(now)
        return wait_seconds

    def _quotas(self) -> tuple[Quota, ...]:
        if self.quota_window is None:
            return ()
        now, period = time.monotonic(), self.quota_window.period_seconds
        began = now // period * period
        left = self.quota_window.count - sum(began <= moment for moment in self.arrived)
        reset_seconds = math.ceil(began + period - now)
        return (Quota(remaining=max(0, left), reset_seconds=reset_seconds, limit=self.quota_window.count),)

    def share(self, rate: str, since: float = 0.0, until: float = math.inf) -> float:
        """The part of that rate which it let through between those seconds from its start."""
        moments = [moment - self._began for moment in self.arrived if since <= moment - self._began < until]
        if until < math.inf:
            return len(moments) / (until - since) / Rate.parse(rate).per_second
        return (len(moments) - 1) / (moments[-1] - moments[0]) / Rate.parse(rate).per_second

    def refused_share(self, since: float = 0.0) -> float:
        """The share of 429s from then on."""
        refused = sum(moment - self._began >= since for moment in self.refused)
        return refused / (refused + sum(moment - self._began >= since for moment in self.arrived))


def _with(outcome: Outcome, quotas: tuple[Quota, ...]) -> Outcome:
    return Outcome(chunk=outcome.chunk, then=outcome.then, status=outcome.status, quotas=quotas)


async def send(rate: str, seconds: float, api: LimitedApi) -> LimitedApi:
    """Sends to the API at that rate for so long."""
    throttle = Throttle(Rate.parse(rate))
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as calls:
        while time.monotonic() < until:
            permit = await throttle.acquire()
            calls.create_task(api.call(throttle, permit))
    return api
