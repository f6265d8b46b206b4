"""`campaign ledger backup`, `vacuum` and `export`."""

import os
import sys
from pathlib import Path

import rich_click as click

from sender.cli.options import as_json, in_sandbox, print_json


@click.group()
def ledger() -> None:
    """Look after the ledger, which knows who was sent to.

    \b
    campaign ledger backup /backups/ledger.db
    """


@ledger.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE; it is replaced only once the new copy is checked.")
@in_sandbox
@as_json
def backup(file: Path, force: bool, sandbox: bool, as_json: bool) -> None:
    """Copy the ledger to FILE, also while a run is being sent, and check the copy.

    \b
    campaign ledger backup /backups/ledger.db --force
    """
    from sender.ledger.backup import back_up
    from sender.ledger.sizes import sized
    from sender.report import spelled

    made = back_up(_path(sandbox), file, overwrite=force)
    if as_json:
        print_json({"file": str(made.path), "size_bytes": made.size_bytes, "runs": made.runs})
        return
    click.echo(f"Backed up to {made.path}: {sized(made.size_bytes)}, {spelled(made.runs, 'run')}, checked.")
    click.echo("It knows nothing of what is sent from now on: who restores it and sends may send that twice.")


@ledger.command()
@in_sandbox
@as_json
def vacuum(sandbox: bool, as_json: bool) -> None:
    """Give the ledger's free space back to the disk. Refused while a run is being sent.

    \b
    campaign ledger vacuum
    """
    from sender.ledger.sizes import sized
    from sender.ledger.vacuum import vacuum as vacuum_ledger

    done = vacuum_ledger(_path(sandbox))
    if as_json:
        print_json({"file": str(done.path), "before_bytes": done.before_bytes, "after_bytes": done.after_bytes})
    else:
        click.echo(f"{done.path}: {sized(done.before_bytes)} before, {sized(done.after_bytes)} now.")


@ledger.command()
@click.argument("run", metavar="[RUN]", required=False)
@in_sandbox
def export(run: str | None, sandbox: bool) -> None:
    """Print the ledger as JSON lines, also while a run is being sent: every run, call and recipient, or RUN's alone.

    \b
    campaign ledger export spring-drop | gzip > spring-drop.jsonl.gz
    """
    from contextlib import closing

    from sender.ledger.export import export as exported
    from sender.ledger.export import json_line

    with closing(exported(_path(sandbox), run)) as records:
        for record in records:
            sys.stdout.buffer.write(json_line(record))


def _path(sandbox: bool) -> Path:
    from sender.settings import ledger_path

    return ledger_path(os.environ, sandbox=sandbox)[0]


COMMANDS = (ledger,)
