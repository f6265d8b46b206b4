"""What `status --watch` shows: a page on a terminal, lines elsewhere, JSON lines when asked."""

import asyncio
import select
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime

import rich_click as click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sender.cli.options import print_json
from sender.cli.text import STYLES, console, print_report, printable
from sender.outcome import RunState
from sender.report import RECIPIENT_STATES, duration, spelled
from sender.signals import Signals
from sender.watch import Moment

LINE_SECONDS = 10.0
RESULTS = {"stop": "stopped"}


async def show(moments: AsyncGenerator[Moment], *, as_json: bool) -> int:
    """Shows the moments to their end; returns 0, or 130 or 143 when a signal ends the watching alone."""
    last: Moment | None = None
    with Signals() as signals:
        try:
            async with aclosing(moments):
                with _screen(as_json=as_json) as shown:
                    async for last in moments:
                        shown(last)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
    if last and not as_json and console().is_terminal:
        print_report(last.report, last.sender)
    if signals.received is None:
        return 0
    if last and last.sender:
        click.echo(f"The watching has ended; {last.report.run} goes on.", err=True)
    return 128 + signals.received


@contextmanager
def _screen(*, as_json: bool) -> Iterator[Callable[[Moment], None]]:
    out = console()
    if as_json:
        yield lambda moment: print_json(moment.as_json(), indent=None)
    elif not out.is_terminal or out.is_dumb_terminal:
        yield _while_read(_Lines())
    else:
        # A screen of its own: there nothing is left behind when the terminal changes its size.
        with Live(console=out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
            asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, live.refresh)
            try:
                yield lambda moment: live.update(page(moment), refresh=True)
            finally:
                asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)


def _while_read(shown: Callable[[Moment], None]) -> Callable[[Moment], None]:
    """The same, ended by a reader that has gone: where little is written, no write would tell."""
    pipe = select.poll()
    pipe.register(sys.stdout.fileno(), 0)  # errors alone, which a pipe without a reader has

    def show(moment: Moment) -> None:
        if pipe.poll(0):
            raise BrokenPipeError
        shown(moment)

    return show


class _Lines:
    """One line when something happens, and every ten seconds while counts change."""

    def __init__(self) -> None:
        self._last: Moment | None = None

    def __call__(self, moment: Moment) -> None:
        last = self._last
        happened = last is None or moment.is_over or _events(moment) != _events(last)
        went_on = last and moment.at - last.at >= LINE_SECONDS and moment.report.recipients != last.report.recipients
        if happened or went_on:
            self._last = moment
            click.echo(line(moment))


def _events(moment: Moment) -> tuple[object, ...]:
    return moment.report.state, moment.pause, moment.failures[:1], bool(moment.sender and moment.sender.stopped)


def line(moment: Moment) -> str:
    """A moment in one line."""
    report = moment.report
    counts = [f"{name.replace('_', ' ')} {report.recipients[name]:,}" for name in _shown(moment)]
    parts = [f"{report.run} {report.state}", f"{_progress(moment)} ({_percent(moment)})", *counts]
    if moment.sender and report.state is RunState.RUNNING:
        parts.append(_rate(moment))
        parts += [f"{duration(moment.seconds_left)} left"] if moment.seconds_left is not None else []
    parts += [sentence for _, sentence in _hindrances(moment)]
    parts += [f"last failure {_failure(moment, 0)}"] if moment.failures else []
    return printable(f"{_clock(moment.at, moment.at)} {', '.join(parts)}")


def page(moment: Moment) -> RenderableType:
    """A moment as a page for a terminal of any width."""
    report = moment.report
    planned = report.recipients["planned"]
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold", ratio=1)
    rows.add_row("done", f"{_progress(moment)} ({_percent(moment)})")
    rows.add_row("rate", _rate(moment))
    rows.add_row("left", "–" if moment.seconds_left is None else f"about {duration(moment.seconds_left)}")
    for name in _shown(moment):
        rows.add_row(name.replace("_", " "), Text(f"{report.recipients[name]:,}", style=STYLES.get(name, "")))
    for name, sentence in _hindrances(moment):
        rows.add_row(Text(name, style="yellow"), Text(printable(sentence), style="yellow"))
    rows.add_row("sender", Text(str(moment.sender) if moment.sender else "none"))
    failures = [Text(printable(_failure(moment, number)), style="red") for number in range(len(moment.failures))]
    return Group(
        Text.assemble((report.run, "bold"), f": {report.state}, {duration(report.elapsed_seconds)}"),
        _column(ProgressBar(total=max(1, planned), completed=report.decided if planned else 1)),
        rows,
        _column(*([Text(), Text("last failures", style="bold"), *failures] if failures else [])),
        Text("\n^C ends the watching, not the run", style="dim"),
    )


def _column(*cells: RenderableType) -> Table:
    """These below each other, wrapped at the terminal's width, which the console itself leaves to the terminal."""
    column = Table.grid(expand=True)
    column.add_column(overflow="fold")
    for cell in cells:
        column.add_row(cell)
    return column


def _shown(moment: Moment) -> list[str]:
    counts = moment.report.recipients
    return [name for name in RECIPIENT_STATES if counts[name] or name in ("accepted", "pending")]


def _progress(moment: Moment) -> str:
    return f"{moment.report.decided:,} of {spelled(moment.report.recipients['planned'], 'recipient')}"


def _percent(moment: Moment) -> str:
    # Rounded down: 100 % is all of them.
    planned = moment.report.recipients["planned"]
    return f"{100 * moment.report.decided // planned if planned else 100} %"


def _rate(moment: Moment) -> str:
    now = moment.calls_per_second
    said = f"{now:.1f} calls/s" if now >= 1 or not now else f"{now * 60:.0f} calls/min"
    return f"{said}, asked {moment.rate_asked}" if moment.rate_asked else said


def _hindrances(moment: Moment) -> list[tuple[str, str]]:
    """Why no call leaves, as (what, sentence)."""
    report, found = moment.report, []
    if moment.sender and moment.sender.stopped:
        found.append(("stopped", f"its sender is stopped; `kill -CONT {moment.sender.pid}` wakes it"))
    if report.state is RunState.PAUSED:
        found.append(("paused", f"by an operator; `campaign resume {report.run}` lifts that"))
    if moment.pause:
        seconds = duration(moment.pause.until - moment.at)
        until = _clock(moment.pause.until, moment.at)
        found.append(("waits", f"the account waits until {until}, {seconds} more: {moment.pause.reason}"))
    if report.reason:
        found.append(("reason", report.reason))
    return found


def _failure(moment: Moment, number: int) -> str:
    failure = moment.failures[number]
    result = RESULTS.get(failure.result, failure.result)
    who = f"chunk {failure.chunk_id}, {spelled(failure.recipients, 'recipient')}"
    return f"{_clock(failure.at, moment.at)} {result} ({who}): {failure.reason}"


def _clock(moment: float, now: float) -> str:
    """The time on this machine's clock, with the date when it is another day."""
    local, today = (datetime.fromtimestamp(each, UTC).astimezone() for each in (moment, now))
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%Y-%m-%d %H:%M:%S}"
