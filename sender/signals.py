"""SIGINT and SIGTERM while a command runs."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

CAUGHT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A signal ended the command before anything was sent."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"interrupted by {signal.Signals(number).name}; nothing was sent")


class Signals:
    """A signal cancels the task that entered the context; inside `gently` the first one only asks it to stop."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._stop: Callable[[], None] | None = None
        self._task: asyncio.Task[object] | None = None

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

    def _receive(self, number: int) -> None:
        is_first = self.received is None
        self.received = self.received or number
        if is_first and self._stop:
            self._stop()
        elif self._task:
            self._task.cancel()
