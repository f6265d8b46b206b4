"""The two things that every acceptance test needs: a sandbox that listens, and the command pointed at it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import TOKEN, Command


@contextmanager
def serving(**options: Any) -> Iterator[Sandbox]:
    """A sandbox over real HTTP, in a thread with an event loop of its own."""
    options.setdefault("token", TOKEN)
    sandbox = Sandbox(**options)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sandbox")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result(10)
        yield sandbox
    finally:
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox in which nothing goes wrong."""
    with serving() as served:
        yield served


@pytest.fixture
def campaign(tmp_path: Path, sandbox: Sandbox) -> Command:
    """The command, pointed at the sandbox, with a ledger of its own, in the test's folder."""
    return pointed_at(sandbox, tmp_path)


def pointed_at(sandbox: Sandbox, folder: Path) -> Command:
    """The command with the sandbox's address and token and a ledger in `folder`."""
    environ = {
        "INRO_API_URL": sandbox.url,
        "INRO_API_TOKEN": TOKEN,
        "CAMPAIGN_LEDGER": str(folder / "state" / "ledger.db"),
    }
    return Command(folder=folder, environ=environ)
