"""What a `send` shows while it runs: a progress bar on a terminal, log lines elsewhere."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sender import logs
from sender.ledger import StoredChunk
from sender.outcome import ChunkState, Outcome
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

    def settled(self, chunk: StoredChunk, outcome: Outcome) -> None:
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
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", style="cyan"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="yellow", markup=False),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._calls = 0
        self._began_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def rows(self, count: int) -> None:
        self._show(f"Reading the audience: {spelled(count, 'row')}", total=None)

    def ask(self, planned: int) -> str:
        """What a person types when asked for the number of recipients."""
        self._progress.stop()
        self._clear()
        self._console.print(f"This sends to {spelled(planned, 'recipient')}. Type the number to go ahead: ", end="")
        try:
            with _default_signals():
                return sys.stdin.readline()
        finally:
            self._progress.start()

    def begun(self, report: Report) -> None:
        self._clear()
        self._began_at = time.monotonic()
        self._show("Sending", total=report.recipients["planned"], completed=report.decided)

    def settled(self, chunk: StoredChunk, outcome: Outcome) -> None:
        self._calls += 1
        seconds = time.monotonic() - self._began_at
        rate = f"{self._calls / seconds:.1f} calls/s" if seconds > 1 else ""
        if self._task is not None:
            advance = chunk.size if outcome.chunk is not ChunkState.PENDING else 0
            self._progress.update(self._task, advance=advance, rate=rate, note="")

    def paused(self, seconds: float, reason: str) -> None:
        if self._task is not None:
            self._progress.update(self._task, note=f"waiting {seconds:.0f} s: {reason}")

    def notice(self, text: str) -> None:
        self._progress.console.print(text)

    def _show(self, description: str, *, total: int | None, completed: int = 0) -> None:
        if self._task is None:
            self._task = self._progress.add_task(description, total=total, completed=completed, rate="", note="")
        else:
            self._progress.update(self._task, description=description)

    def _clear(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


@contextmanager
def _default_signals() -> Iterator[None]:
    """^C ends a prompt at once, which the event loop, waiting for it, could not do."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
