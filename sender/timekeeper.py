"""What the clock means for a run: it waits for its window, and what was not sent in time is cancelled.

A rehearsal keeps the deadline, after which the real thing is refused too, but not the window: it writes to nobody, and
whoever looks on should not have to wait for the morning.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from campaigns.model import Campaign
from sender import logs
from sender.gate import Gate
from sender.ledger import Ledger, Run
from sender.outcome import Lever, RunState
from sender.settings import SANDBOX_ORIGIN


@dataclass
class Timekeeper:
    """Keeps one run to the hours of its campaign.

    gate        opens and closes by window and deadline
    on_notice   called with what a person should know
    """

    campaign: Campaign
    run: Run
    ledger: Ledger
    log: structlog.typing.FilteringBoundLogger
    on_notice: Callable[[str], None]
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(
            None if self._is_rehearsal else self.campaign.window,
            self.campaign.deadline,
            on_closed=self._wait_for_window,
            on_opened=self._go_on,
        )

    def tell_of_rehearsal(self) -> None:
        """Says when the real thing could begin, if this is a rehearsal that goes ahead outside its window."""
        opens = Gate(self.campaign.window).closed_until() if self._is_rehearsal else None
        if opens:
            self.on_notice(
                f"A rehearsal does not wait for the window; begun now, the real thing waits until {self._shown(opens)}."
            )

    async def cancel_if_late(self, missed: str = "") -> None:
        """Has the run cancelled if its deadline has passed, or for the reason that it was `missed`."""
        is_over = self.run.state in (RunState.COMPLETED, RunState.CANCELLED)
        if (missed or self.gate.is_late) and not is_over:
            await self._cancel(missed or self._deadline)

    async def keep_deadline(self) -> None:
        """Has the run cancelled once its deadline has passed."""
        await self.gate.over()
        await self._cancel(self._deadline)

    async def _cancel(self, why: str) -> None:
        # An operator's lever, so that what is in flight and comes back is cancelled, too, and the ledger tells when.
        await self.ledger.give(self.run.id, Lever.CANCEL, "", why, time.time())

    async def _wait_for_window(self, until: datetime) -> None:
        opens = self._shown(until)
        await self.ledger.mark(self.run.id, RunState.SCHEDULED, f"outside its window, waits until {opens}")
        self.log.info(logs.RUN_WAITING, until=until.isoformat(timespec="seconds"))
        self.on_notice(f"Outside the window: nothing is sent before {opens}.")

    async def _go_on(self, _: datetime) -> None:
        await self.ledger.mark(self.run.id, RunState.RUNNING, "")
        self.log.info(logs.RUN_GOES_ON)
        self.on_notice("The window is open: going on.")

    def _shown(self, moment: datetime) -> str:
        window = self.campaign.window
        zone = window.timezone if window else "UTC"
        return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} {zone}"

    @property
    def _is_rehearsal(self) -> bool:
        return self.run.origin == SANDBOX_ORIGIN

    @property
    def _deadline(self) -> str:
        return f"not_after, {self.campaign.not_after:%Y-%m-%d %H:%M}"
