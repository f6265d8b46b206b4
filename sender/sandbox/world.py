"""Everything that one sandbox knows, in one place."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from sender.sandbox.deliveries import Deliveries
from sender.sandbox.dice import Dice
from sender.sandbox.faults import Faults
from sender.sandbox.library import Library
from sender.sandbox.limits import limiter
from sender.sandbox.options import Options
from sender.sandbox.recorder import Recorder
from sender.sandbox.tally import Tally


class World:
    """The state behind the handlers; `reset` makes it new, and keeps options and faults."""

    def __init__(
        self,
        options: Options,
        faults: Faults,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.options = options
        self.clock = clock
        self.sleep = sleep
        self.closing = asyncio.Event()
        self.dice = Dice(options.seed, faults)
        self.reset()

    def reset(self) -> None:
        """Forget all that was received, and begin limiter, dice and script afresh."""
        limit = self.options.limit
        self.dice = Dice(self.options.seed, self.dice.faults)
        self.limiter = limiter(self.options.limiter, limit, burst=self.options.burst) if limit else None
        self.deliveries = Deliveries(self.options.unknown_contacts)
        self.library = Library()
        self.recorder = Recorder(self.options.keep_requests)
        self.tally = Tally(limit)
        self.mcp_sessions: set[str] = set()

    def knows(self, authorization: str | None) -> bool:
        """Whether this Authorization header carries the token."""
        scheme, _, token = (authorization or "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("utf-8", "replace"), self.options.token.encode())
        return scheme.lower() == "bearer" and right

    def retry_headers(self, seconds: float, style: str) -> dict[str, str]:
        """`Retry-After` in that style, with the `Date` that an HTTP date is to be measured against."""
        whole_seconds = -int(-seconds // 1)
        if style == "none":
            return {}
        if style == "seconds":
            return {"Retry-After": str(whole_seconds)}
        now = int(time.time() + self.options.clock_skew_seconds)
        return {
            "Date": formatdate(now, usegmt=True),
            "Retry-After": formatdate(now + whole_seconds, usegmt=True),
        }

    def stats(self) -> dict[str, Any]:
        """What GET /sandbox/stats says."""
        return {"deliveries": dict(self.deliveries.counts), **self.summary()}

    def summary(self) -> dict[str, Any]:
        """The same without the single recipients, of whom there may be a million."""
        return self.tally.as_data(self.deliveries)


WORLD = web.AppKey("world", World)
