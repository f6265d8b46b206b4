"""What a scheduler would send next, and how it stands with what is due already."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from campaigns.model import Campaign
from campaigns.timetable import Occurrence, following
from sender.agenda import Agenda, Sending
from sender.ledger import Ledger, open_ledger
from sender.naming import occurrence_name

NEXT = 3  # of each campaign


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """One occurrence: when, and the run that it is. `state` is the run's, or `due`, `missed`, `planned`."""

    at: datetime
    timezone: str
    run: str
    file: str
    state: str

    @property
    def when(self) -> str:
        """`Mon 2026-12-01 09:00 Europe/Paris`."""
        return f"{self.at.astimezone(ZoneInfo(self.timezone)):%a %Y-%m-%d %H:%M} {self.timezone}"

    def wait(self, now: datetime) -> str:
        """How long from now: `3 d 2 h`, `5 min`; empty for what has passed."""
        minutes = int((self.at - now).total_seconds() // 60)
        if minutes < 0:
            return ""
        days, hours = divmod(minutes // 60, 24)
        return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"

    def as_json(self) -> dict[str, object]:
        """The occurrence as JSON."""
        at = self.at.astimezone(ZoneInfo(self.timezone)).isoformat()
        return {"at": at, "timezone": self.timezone, "run": self.run, "file": self.file, "state": self.state}


async def forecast(agenda: Agenda, ledger: Path, now: datetime) -> list[Forecast]:
    """The occurrences that come next, the soonest first, before them what is due or was missed. Nothing is changed."""
    found: list[Forecast] = []
    async with _existing(ledger) as opened:
        for sending in agenda.due(now):
            found += [each for each in [await _due(sending, opened)] if each]
        for campaign, _ in agenda.campaigns:
            found += await _next(campaign, opened, now)
    return sorted(found, key=lambda each: (each.at, each.run))


async def _due(sending: Sending, ledger: Ledger | None) -> Forecast | None:
    run = await ledger.find_run(sending.run) if ledger else None
    if run is None and sending.is_forgotten:
        return None
    state = run.state.value if run else "missed" if sending.missed else "due"
    return _forecast(sending.campaign, sending.occurrence, state)


async def _next(campaign: Campaign, ledger: Ledger | None, now: datetime) -> list[Forecast]:
    assert campaign.schedule is not None  # noqa: S101 – an agenda has none without
    coming = islice(following(campaign.schedule, now), NEXT)
    in_time = [each for each in coming if campaign.deadline is None or each.at < campaign.deadline]
    found: list[Forecast] = []
    for occurrence in in_time:
        run = await ledger.find_run(occurrence_name(campaign, occurrence.local)) if ledger else None
        found.append(_forecast(campaign, occurrence, run.state.value if run else "planned"))
    return found


def _forecast(campaign: Campaign, occurrence: Occurrence, state: str) -> Forecast:
    assert campaign.schedule is not None  # noqa: S101 – an agenda has none without
    return Forecast(
        at=occurrence.at,
        timezone=campaign.schedule.timezone,
        run=occurrence_name(campaign, occurrence.local),
        file=str(campaign.file),
        state=state,
    )


@asynccontextmanager
async def _existing(path: Path) -> AsyncIterator[Ledger | None]:
    """The ledger, if there is one: looking makes none."""
    if not path.exists():  # noqa: ASYNC240 – one look, before anything waits
        yield None
        return
    async with open_ledger(path) as ledger:
        yield ledger
