"""Reports and previews as text for people."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from sender.ledger.lock import Holder
    from sender.preview import Preview
    from sender.report import Report

STYLES = {
    "accepted": "green",
    "not_found": "yellow",
    "rejected": "red",
    "unknown": "magenta",
    "cancelled": "yellow",
    "pending": "cyan",
    "sending": "cyan",
}


def console() -> Console:
    """Standard output: in colour on a terminal only, never wrapped elsewhere, no markup from data."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


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
        f"  {report.chunks['planned']:,} chunks, {calls['sent']:,} calls "
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
            rows.append(("", f"by {kind}", f"{number:,} in {preview.calls[kind]:,} calls"))
    out.print(_table(rows))
    out.print(f"  {sum(preview.calls.values()):,} calls, at least {duration(preview.seconds)} at this rate")
    out.print(f"  Inrō's plans count activated contacts a month; this campaign writes to {preview.planned:,}.")


def print_rows(header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A plain table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
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
