"""`campaign doctor`."""

import os
from typing import TYPE_CHECKING

import rich_click as click

from sender.cli.options import as_json, print_json, run_async

if TYPE_CHECKING:
    from sender.doctor import Finding


@click.command()
@click.option("--sandbox", is_flag=True, help="Ask a stand-in API on this machine; look at the sandbox's own ledger.")
@as_json
def doctor(sandbox: bool, as_json: bool) -> int:
    """Check that everything is well: the token, the API, the clock, the ledger and its disk. Changes nothing.

    Exits as `send` would: 0 when it would send, else 2, 7 or 4 for what would stop it first.

    \b
    campaign doctor
    """
    from sender.doctor import exit_code

    findings = run_async(_findings(sandbox))
    code = exit_code(findings)
    if as_json:
        print_json({"ok": code == 0, "findings": [finding.as_json() for finding in findings]})
    else:
        from sender.cli.text import print_findings

        print_findings(findings)
    return code


async def _findings(sandbox: bool) -> "list[Finding]":
    from sender.doctor import examine
    from sender.rehearsal import api

    if not sandbox:
        return await examine(os.environ)
    async with api(os.environ, sandbox=True) as settings:
        return await examine(os.environ, sandbox=settings)


COMMANDS = (doctor,)
