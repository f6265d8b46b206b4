"""`campaign status`, `runs` and `report`."""

import os
import sys
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import rich_click as click

from sender.cli.options import as_json, in_sandbox, print_json, run_async

run_argument = click.argument("run", metavar="[RUN]", required=False)


@click.command()
@run_argument
@click.option("--watch", is_flag=True, help="Show it live, until the run ends; ^C ends the watching alone (exit 130).")
@in_sandbox
@as_json
def status(run: str | None, watch: bool, sandbox: bool, as_json: bool) -> int:
    """Show where a run stands, live or after the fact; without RUN, the newest (with --watch, that is being sent).

    With --watch and no terminal there is a line for each change; with --json, one JSON document a line and second.

    \b
    campaign status spring-drop
    campaign status --watch
    """
    from sender.cli.text import print_report
    from sender.look import run_report
    from sender.settings import ledger_path

    ledger = ledger_path(os.environ, sandbox=sandbox)[0]
    if watch:
        from sender.cli.watching import show
        from sender.watch import moments

        return run_async(show(moments(ledger, run), as_json=as_json))
    report, holder = run_async(run_report(ledger, run))
    if as_json:
        print_json(report.as_json())
    else:
        print_report(report, holder)
    return 0


@click.command()
@in_sandbox
@as_json
def runs(sandbox: bool, as_json: bool) -> None:
    """List all runs, the newest first.

    \b
    campaign runs
    """
    from sender.cli.text import print_rows
    from sender.look import all_reports
    from sender.settings import ledger_path

    reports = run_async(all_reports(ledger_path(os.environ, sandbox=sandbox)[0]))
    if as_json:
        print_json({"runs": [report.as_json() for report in reports]})
    elif not reports:
        click.echo("No run yet.")
    else:
        names = ("planned", "accepted", "pending", "unknown", "rejected")
        rows = ((r.run, r.account, r.state, *(f"{r.recipients[name]:,}" for name in names)) for r in reports)
        print_rows(("run", "account", "state", *names), rows)


@click.command()
@run_argument
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "csv", "html"]), default="text", help="text when left out."
)
@click.option("--state", metavar="STATES", help="csv, html: list only recipients in these states: unknown,rejected.")
@click.option("--follow", is_flag=True, help="text: also ask the API what became of the accepted calls.")
@in_sandbox
def report(run: str | None, form: str, state: str | None, follow: bool, sandbox: bool) -> None:
    """Tell what happened in a run. The csv has one line for each recipient and is itself an audience. The html is one
    page with a chart that needs no other file and no network. Both hold people's names: share them with care.

    \b
    campaign report spring-drop
    campaign report spring-drop --format html > spring-drop.html
    campaign report spring-drop --format csv --state unknown,rejected > look-into.csv
    """
    from sender.cli.text import print_report
    from sender.look import run_report
    from sender.settings import ledger_path

    ledger = ledger_path(os.environ, sandbox=sandbox)[0]
    if follow and form != "text":
        raise click.UsageError("--follow goes with --format text.")
    if form == "csv":
        _warn_of_resending(state)
        run_async(_print_csv(ledger, run, _states(state)))
        return
    if form == "html":
        _refuse_terminal()
        page = run_async(_page(ledger, run, _states(state)))
        click.echo(page.encode(), nl=False)
        return
    if state is not None:
        raise click.UsageError("--state goes with --format csv or html.")
    found, holder = run_async(run_report(ledger, run))
    if form == "json":
        print_json(found.as_json())
    else:
        print_report(found, holder)
    if follow:
        statuses = run_async(_follow(found.run, sandbox))
        click.echo("  batch tasks: " + (", ".join(f"{n:,} {status}" for status, n in statuses.items()) or "none"))


def _warn_of_resending(state: str | None) -> None:
    if "unknown" in (state or ""):
        click.echo("Some of these may have got the message: sending them this file is a resend.", err=True)


async def _follow(run: str, sandbox: bool) -> Mapping[str, int]:
    from sender.evidence import follow_accepted
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings:
        return await follow_accepted(settings, run)


async def _print_csv(ledger: Path, run: str | None, states: list[str]) -> None:
    from sender.look import recipient_lines

    async with aclosing(recipient_lines(ledger, run, states)) as lines:
        async for line in lines:
            sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))


def _refuse_terminal() -> None:
    if sys.stdout.isatty():
        raise click.UsageError(
            "A page is of no use on a terminal: write it to a file, "
            "as in `campaign report RUN --format html > report.html`, and open that in a browser."
        )


async def _page(ledger: Path, run: str | None, states: list[str]) -> str:
    from sender.page import report_page

    return await report_page(ledger, run, tuple(dict.fromkeys(states)))


def _states(text: str | None) -> list[str]:
    from sender.report import RECIPIENT_STATES

    states = [state.strip().replace("-", "_") for state in (text or "").split(",") if state.strip()]
    for state in states:
        if state not in RECIPIENT_STATES:
            raise click.BadParameter(
                f"{state!r} is no state; there are {', '.join(RECIPIENT_STATES)}.", param_hint="--state"
            )
    return states


COMMANDS = (status, runs, report)
