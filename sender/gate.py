"""Whether a call may begin now: not while an operator has paused the run, outside its window, or after its deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from campaigns.model import Window
from campaigns.timetable import Span, span

LEAD = timedelta(seconds=0.1)  # a call may be claimed so long before it begins, and must begin in time
LONGEST_SLEEP_SECONDS = 30.0  # the clock may be set, or the machine sleep


async def _nobody(until: datetime) -> None: ...


class Gate:
    """Asked before each call. `hold` and `release` are an operator's; window and deadline are the campaign's.

    on_closed   called when the window is found closed, with the moment at which it opens
    on_opened   called when it has opened, with that moment
    clock       seconds since 1970
    """

    def __init__(
        self,
        window: Window | None = None,
        deadline: datetime | None = None,
        *,
        on_closed: Callable[[datetime], Awaitable[None]] = _nobody,
        on_opened: Callable[[datetime], Awaitable[None]] = _nobody,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._window = window
        self._deadline = deadline
        self._on_closed = on_closed
        self._on_opened = on_opened
        self._clock = clock
        self._changed = asyncio.Event()
        self._is_held = False
        self._span: Span | None = None
        self._seen_at = datetime.max.replace(tzinfo=UTC)

    def hold(self) -> None:
        """Lets no call begin before `release`."""
        self._is_held = True
        self._changed.set()

    def release(self) -> None:
        """Ends what `hold` began."""
        self._is_held = False
        self._changed.set()

    @property
    def is_open(self) -> bool:
        """Whether a call may begin at this moment."""
        return not self._is_held and not self.is_late and self.closed_until() is None

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed, or is about to: no call may begin any more."""
        return self._deadline is not None and self._now() + LEAD >= self._deadline

    async def opened(self) -> None:
        """Returns when a call may begin; after the deadline never."""
        announced: datetime | None = None
        while not self.is_open:
            self._changed.clear()
            until = None if self._is_held or self.is_late else self.closed_until()
            if until and until != announced:
                await self._on_closed(until)
            announced = until
            await self._sleep(until)
        if announced:
            await self._on_opened(announced)

    async def over(self) -> None:
        """Returns when the deadline has passed; without one never."""
        while not self.is_late:  # noqa: ASYNC110 – a clock sends no event
            await asyncio.sleep(self._seconds_until(self._deadline))

    def closed_until(self) -> datetime | None:
        """When the window opens; None when it is open and stays so for a moment, or there is none."""
        if self._window is None:
            return None
        now = self._now()
        if self._span is None or not self._seen_at <= now < self._span.until - self._lead(self._span):
            found = span(self._window, now)
            if found.is_open and now >= found.until - LEAD:
                found = span(self._window, found.until)
            self._span, self._seen_at = found, now
        return None if self._span.is_open else self._span.until

    @staticmethod
    def _lead(span: Span) -> timedelta:
        return LEAD if span.is_open else timedelta()

    async def _sleep(self, until: datetime | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds_until(until)):
                await self._changed.wait()

    def _seconds_until(self, moment: datetime | None) -> float:
        if moment is None:
            return LONGEST_SLEEP_SECONDS
        return min(LONGEST_SLEEP_SECONDS, max(0.0, (moment - self._now()).total_seconds()))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
