"""Levers on a run from another terminal: noted in the ledger, obeyed by the run's sender, or at once without one."""

import asyncio
import getpass
import time
from dataclasses import dataclass
from pathlib import Path

from campaigns.model import Rate
from sender.errors import InputError, RunHeld
from sender.ledger import Command, Ledger, Run
from sender.ledger.lock import run_lock
from sender.look import existing_run
from sender.outcome import Lever

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What became of a lever: whether it was obeyed, by a running sender or not, and how many recipients changed."""

    run: str
    lever: Lever
    obeyed: bool
    by_sender: bool
    recipients: int


async def pull(ledger: Path, run: str, lever: Lever, argument: str = "") -> Pulled:
    """Asks for the lever, and returns once it is obeyed, or after 5 s in which a stopped sender did not look.

    Raises InputError for a run or an argument that makes no sense, and LedgerError.
    """
    if lever is Lever.RATE:
        argument = _rate(argument)
    async with existing_run(ledger, run) as (opened, found):
        command = await opened.give(found.id, lever, argument, _user(), time.time())
        try:
            with run_lock(ledger, found.name):
                await _obey_all(opened, found)
                by_sender = False
        except RunHeld:
            by_sender = True
            await _wait_for_sender(opened, command)
        command = await _again(opened, command)
        return Pulled(
            run=found.name,
            lever=lever,
            obeyed=command.obeyed_at is not None,
            by_sender=by_sender,
            recipients=command.recipients,
        )


async def _obey_all(ledger: Ledger, run: Run) -> None:
    for command in await ledger.open_commands(run.id):
        await ledger.obey(command, time.time())


async def _wait_for_sender(ledger: Ledger, command: Command) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and (await _again(ledger, command)).obeyed_at is None:  # noqa: ASYNC110 – another process
        await asyncio.sleep(LOOK_SECONDS)


async def _again(ledger: Ledger, command: Command) -> Command:
    return next(found for found in await ledger.commands(command.run_id) if found.id == command.id)


def _rate(text: str) -> str:
    try:
        return str(Rate.parse(text))
    except ValueError as error:
        raise InputError(str(error)) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"  # a container's user id without a name
