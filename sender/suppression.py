"""The exclusion lists of a run that has begun: read again at every start and when they change.

Whoever is newly in one and still pending is cancelled. Who was left out when the plan was made stays out.
"""

import asyncio
import time

import structlog

from campaigns.audience import Recipient, SourceStamp, excluded_keys, listed_keys, stamp
from campaigns.errors import CampaignError
from campaigns.model import Audience
from sender import logs
from sender.ledger import Ledger, Run, StoredChunk
from sender.outcome import ChunkState

LOOK_SECONDS = 1.0
# What is in flight, refused or in doubt now may become pending again: by its outcome, or by an operator.
MAY_BE_SENT = (ChunkState.PENDING, ChunkState.SENDING, ChunkState.REJECTED, ChunkState.UNKNOWN)
LEAVES = tuple(state for state in ChunkState if state is not ChunkState.SPLIT)


class Suppression:
    """Keeps one run's pending recipients in step with its exclusion lists."""

    def __init__(
        self, run: Run, audience: Audience, ledger: Ledger, log: structlog.typing.FilteringBoundLogger
    ) -> None:
        self._run = run
        self._audience = audience
        self._ledger = ledger
        self._log = log
        self._applied = run.plan.exclusions

    async def apply(self) -> None:
        """Cancels whoever is newly excluded, if a list has changed. Raises CampaignError when a list can't be read."""
        now = self._stamps()
        if now == self._applied and len(now) == len(self._audience.exclude):
            return
        excluded = await self._excluded()
        cancelled = 0
        async for chunk in self._ledger.chunks(self._run.id, MAY_BE_SENT):
            cancelled += await self._exclude(chunk, excluded)
        await self._ledger.keep_exclusions(self._run.id, now)
        self._applied = now
        self._log.info(logs.EXCLUSIONS_APPLIED, cancelled=cancelled)

    async def watch(self) -> str:
        """Applies the lists whenever they change. Returns only when one can't be read any more, saying why."""
        failures = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.apply()
                failures = 0
            except CampaignError as error:
                failures += 1
                # An editor replaces a file in two steps, so one failure may be the moment in between.
                if failures > 1:
                    return f"an exclusion list can't be read any more: {error}"

    def _stamps(self) -> tuple[SourceStamp, ...]:
        return tuple(found for path in self._audience.exclude if (found := stamp(path)))

    async def _excluded(self) -> set[str]:
        """Everybody excluded: along the chains of the CSVs while those are as they were planned, else of the plan."""
        if tuple(stamp(path) for path in self._audience.csv) == self._run.plan.sources:
            return await asyncio.to_thread(excluded_keys, self._audience)
        listed = await asyncio.to_thread(listed_keys, self._audience)
        return await self._along_the_plan(listed)

    async def _along_the_plan(self, keys: set[str]) -> set[str]:
        grown = True
        while grown:
            before = len(keys)
            async for chunk in self._ledger.chunks(self._run.id, LEAVES):
                for recipient in chunk.recipients:
                    _tie(keys, recipient)
            async for recipient in self._ledger.ties(self._run.id):
                _tie(keys, recipient)
            grown = len(keys) > before
        return keys

    async def _exclude(self, chunk: StoredChunk, excluded: set[str]) -> int:
        places = [
            place for place, recipient in enumerate(chunk.recipients) if not excluded.isdisjoint(recipient.keys())
        ]
        return await self._ledger.exclude(chunk.id, places, time.time()) if places else 0


def _tie(keys: set[str], recipient: Recipient) -> None:
    """Whoever shares a row with somebody in `keys` is in them, too."""
    own = recipient.keys()
    if not keys.isdisjoint(own):
        keys.update(own)
