"""`campaign sandbox`: the stand-in API as a server."""

from typing import TYPE_CHECKING

import rich_click as click

from sender.cli.options import run_async

if TYPE_CHECKING:
    from sender.sandbox import Sandbox


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes any free port.")
@click.option("--token", default="sandbox", show_default=True, help="The bearer token that it accepts.")
@click.option("--limit", metavar="R", help="Answer 429 above this rate: 20/s, 120/min.")
@click.option(
    "--limiter",
    type=click.Choice(["sliding", "fixed", "token-bucket"]),
    default="sliding",
    show_default=True,
    help="How it counts.",
)
@click.option("--fault", "faults", metavar="NAME=VALUE", multiple=True, help="What goes wrong; may be repeated.")
@click.option("--unknown", metavar="WHO", multiple=True, help="An identifier that it finds no contact for.")
@click.option("--poison", metavar="WHO", multiple=True, help="An identifier that makes a whole call be refused.")
@click.option("--reply", type=click.Choice(["batch", "no-names", "text", "empty"]), default="batch", show_default=True)
@click.option("--seed", help="The same seed gives the same faults.")
def sandbox(
    port: int,
    token: str,
    limit: str | None,
    limiter: str,
    faults: tuple[str, ...],
    unknown: tuple[str, ...],
    poison: tuple[str, ...],
    reply: str,
    seed: str | None,
) -> None:
    """Serve a stand-in for the Inrō API on this machine, with a page that shows what it has received.

    Faults by probability: rate-429, rate-429-bare, rate-503, rate-500-before, rate-500-after, rate-502-before,
    rate-reset-before, rate-reset-after, rate-hang, rate-hang-before, rate-cut, rate-html, rate-redirect. Others:
    latency, script, retry-after-seconds, unauthorized-from, down, everywhere.

    \b
    campaign sandbox --limit 20/s --fault latency=80ms --fault rate-503=0.1
    export INRO_API_URL=http://127.0.0.1:8765/api/v1 INRO_API_TOKEN=sandbox
    """
    from sender.sandbox import Faults, Sandbox

    try:
        server = Sandbox(
            token=token,
            port=port,
            rate_limit=limit,
            limiter=limiter,  # type: ignore[arg-type]  # click has checked the choice
            faults=Faults.parse(dict(_pair(fault) for fault in faults)),
            unknown_contacts=unknown,
            poison=poison,
            reply=reply,  # type: ignore[arg-type]
            seed=seed,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    run_async(_serve(server))


def _pair(fault: str) -> tuple[str, str]:
    name, equals, value = fault.partition("=")
    if not equals:
        raise click.BadParameter(f"{fault!r} is not of the form NAME=VALUE.", param_hint="--fault")
    return name.strip(), value.strip()


async def _serve(server: "Sandbox") -> None:
    import asyncio

    from sender.signals import Signals

    with Signals():
        try:
            async with server:
                click.echo(f"Page  {server.origin}/")
                click.echo(f"API   {server.url}")
                click.echo(f"MCP   {server.mcp_url}")
                await asyncio.Event().wait()
        except OSError as error:
            raise click.ClickException(f"port is taken: {error.strerror}; --port 0 takes any free one") from error
        except asyncio.CancelledError:
            click.echo("Stopped.")


COMMANDS = (sandbox,)
