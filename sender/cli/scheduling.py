"""`campaign schedule` and `campaign due`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from sender.cli.options import as_json, print_json, run_async, set_up_logs

if TYPE_CHECKING:
    from sender.agenda import Agenda
    from sender.schedule import Scheduler, Sent

paths = click.argument("paths", metavar="DIR|FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
sandbox_option = click.option("--sandbox", is_flag=True, help="Send to a stand-in API, with a ledger of its own.")


@click.command()
@paths
@click.option("--list", "only_list", is_flag=True, help="Show the next occurrences, and start nothing.")
@sandbox_option
@as_json
def schedule(paths: Sequence[Path], only_list: bool, sandbox: bool, as_json: bool) -> int:
    """Send campaigns when their `schedule:` says so, until SIGTERM; what is being sent then is let finish.

    Each sending is a process of its own. Files may change, come and go meanwhile; a bad one is logged, and the
    others go on. What stopped or was paused is left to whoever looks at it.

    \b
    campaign schedule campaigns/
    campaign schedule campaigns/ --list
    """
    if only_list:
        return _list(_agenda(paths), sandbox=sandbox, as_json=as_json)
    if as_json:
        raise click.UsageError("--json goes with --list.")
    run_async(_scheduler(paths, sandbox=sandbox).run())
    return 0


@click.command()
@paths
@sandbox_option
@as_json
def due(paths: Sequence[Path], sandbox: bool, as_json: bool) -> int:
    """Send what is due by its `schedule:` now, or go on with it, and end: a line for cron.

    The exit code is the highest of its sendings, and 2 at least when a file is bad.

    \b
    campaign due campaigns/
    """
    scheduler = _scheduler(paths, sandbox=sandbox)
    sent = run_async(scheduler.once())
    if as_json:
        print_json({"sent": [one.as_json() for one in sent], "problems": scheduler.agenda.problems})
    else:
        _tell(sent)
    codes = [one.exit_code if one.exit_code >= 0 else 128 - one.exit_code for one in sent]
    return max([*codes, 2 if scheduler.agenda.problems else 0])


def _agenda(paths: Sequence[Path]) -> "Agenda":
    from sender.agenda import Agenda

    return Agenda(paths, os.environ)


def _scheduler(paths: Sequence[Path], *, sandbox: bool) -> "Scheduler":
    from sender import logs
    from sender.consent import require_lasting_ledger
    from sender.schedule import Scheduler
    from sender.settings import ledger_path, read_settings

    set_up_logs(is_quiet=False)
    if not sandbox:
        settings = read_settings(os.environ)
        settings.require_token()
        require_lasting_ledger(settings, may_vanish=False)
    return Scheduler(
        agenda=_agenda(paths),
        ledger=ledger_path(os.environ, sandbox=sandbox)[0],
        log=logs.get_logger(),
        arguments=("--sandbox",) if sandbox else (),
    )


def _list(agenda: "Agenda", *, sandbox: bool, as_json: bool) -> int:
    from datetime import UTC, datetime

    from sender.cli.text import print_rows
    from sender.forecast import forecast
    from sender.settings import ledger_path

    agenda.refresh()
    now = datetime.now(UTC)
    found = run_async(forecast(agenda, ledger_path(os.environ, sandbox=sandbox)[0], now))
    if as_json:
        print_json({"occurrences": [each.as_json() for each in found], "problems": agenda.problems})
    else:
        rows = ((each.when, each.wait(now), each.run, each.file, each.state) for each in found)
        print_rows(("when", "in", "run", "file", "state"), rows)
        for problem in agenda.problems:
            click.echo(problem, err=True)
    return 2 if agenda.problems else 0


def _tell(sent: Sequence["Sent"]) -> None:
    if not sent:
        click.echo("Nothing is due.")
    for one in sent:
        state = one.report["state"] if one.report else f"exit {one.exit_code}, see standard error"
        recipients = one.report["recipients"] if one.report else None
        counts = [f"{n:,} {name}" for name, n in recipients.items() if n] if isinstance(recipients, dict) else []
        click.echo(", ".join([f"{one.run}: {state}", *counts]))
    sys.stdout.flush()


COMMANDS = (schedule, due)
