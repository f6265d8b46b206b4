"""What several commands share: arguments, flags, and how a campaign file and an event loop come in."""

import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, run in an event loop of its own."""
    import asyncio

    return asyncio.run(work)


def set_up_logs() -> None:
    """Sends log lines to standard error as the environment asks. Raises InputError."""
    from sender import logs

    logs.configure(os.environ, is_terminal=sys.stderr.isatty())


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
