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
from sender.outcome import ChunkState, Lever

PATIENCE_SECONDS = 5.0
LOOK_SECONDS = 0.1
IN_DOUBT = (ChunkState.UNKNOWN, ChunkState.SENDING)


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
        await _check_chunk(opened, found, lever, argument)
        command = await opened.give(found.id, lever, argument, _user(), time.time())
        by_sender = not await _obey_without_sender(ledger, opened, found, command)
        if by_sender:
            by_sender = await _wait_for_sender(ledger, opened, found, command)
        command = await _again(opened, command)
        return Pulled(
            run=found.name,
            lever=lever,
            obeyed=command.obeyed_at is not None,
            by_sender=by_sender,
            recipients=command.recipients,
        )


async def _obey_without_sender(path: Path, ledger: Ledger, run: Run, command: Command) -> bool:
    """Obeys in the place of a sender; False when the run has one, or had one that has just done so and ended."""
    try:
        with run_lock(path, run.name):
            await ledger.strand(run.id, time.time())
            commands = await ledger.open_commands(run.id)
            for each in commands:
                await ledger.obey(each, time.time())
            return command in commands
    except RunHeld:
        return False


async def _wait_for_sender(path: Path, ledger: Ledger, run: Run, command: Command) -> bool:
    """Waits until the sender has obeyed; False when it ended without, and this process obeyed instead."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if (await _again(ledger, command)).obeyed_at is not None:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return not await _obey_without_sender(path, ledger, run, command)


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


async def _check_chunk(ledger: Ledger, run: Run, lever: Lever, argument: str) -> None:
    if lever not in (Lever.RESEND, Lever.ASSUME_SENT) or not argument:
        return
    unknown = [leaf.id for leaf in await ledger.leaves(run.id) if leaf.state in IN_DOUBT]
    if int(argument) not in unknown:
        known = ", ".join(map(str, unknown[:20])) or "none"
        raise InputError(f"chunk {argument} of {run.name} is not unknown; unknown are: {known}")
