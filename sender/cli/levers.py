"""`campaign pause`, `resume`, `cancel`, `rate`, `retry` and `resolve`: levers on a run from another terminal."""

import os
from typing import Any

import rich_click as click

from sender.cli.options import as_json, in_sandbox, print_json, run_async

run_argument = click.argument("run", metavar="RUN")


@click.command()
@run_argument
@in_sandbox
@as_json
def pause(run: str, sandbox: bool, as_json: bool) -> int:
    """Take no further chunk of a run; what is in flight finishes. Lasts until `resume`, also across restarts.

    \b
    campaign pause spring-drop
    """
    return _pull(run, "pause", sandbox=sandbox, as_json=as_json)


@click.command()
@run_argument
@in_sandbox
@as_json
def resume(run: str, sandbox: bool, as_json: bool) -> int:
    """Lift a pause.

    \b
    campaign resume spring-drop
    """
    return _pull(run, "resume", sandbox=sandbox, as_json=as_json)


@click.command()
@run_argument
@in_sandbox
@as_json
def cancel(run: str, sandbox: bool, as_json: bool) -> int:
    """Cancel what is pending of a run, for good; what is in flight finishes.

    \b
    campaign cancel spring-drop
    """
    return _pull(run, "cancel", sandbox=sandbox, as_json=as_json)


@click.command()
@run_argument
@click.argument("rate", metavar="R")
@in_sandbox
@as_json
def rate(run: str, rate: str, sandbox: bool, as_json: bool) -> int:
    """Change a run's rate, now and for its later starts.

    \b
    campaign rate spring-drop 5/s
    """
    return _pull(run, "rate", rate, sandbox=sandbox, as_json=as_json)


@click.command()
@run_argument
@in_sandbox
@as_json
def retry(run: str, sandbox: bool, as_json: bool) -> int:
    """Make a run's rejected recipients pending again. This sends nothing: `send` does.

    \b
    campaign retry spring-drop
    """
    return _pull(run, "retry", sandbox=sandbox, as_json=as_json)


@click.command()
@run_argument
@click.option("--resend", is_flag=True, help="Make them pending again; whoever got the message gets it twice.")
@click.option("--assume-sent", is_flag=True, help="Count them as sent; whoever did not get it never will.")
@click.option("--inspect", is_flag=True, help="Ask the API what it created around that time; decides nothing.")
@click.option("--chunk", type=click.IntRange(min=1), metavar="N", help="Only this chunk; all unknown ones else.")
@in_sandbox
@as_json
def resolve(
    run: str, resend: bool, assume_sent: bool, inspect: bool, chunk: int | None, sandbox: bool, as_json: bool
) -> int:
    """Decide about a run's unknown recipients. This sends nothing: `send` does.

    \b
    campaign resolve spring-drop --inspect
    campaign resolve spring-drop --assume-sent --chunk 17
    """
    if resend + assume_sent + inspect != 1:
        raise click.UsageError("one of --inspect, --assume-sent and --resend is needed.")
    if inspect:
        return _inspect(run, chunk, sandbox=sandbox, as_json=as_json)
    lever = "resend" if resend else "assume_sent"
    return _pull(run, lever, str(chunk or ""), sandbox=sandbox, as_json=as_json)


def _pull(run: str, lever: str, argument: str = "", *, sandbox: bool, as_json: bool) -> int:
    from dataclasses import asdict

    from sender.operate import pull
    from sender.outcome import Lever
    from sender.settings import ledger_path

    pulled = run_async(pull(ledger_path(os.environ, sandbox=sandbox)[0], run, Lever(lever), argument))
    if as_json:
        print_json(asdict(pulled))
    else:
        from sender.cli.text import lever_sentence

        click.echo(lever_sentence(pulled))
    return 0


def _inspect(run: str, chunk: int | None, *, sandbox: bool, as_json: bool) -> int:
    from sender.cli.text import print_inspections

    found = run_async(_inspections(run, sandbox))
    wanted = [inspection for inspection in found if chunk in (None, inspection.chunk)]
    if as_json:
        print_json({"unknown": [inspection.as_json() for inspection in wanted]})
    else:
        print_inspections(run, wanted)
    return 0


async def _inspections(run: str, sandbox: bool) -> list[Any]:
    from sender.evidence import inspect_unknown
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings:
        return list(await inspect_unknown(settings, run))


COMMANDS = (pause, resume, cancel, rate, retry, resolve)
