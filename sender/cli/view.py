"""What a `send` shows while it runs: a progress bar on a terminal, log lines elsewhere."""

import asyncio
import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sender import logs
from sender.outcome import Outcome
from sender.report import Report, spelled


class LogView:
    """Nothing but log lines, for pipes and jobs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rows(self, count: int) -> None:
        pass

    def begun(self, report: Report) -> None:
        pass

    def settled(self, recipients: int, outcome: Outcome) -> None:
        pass

    def paused(self, seconds: float, reason: str) -> None:
        pass

    def notice(self, text: str) -> None:
        logs.get_logger().info(logs.NOTICE, text=text)


class TerminalView:
    """A progress bar on standard error: recipients, the rate, the time left, and why it waits."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            SpinnerColumn(finished_text="•"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[rate]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._planned = 0
        self._decided = 0
        self._calls = 0
        self._began_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def rows(self, count: int) -> None:
        if self._task is None:
            self._task = self._add("Reading the audience", total=None)
        self._progress.update(self._task, count=spelled(count, "row"))

    async def ask(self, planned: int) -> str:
        """What a person types when asked for the number of recipients."""
        self._progress.stop()
        self._clear()
        self._console.print(f"This sends to {spelled(planned, 'recipient')}. Type the number to go ahead: ", end="")
        try:
            await _readable(sys.stdin.fileno())
        except asyncio.CancelledError:
            self._console.print()  # ^C leaves the cursor behind the question
            raise
        typed = sys.stdin.readline()
        self._progress.start()
        return typed

    def begun(self, report: Report) -> None:
        self._clear()
        self._planned, self._decided = report.recipients["planned"], report.decided
        self._task = self._add("Sending", total=self._planned, completed=self._decided, count=self._count())

    def settled(self, recipients: int, outcome: Outcome) -> None:
        now = time.monotonic()
        self._began_at = self._began_at or now
        self._decided += recipients
        # From the first reply on: the calls after it, in the time since.
        rate = f"{self._calls / (now - self._began_at):.1f} calls/s" if self._calls else ""
        self._calls += 1
        if self._task is not None:
            self._progress.update(self._task, completed=self._decided, count=self._count(), rate=rate, note="")

    def paused(self, seconds: float, reason: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, note=f"waiting {seconds:.0f} s: {reason}")

    def notice(self, text: str) -> None:
        self._progress.console.print(text)

    def _add(self, description: str, *, total: int | None, completed: int = 0, count: str = "") -> TaskID:
        return self._progress.add_task(description, total=total, completed=completed, count=count, rate="", note="")

    def _count(self) -> str:
        return f"{self._decided:,} of {self._planned:,}"

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


async def _readable(descriptor: int) -> None:
    """Returns when something was typed; the event loop goes on meanwhile, so that ^C is heard."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(descriptor)
