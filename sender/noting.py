"""A watcher that notes in the ledger what only the sender knows: until when the account waits, and why."""

import asyncio
import time

from sender.ledger import Ledger
from sender.outcome import Outcome
from sender.ports import Watcher


class Noting:
    """Tells another watcher everything, and the ledger the pauses, while `keep` runs."""

    def __init__(self, watcher: Watcher, ledger: Ledger, run_id: int) -> None:
        self._watcher = watcher
        self._ledger = ledger
        self._run_id = run_id
        self._pauses: asyncio.Queue[tuple[float, str]] = asyncio.Queue()

    def settled(self, recipients: int, outcome: Outcome) -> None:
        self._watcher.settled(recipients, outcome)

    def paused(self, seconds: float, reason: str) -> None:
        self._watcher.paused(seconds, reason)
        self._pauses.put_nowait((time.time() + seconds, reason))

    async def keep(self) -> None:
        """Notes each pause as it comes, until it is cancelled. Raises LedgerError."""
        latest = 0.0
        while True:
            until, reason = await self._pauses.get()
            if until > latest:  # a longer pause that is under way stays
                latest = until
                await self._ledger.note_pause(self._run_id, until, reason)
