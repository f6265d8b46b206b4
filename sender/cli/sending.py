"""`campaign test` and `campaign send`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from sender.cli import github
from sender.cli.options import as_json, campaign_file, load, print_json, run_async, set_up_logs, standard_input

if TYPE_CHECKING:
    from datetime import datetime

    from campaigns.model import Campaign, Rate, Transport
    from sender.options import Options
    from sender.report import Ended, Report


transport_option = click.option(
    "--transport", type=click.Choice(["rest", "mcp"]), help="How to call the API, instead of the file's way."
)


@click.command()
@campaign_file
@click.option("--to", required=True, metavar="WHO", help="@name, an e-mail address or a contact's id.")
@transport_option
@click.option("--sandbox", is_flag=True, help="Send to a stand-in API on this machine.")
@as_json
def test(file: Path, to: str, transport: str | None, sandbox: bool, as_json: bool) -> int:
    """Send the real message to one contact, to see that it looks as meant.

    This stands outside every run: nothing keeps a second test from arriving a second time.

    \b
    campaign test spring.yaml --to @maria
    """
    from sender.outcome import ChunkState
    from sender.trial import read_contact, send_test

    set_up_logs()
    campaign, contact = load(file), read_contact(to)

    async def work() -> Any:
        async with _api(sandbox) as settings:
            return await send_test(campaign, settings, contact, _transport(transport))

    outcome = run_async(work())
    said = {"to": str(contact[1]), "kind": contact[0], "outcome": outcome.chunk, "reason": outcome.reason}
    found = outcome.chunk is ChunkState.ACCEPTED and not outcome.not_found_count
    if as_json:
        print_json({**said, "not_found": bool(outcome.not_found_count), "status": outcome.status})
    elif found:
        click.echo(f"Accepted: the message to {contact[1]} is on its way, if the contact is active.")
    else:
        click.echo(f"Not accepted: {outcome.reason or 'no such contact'}")
    return 0 if found else 3


@click.command()
@campaign_file
@click.option("--run", metavar="NAME", help="The run's name; the campaign's when left out. A new name starts afresh.")
@click.option("--occurrence", metavar="WHEN", help="Which sending of a `cron:` campaign: 2026-12-01T09:00.")
@click.option("--yes", is_flag=True, help="Consent to sending, without being asked.")
@click.option("--expect", type=click.IntRange(min=0), metavar="N", help="Consent if the plan has N recipients.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after the plan's first N recipients.")
@click.option("--only-new", is_flag=True, help="Send to those whom no run of this campaign has planned.")
@click.option("--strict", is_flag=True, help="Refuse rejected rows; exit 3 when somebody was not found.")
@click.option("--rate", metavar="R", help="Calls in a period instead of the file's: 2/s, 120/min, 500/h.")
@transport_option
@click.option("--sandbox", is_flag=True, help="Send to a stand-in API on this machine, with a ledger of its own.")
@click.option("--metrics", metavar="PORT", help="Serve Prometheus metrics on this machine meanwhile, or on HOST:PORT.")
@click.option("--ephemeral-ledger", is_flag=True, help="In CI: accept that the default ledger dies with the job.")
@click.option("--no-progress", is_flag=True, help="Log lines instead of a progress bar, on a terminal too.")
@click.option("--fingerprint", hidden=True)  # by `mcp`: the plan that was shown, and no other
@click.option("--sandbox-at", metavar="URL", hidden=True)  # by `mcp --sandbox`: its sandbox, which lasts longer
@click.option("--missed", default="", hidden=True)  # by `schedule`: plan it, and cancel it for that reason
@as_json
def send(
    file: Path,
    run: str | None,
    occurrence: str | None,
    yes: bool,
    expect: int | None,
    limit: int | None,
    only_new: bool,
    strict: bool,
    rate: str | None,
    transport: str | None,
    sandbox: bool,
    metrics: str | None,
    ephemeral_ledger: bool,
    no_progress: bool,
    fingerprint: str | None,
    sandbox_at: str | None,
    missed: str,
    as_json: bool,
) -> int:
    """Send a campaign, or go on with it where it stopped.

    Killed, interrupted or cut off: the same command goes on, and nobody gets the message twice.

    \b
    campaign send spring.yaml                 # asks for the number of recipients
    campaign send spring.yaml --expect 2430   # in a script
    campaign send spring.yaml --limit 10      # a canary; without it, all
    """
    from sender.cli.text import print_report
    from sender.options import Options
    from sender.report import exit_code

    has_bar = sys.stderr.isatty() and not no_progress
    consented = yes or expect is not None
    with github.told_of_failure("send"):
        set_up_logs(is_quiet=has_bar)
        options = Options(
            run=_run_name(run),
            occurrence=_occurrence(occurrence),
            only_new=only_new,
            expect=expect,
            fingerprint=fingerprint,
            limit=limit,
            strict=strict,
            rate=_rate(rate),
            transport=_transport(transport),
            missed=missed,
            stdin=standard_input(),
            metrics=metrics,
        )
        campaign = load(file)
        ended = run_async(
            _send(
                campaign,
                options,
                sandbox=sandbox_at or sandbox,
                consented=consented,
                may_vanish=ephemeral_ledger,
                has_bar=has_bar,
            ),
            is_sending=True,
        )
    code = exit_code(ended.report, strict=strict, signal=ended.signal)
    _tell_github(ended.report, code, sandbox=sandbox)
    if as_json:
        print_json(ended.report.as_json())
    else:
        print_report(ended.report)
    return code


def _tell_github(report: "Report", code: int, *, sandbox: bool) -> None:
    from sender.diagnosis import Finding
    from sender.summary import in_words, of_report, report_outputs

    github.tell(of_report(report, code, sandbox=sandbox), report_outputs(report, code))
    if code:
        github.annotate("error", [Finding(message=in_words(report, code, sandbox=sandbox))])


async def _send(
    campaign: "Campaign", options: "Options", *, sandbox: bool | str, consented: bool, may_vanish: bool, has_bar: bool
) -> "Ended":
    from sender.cli.view import LogView, TerminalView
    from sender.consent import Consent, require_lasting_ledger
    from sender.run import send_campaign

    view: LogView | TerminalView = TerminalView() if has_bar else LogView()
    async with _api(sandbox) as settings:
        # Some CI services give a job a terminal, at which nobody sits.
        has_reader = sys.stdin and sys.stdin.isatty() and not settings.is_ci
        ask = view.ask if isinstance(view, TerminalView) and has_reader else None
        require_lasting_ledger(settings, may_vanish=may_vanish)
        consent = Consent(given=consented or bool(sandbox), ask=ask)
        with view:
            return await send_campaign(campaign, settings, options, view, consent.check)


def _api(sandbox: bool | str) -> Any:
    """The settings of the API to send to, as a context: Inrō's, or those of a sandbox, new or at an address."""
    from sender.rehearsal import api

    return api(os.environ, sandbox=sandbox)


def _run_name(name: str | None) -> str | None:
    from sender.settings import check_run_name

    return check_run_name(name) if name is not None else None


def _occurrence(text: str | None) -> "datetime | None":
    from datetime import datetime

    from sender.errors import InputError

    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M") if text else None  # noqa: DTZ007 – on the schedule's clocks
    except ValueError as error:
        raise InputError(f"--occurrence is {text!r}: expected a date and time such as 2026-12-01T09:00") from error


def _transport(name: str | None) -> "Transport | None":
    from campaigns.model import Transport

    return Transport(name) if name else None


def _rate(text: str | None) -> "Rate | None":
    from campaigns.model import Rate
    from sender.errors import InputError

    try:
        return Rate.parse(text) if text is not None else None
    except ValueError as error:
        raise InputError(f"--rate: {error}") from error


COMMANDS = (test, send)
