"""SIGINT and SIGTERM while a command runs."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal ended the command; `has_begun` says whether it had begun to send."""

    def __init__(self, number: int, *, has_begun: bool = False) -> None:
        self.number = number
        outlook = "`campaign status` tells what was sent" if has_begun else "nothing was sent"
        super().__init__(f"interrupted by {signal.Signals(number).name}; {outlook}")


class Signals:
    """A signal cancels the task that entered the context; inside `gently` the first one only asks it to stop.

    received    the first signal that came
    has_begun   set by whoever begins to send
    is_over     set when a signal has nothing more to interrupt
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.has_begun = False
        self.is_over = False
        self._stop: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None
        self._instead: Callable[[], object] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        for number in CAUGHT:
            asyncio.get_running_loop().add_signal_handler(number, self._receive, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in CAUGHT:
            asyncio.get_running_loop().remove_signal_handler(number)

    @contextmanager
    def gently(self, stop: Callable[[], None]) -> Iterator[None]:
        """The first signal calls `stop`, the second cancels."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None

    @contextmanager
    def instead(self, act: Callable[[], object]) -> Iterator[None]:
        """Every signal calls `act`, and does nothing else."""
        self._instead = act
        try:
            yield
        finally:
            self._instead = None

    def _receive(self, number: int) -> None:
        if self._instead:
            self._instead()
            return
        if self.is_over:
            return
        is_first = self.received is None
        self.received = self.received or number
        if is_first and self._stop:
            self._stop()
        elif self._task:
            self._task.cancel()
