"""Inrō's media library by hand: look, and keep a file there for the campaigns to come."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from campaigns.errors import MediaError
from campaigns.media import LIMITS, MediaFile, open_media
from sender.inro.account import Account, LibraryFile
from sender.inro.client import connect
from sender.inro.wire import FilePart
from sender.ledger import open_ledger
from sender.retry import Policy
from sender.settings import Settings

PATIENCE = Policy(max_wait_seconds=60.0)  # a person is waiting


@asynccontextmanager
async def open_account(settings: Settings) -> AsyncIterator[Account]:
    """The token's account. Raises InputError without a token."""
    token = settings.require_token()
    async with connect(api_url=settings.api_url, token=token, timeout_seconds=30.0) as client:
        yield Account(client, PATIENCE)


async def keep_file(settings: Settings, path: Path, account: str) -> LibraryFile:
    """The file as the library has it now; the ledger remembers it, so that no campaign uploads it again.

    Raises MediaError when Instagram takes no such file, SendingStopped when the API refuses, LedgerError.
    """
    file = _checked(path)
    async with open_ledger(settings.ledger) as ledger, open_account(settings) as account_at_inro:
        uploaded = await account_at_inro.upload(FilePart(field="file", path=file.path, content_type=file.content_type))
        if uploaded.url:
            account_id = await ledger.account_id(settings.origin, account)
            await ledger.keep_media_url(account_id, file.sha256, uploaded.url, time.time())
        return uploaded


def _checked(path: Path) -> MediaFile:
    """The file, for whichever type of message it fits."""
    refusals = []
    for media_type in LIMITS:
        try:
            return open_media(path, media_type)
        except MediaError as error:
            refusals.append(error)
    raise refusals[0]
