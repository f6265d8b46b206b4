"""`campaign init`, `schema`, `check` and `plan`: all that sends nothing."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from sender.cli import github
from sender.cli.options import as_json, campaign_file, load, print_json, standard_input

if TYPE_CHECKING:
    from campaigns.audience import RejectedRow
    from campaigns.model import Campaign
    from sender.preview import Checked

SHOWN_REJECTS = 10


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Write a commented campaign and a CSV to start from; nothing that exists is overwritten.

    \b
    campaign init spring
    """
    from sender.starter import write_starter

    for path in write_starter(folder):
        click.echo(f"Wrote {path}")
    click.echo(f"Next: campaign plan {folder / 'campaign.yaml'}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of campaign files, for editors.

    \b
    campaign schema > campaign.schema.json
    """
    from campaigns.schema import campaign_schema

    print_json(campaign_schema())


@click.command()
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Rejected rows are errors.")
@as_json
def check(files: tuple[Path, ...], strict: bool, as_json: bool) -> int:
    """Check campaign files, their media and their CSVs: everything that can be known without sending.

    \b
    campaign check campaigns/*.yaml
    """
    from sender.summary import of_check

    with github.told_of_failure("check"):
        checked = [_check(file, strict=strict, quietly=as_json) for file in files]
    code = 2 if any(each.problems for each in checked) else 0
    document = {"files": [each.as_json() for each in checked]}
    github.tell(of_check(checked, code), {"exit-code": code, "json": document})
    if as_json:
        print_json(document)
    return code


def _check(file: Path, *, strict: bool, quietly: bool) -> "Checked":
    from campaigns.errors import CampaignError
    from sender.cli.endings import explain
    from sender.diagnosis import diagnose
    from sender.preview import Checked, preview
    from sender.rejects import Rejects
    from sender.transport import warnings

    try:
        with Rejects(None, keep=SHOWN_REJECTS) as kept:
            campaign = load(file)
            found = preview(campaign, stdin=standard_input(), strict=strict, on_rejected=kept.add)
    except CampaignError as error:
        if quietly:
            github.annotate("error", diagnose(error).findings)
        else:
            explain(error)
        return Checked(file=str(file), problems=tuple(map(str, error.problems)))
    checked = Checked(file=str(file), preview=found, warnings=tuple(warnings(campaign)))
    if not quietly:
        for warning in checked.warnings:
            click.echo(f"{file}: {warning}", err=True)
        click.echo(f"{file}: {checked.verdict}")
        _print_notify(campaign)
    _annotate_rejects(kept.first, found.audience["invalid"])
    return checked


def _print_notify(campaign: "Campaign") -> None:
    from urllib.parse import urlsplit

    from sender.settings import notify_secret

    if campaign.notify:
        how = "signed" if notify_secret(os.environ) else "not signed, as CAMPAIGN_NOTIFY_SECRET is not set"
        click.echo(f"  {urlsplit(campaign.notify.url).hostname} is told how a run ended; {how}")


@click.command()
@campaign_file
@click.option("--rejects", metavar="OUT.csv", type=click.Path(path_type=Path), help="Write the rejected rows there.")
@click.option("--strict", is_flag=True, help="Refuse the audience for a rejected row.")
@as_json
def plan(file: Path, rejects: Path | None, strict: bool, as_json: bool) -> None:
    """Show who would get a campaign, in how many calls and in what time. Nothing is sent.

    \b
    campaign plan spring.yaml --rejects rejected.csv
    """
    from sender.cli.text import print_preview
    from sender.preview import preview
    from sender.rejects import Rejects
    from sender.summary import of_preview

    with github.told_of_failure("plan"):
        campaign = load(file)
        inputs: list[str | Path] = [file, *campaign.audience.csv, *campaign.audience.exclude]
        with Rejects(rejects, keep=SHOWN_REJECTS, inputs=inputs) as kept, _rows_shown() as on_rows:
            found = preview(campaign, stdin=standard_input(), strict=strict, on_rejected=kept.add, on_rows=on_rows)
    github.tell(of_preview(found, str(file)), {"exit-code": 0, "recipients": found.planned, "json": found.as_json()})
    _annotate_rejects(kept.first, found.audience["invalid"])
    if as_json:
        print_json(found.as_json())
        return
    print_preview(found)
    _print_rejects("Rejected rows", kept.first, found.audience["invalid"], rejects)
    _print_rejects("Rows of exclusion lists that exclude nobody", found.unusable_exclusions, None, None)


@contextmanager
def _rows_shown() -> Iterator[Callable[[int], None] | None]:
    """On a terminal, a bar for as long as the context lasts."""
    if not sys.stderr.isatty():
        yield None
        return
    from sender.cli.view import TerminalView

    with TerminalView() as view:
        yield view.rows


def _annotate_rejects(rows: "list[RejectedRow]", total: int) -> None:
    from sender.annotations import rejected_rows

    github.annotate("warning", rejected_rows(rows, total))


def _print_rejects(
    title: str, rows: "tuple[RejectedRow, ...] | list[RejectedRow]", total: int | None, out: Path | None
) -> None:
    if not rows:
        return
    click.echo(f"\n{title}:")
    for row in rows[:SHOWN_REJECTS]:
        click.echo(f"  {row.place}: {row.reason}")
    more = (len(rows) if total is None else total) - len(rows[:SHOWN_REJECTS])
    if more:
        click.echo(f"  and {more:,} more" + ("" if out else "; --rejects OUT.csv writes them all"))
    if out:
        click.echo(f"  all of them are in {out}")


COMMANDS = (init, schema, check, plan)
