"""Which API a command talks to: Inrō's, or with `--sandbox` a stand-in in this process, on a ledger of its own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from sender.settings import Settings, read_settings, sandbox_settings

SANDBOX_TOKEN = "rehearsal-on-this-machine"  # noqa: S105 – the stand-in's own; it opens nothing else


@asynccontextmanager
async def api(environ: Mapping[str, str], *, sandbox: bool | str) -> AsyncIterator[Settings]:
    """The settings to send with; `sandbox` may be the address of one that is there already. Raises InputError."""
    if not sandbox:
        yield read_settings(environ)
        return
    if isinstance(sandbox, str):
        yield sandbox_settings(environ, api_url=sandbox, token=SANDBOX_TOKEN)
        return
    from sender.sandbox import Sandbox

    async with Sandbox(token=SANDBOX_TOKEN) as server:
        yield sandbox_settings(environ, api_url=server.url, token=SANDBOX_TOKEN)
