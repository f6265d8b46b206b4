"""The sender's ear for levers: what operators ask of a run from other terminals, obeyed within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from campaigns.model import Rate
from sender import logs
from sender.gate import Gate
from sender.ledger import Command, Ledger
from sender.outcome import Lever
from sender.pool import Pool

LISTEN_SECONDS = 1.0


class Listener:
    """Obeys the levers of one run.

    on_rate     called with another rate
    on_notice   called with what a person should know
    """

    def __init__(
        self,
        *,
        run: str,
        ledger: Ledger,
        log: structlog.typing.FilteringBoundLogger,
        on_rate: Callable[[Rate], Awaitable[None]],
        on_notice: Callable[[str], None],
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._log = log
        self._on_rate = on_rate
        self._on_notice = on_notice
        self.is_held = False
        self.is_cancelled = False

    async def obey(self) -> None:
        """Does what was asked since the last look; `is_held` and `is_cancelled` then say where the run stands."""
        run = await self._ledger.find_run(self._run)
        assert run is not None  # noqa: S101 – the session that listens holds its lock
        for command in await self._ledger.open_commands(run.id):
            await self._obey_one(command)
            run = await self._ledger.find_run(self._run) or run
        self.is_held = run.held

    async def listen(self, pool: Pool, gate: Gate, max_wait_seconds: float) -> None:
        """Steers pool and gate by what is asked, until cancelled; a pause longer than the patience stops the run."""
        held_since: float | None = None
        while True:
            await self.obey()
            if self.is_cancelled:
                pool.stop()
            if self.is_held:
                gate.hold()
                held_since = held_since or time.monotonic()
                if time.monotonic() - held_since > max_wait_seconds:
                    pool.stop(f"it is paused still: `campaign resume {self._run}` lifts that; then start it again")
            else:
                gate.release()
                held_since = None
            await asyncio.sleep(LISTEN_SECONDS)

    async def _obey_one(self, command: Command) -> None:
        changed = await self._ledger.obey(command, time.time())
        self._log.info(
            logs.LEVER_OBEYED, lever=command.lever, argument=command.argument, user=command.user, recipients=changed
        )
        asked = f"{command.lever} {command.argument}".strip().replace("_", " ")
        self._on_notice(f"{asked[0].upper()}{asked[1:]}, asked by {command.user}.")
        if command.lever is Lever.RATE:
            await self._on_rate(Rate.parse(command.argument))
        self.is_cancelled = self.is_cancelled or command.lever is Lever.CANCEL
