"""What several commands share: arguments, flags, and how a campaign file and an event loop come in."""

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import rich_click as click

if TYPE_CHECKING:
    from campaigns.model import Campaign

T = TypeVar("T")

campaign_file = click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
in_sandbox = click.option("--sandbox", is_flag=True, help="Use the sandbox's own ledger; nothing real is touched.")


def load(file: Path) -> "Campaign":
    """The campaign in that file. Raises CampaignFileError."""
    from campaigns.loading import load_campaign

    return load_campaign(file, os.environ)


def run_async(work: Coroutine[Any, Any, T], *, is_sending: bool = False) -> T:
    """What the coroutine returns, run in an event loop of its own: uvloop's, a tenth faster, for one that sends."""
    import asyncio

    if not is_sending:
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)


def set_up_logs(*, is_quiet: bool | None = None) -> None:
    """Sends log lines to standard error as the environment asks. Raises InputError."""
    from sender import logs

    logs.configure(os.environ, is_terminal=sys.stderr.isatty(), is_quiet=is_quiet)


def standard_input() -> BinaryIO | None:
    """What is piped in; None when standard input is closed."""
    return sys.stdin.buffer if sys.stdin else None


def print_json(document: object, *, indent: int | None = 2) -> None:
    """One JSON document on standard output, at once; on one line without `indent`."""
    import json

    # Not orjson: the name of a file may hold bytes that are no UTF-8. They come out escaped.
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
