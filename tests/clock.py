"""A clock that is moved: an event loop whose time jumps to the next timer whenever nothing is left to do.

After aiolimiter's MockLoopTime. `time.monotonic` and `time.time` follow the loop's time while it runs, so that code
which reads a clock and code which sleeps agree. A wait that took an hour takes no time here, always exactly an hour.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")
START_SECONDS = 5000.0
EPOCH = 1_800_000_000.0


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of blocking until a timer is due, moves the clock there."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        super().__init__()
        self.now = START_SECONDS
        self._is_busy = is_busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self._is_busy():
            return super().select(None)
        self.now += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop on that clock, which stands still as long as `is_busy`: a thread is about to answer."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._jumping = _JumpingSelector(is_busy)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(work: Coroutine[Any, Any, T], *, is_busy: Callable[[], bool] = lambda: False) -> T:
    """What the coroutine returns, run to its end on a clock of its own."""
    with (
        asyncio.Runner(loop_factory=lambda: JumpingLoop(is_busy)) as runner,
        mock.patch.object(time, "monotonic", loop_time := runner.get_loop().time),
        mock.patch.object(time, "time", partial(_wall_time, loop_time)),
    ):
        return runner.run(work)


def _wall_time(loop_time: Callable[[], float]) -> float:
    return EPOCH + loop_time()
