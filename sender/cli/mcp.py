"""`campaign mcp`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from sender.cli.options import run_async, set_up_logs

if TYPE_CHECKING:
    from pydantic import SecretStr

    from sender.mcp.roots import Roots

MOST_RECIPIENTS = 10_000


@click.command()
@click.option(
    "--root",
    "roots",
    metavar="DIR",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="A folder that campaigns, their CSVs and media may come from; several times for several.",
)
@click.option("--http", "port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve HTTP on this machine.")
@click.option(
    "--max-recipients",
    type=click.IntRange(min=1),
    metavar="N",
    default=MOST_RECIPIENTS,
    help="The most recipients of one campaign; 10,000 when left out.",
)
@click.option("--sandbox", is_flag=True, help="Send to a stand-in API, which lives as long as this server.")
def mcp(roots: tuple[Path, ...], port: int | None, max_recipients: int, sandbox: bool) -> None:
    """Serve MCP, so that an agent can check, plan, test, send and watch campaigns, within the folders that you name.

    Over standard input and output, for the client that starts it; or over HTTP, for clients that show the token of
    CAMPAIGN_MCP_TOKEN. A run goes on when its client, or this server, ends.

    \b
    campaign mcp --root campaigns/
    campaign mcp --root campaigns/ --sandbox
    campaign mcp --root campaigns/ --http 8765 --max-recipients 500
    """
    from sender.errors import InputError
    from sender.mcp.roots import Roots
    from sender.settings import mcp_token

    _check_installed()
    if port is None and sys.stdin is None:
        raise InputError("standard input is closed, over which a client speaks: use --http, or leave it open")
    set_up_logs()
    token = mcp_token(os.environ) if port is not None else None
    run_async(_serve(Roots.of(roots), port, token, max_recipients, sandbox=sandbox))


def _check_installed() -> None:
    from importlib.util import find_spec

    from sender.errors import InputError
    from sender.transport import SDK

    if any(find_spec(name) is None for name in SDK):
        raise InputError("`campaign mcp` needs the MCP SDK: pip install 'inro-campaigns[mcp]'")


async def _serve(
    roots: "Roots", port: int | None, token: "SecretStr | None", max_recipients: int, *, sandbox: bool
) -> None:
    from sender.mcp.http import serve_http
    from sender.mcp.scope import Scope
    from sender.mcp.server import make_server, serve_stdio
    from sender.rehearsal import api

    async with api(os.environ, sandbox=sandbox) as settings:
        url = settings.api_url if sandbox else None
        server = make_server(Scope(roots=roots, settings=settings, max_recipients=max_recipients, sandbox_url=url))
        if port is not None and token:
            await serve_http(server, port, token, lambda url: click.echo(f"Serving MCP at {url}", err=True))
            return
        if sys.stdin and sys.stdin.isatty():
            click.echo("Serving MCP on standard input and output; an agent's client starts this by itself.", err=True)
        await serve_stdio(server)


COMMANDS = (mcp,)
