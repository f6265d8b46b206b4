"""Rate limits of the three kinds that APIs use, and a meter of what really arrived.

Each takes the time as an argument and never looks at a clock, so that a test moves it.
"""

import math
import re
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

LimiterKind = Literal["sliding", "fixed", "token-bucket"]

_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
}
_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([a-z]+)\s*")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """So many requests in so long."""

    count: int
    """The most requests in one period."""
    period_seconds: float
    """The length of a period."""

    @classmethod
    def parse(cls, text: str) -> "Limit":
        """Read `20/s`, `120/min`, `500/h` or `300/5min`; anything else is a ValueError."""
        match = _RATE.fullmatch(text.lower())
        if match is None or match[3] not in _UNITS or not int(match[1]) or match[2] == "0":
            raise ValueError(f"rate limit {text!r} is not of the form 20/s, 120/min or 500/h")
        return cls(count=int(match[1]), period_seconds=int(match[2] or 1) * _UNITS[match[3]])


class Limiter(Protocol):
    """Lets a request through, or says how long until it would."""

    def take(self, now: float) -> float | None:
        """None when the request may pass, else the seconds until one may."""


class SlidingWindow:
    """Never more than the limit in any window of the period; what it refuses is not counted."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._passed: deque[float] = deque()

    def take(self, now: float) -> float | None:
        """None when the request may pass, else the seconds until the oldest one leaves the window."""
        while self._passed and self._passed[0] <= now - self._limit.period_seconds:
            self._passed.popleft()
        if len(self._passed) >= self._limit.count:
            return self._passed[0] + self._limit.period_seconds - now
        self._passed.append(now)
        return None


class FixedWindow:
    """A counter that starts afresh with each period; lets twice the limit through around its edge."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window = -1
        self._passed = 0

    def take(self, now: float) -> float | None:
        """None when the request may pass, else the seconds until the next window begins."""
        window = math.floor(now / self._limit.period_seconds)
        if window != self._window:
            self._window, self._passed = window, 0
        if self._passed >= self._limit.count:
            return (window + 1) * self._limit.period_seconds - now
        self._passed += 1
        return None


class TokenBucket:
    """Refills evenly and holds `burst` tokens; begins full: the first period may see limit + burst."""

    def __init__(self, limit: Limit, *, burst: int | None = None) -> None:
        self._per_second = limit.count / limit.period_seconds
        self._capacity = float(burst or limit.count)
        self._tokens = self._capacity
        self._filled_at: float | None = None

    def take(self, now: float) -> float | None:
        """None when the request may pass, else the seconds until a whole token is there."""
        since = now if self._filled_at is None else self._filled_at
        self._tokens = min(self._capacity, self._tokens + (now - since) * self._per_second)
        self._filled_at = now
        # A client that paces itself exactly to the rate must not fail by a rounding of the clock.
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._per_second
        self._tokens -= 1
        return None


def limiter(kind: LimiterKind, limit: Limit, *, burst: int | None = None) -> Limiter:
    """A fresh limiter of that kind; ValueError for a kind that is not known."""
    if kind == "sliding":
        return SlidingWindow(limit)
    if kind == "fixed":
        return FixedWindow(limit)
    if kind == "token-bucket":
        return TokenBucket(limit, burst=burst)
    raise ValueError(f"limiter {kind!r} is not one of {', '.join(get_args(LimiterKind))}")


class PeakMeter:
    """The most arrivals that any window of one period has held, exactly: windows are open at their start."""

    def __init__(self, period_seconds: float) -> None:
        self._period_seconds = period_seconds
        self._arrivals: deque[float] = deque()
        self.peak = 0

    def add(self, now: float) -> None:
        """Count one arrival; times never go back."""
        self._arrivals.append(now)
        while self._arrivals[0] <= now - self._period_seconds:
            self._arrivals.popleft()
        self.peak = max(self.peak, len(self._arrivals))
