"""Reports and previews as text for people."""

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sender.report import duration, spelled

if TYPE_CHECKING:
    from sender.doctor import Finding
    from sender.evidence import Inspection
    from sender.ledger.lock import Holder
    from sender.operate import Pulled
    from sender.preview import Preview
    from sender.report import Report

PIPE_WIDTH = 500  # what reads a pipe wants one line for each row
STYLES = {
    "accepted": "green",
    "not_found": "yellow",
    "rejected": "red",
    "unknown": "magenta",
    "cancelled": "yellow",
    "pending": "cyan",
    "sending": "cyan",
}
LEVEL_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # rich would exit with 1, which means a bug


def console() -> Console:
    """Standard output: in colour on a terminal only, never wrapped elsewhere, no markup from data."""
    if sys.stdout.isatty():
        return _Pipe(highlight=False, markup=False, emoji=False, soft_wrap=True)
    # Not left to rich, to which FORCE_COLOR and TTY_COMPATIBLE make a terminal of a pipe.
    return _Pipe(highlight=False, markup=False, emoji=False, soft_wrap=True, width=PIPE_WIDTH, force_terminal=False)


def print_report(report: "Report", holder: "Holder | None" = None) -> None:
    """The summary of a run."""
    out = console()
    out.print(Text.assemble((report.run, "bold"), f": {report.state}", f", {duration(report.elapsed_seconds)}"))
    if report.reason:
        out.print(f"  {report.reason}")
    if holder:
        out.print(f"  sent by {holder}")
    rows = _counted("recipients", report.recipients, first="planned")
    rows += [("", "", "")]
    rows += _counted("audience", report.audience, first="rows")
    out.print(_table(rows))
    calls = report.requests
    out.print(
        f"  {spelled(report.chunks['planned'], 'chunk')}, {spelled(calls['sent'], 'call')} "
        f"({calls['retried']:,} repeated, {calls['rate_limited']:,} rate-limited)"
    )
    if report.recipients["accepted"]:
        out.print("  Accepted means that Inrō took the message on; only active contacts receive it.")


def print_preview(preview: "Preview") -> None:
    """What a campaign would send."""
    out = console()
    out.print(Text.assemble((preview.campaign, "bold"), f": {preview.message_type}, account {preview.account}"))
    rows = _counted("audience", preview.audience, first="rows")
    rows += [("", "", "")]
    rows += [("recipients", "planned", f"{preview.planned:,}")]
    for kind, number in preview.recipients.items():
        if number:
            rows.append(("", f"by {kind}", f"{number:,} in {spelled(preview.calls[kind], 'call')}"))
    out.print(_table(rows))
    out.print(f"  {spelled(sum(preview.calls.values()), 'call')}, at least {duration(preview.seconds)} at this rate")
    out.print(f"  Inrō's plans count activated contacts a month; this campaign writes to {preview.planned:,}.")


def lever_sentence(pulled: "Pulled") -> str:
    """What became of a lever, in one sentence."""
    if not pulled.obeyed:
        return f"Noted, but the sender of {pulled.run} has not looked yet (is it stopped?); it obeys when it does."
    changed = spelled(pulled.recipients, "recipient")
    sentences = {
        "pause": "is paused; `campaign resume` lifts that.",
        "resume": "is no longer paused" + ("." if pulled.by_sender else "; `campaign send` goes on with it."),
        "cancel": f"is cancelled: {changed} get nothing.",
        "rate": "has another rate.",
        "retry": f"has {changed} pending again; `campaign send` goes on with them.",
        "resend": f"has {changed} pending again; `campaign send` goes on with them, perhaps for the second time.",
        "assume_sent": f"has {changed} assumed sent.",
    }
    return f"{pulled.run} {sentences[pulled.lever]}"


def print_inspections(run: str, inspections: "list[Inspection]") -> None:
    """The unknown chunks of a run, and what the API created around each."""
    out = console()
    if not inspections:
        out.print(f"{run} has nothing unknown.")
    for inspection in inspections:
        out.print(f"chunk {inspection.chunk}: {spelled(inspection.recipients, 'recipient')}, sent {inspection.sent_at}")
        out.print(f"  {inspection.reason}")
        for task in inspection.tasks:
            accepted = f"accepted {task.accepted_count:,}, not found {task.not_found_count:,}"
            out.print(printable(f"  batch task {task.id}, {task.status}, created {task.created_at}: {accepted}"))
        if not inspection.tasks:
            out.print("  the API knows no batch task of about that time that no other chunk accounts for")


def print_findings(findings: "list[Finding]") -> None:
    """What `doctor` found: a line for each check, and below it what to do, if there is something to do."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in ("level", "check"):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.level, LEVEL_STYLES[finding.level]), finding.check, Text(printable(finding.says)))
        if finding.do:
            table.add_row("", "", Text(printable(f"-> {finding.do}")))
    console().print(table)


def printable(text: str) -> str:
    """Text that others control, without what would steer a terminal."""
    return "".join(character if character.isprintable() else "�" for character in text)


def print_rows(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A plain table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console().print(table)


def _counted(title: str, counts: Mapping[str, int], *, first: str) -> list[tuple[str, str, str]]:
    """The first count, and those of the others that are not zero."""
    shown = [name for name in counts if name == first or counts[name]]
    return [(title if name == first else "", name.replace("_", " "), f"{counts[name]:,}") for name in shown]


def _table(rows: list[tuple[str, str, str]]) -> Table:
    table: Any = Table(box=None, show_header=False, padding=(0, 1, 0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_column(justify="right")
    for title, name, value in rows:
        table.add_row(title, Text(name, style=STYLES.get(name.replace(" ", "_"), "")), value)
    built: Table = table
    return built
