"""What a scheduler would send next, and how it stands with what is due already."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from campaigns.model import Campaign
from campaigns.timetable import Occurrence, following
from sender.agenda import Agenda, unfinished
from sender.ledger import Ledger, open_ledger
from sender.ledger.lock import holder
from sender.naming import occurrence_name
from sender.outcome import RunState

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
    campaigns = [campaign for campaign, _ in agenda.campaigns]
    async with _existing(ledger) as opened:
        states = await _states(opened, ledger) if opened else {}
        begun = await unfinished(campaigns, opened) if opened else []
    for sending in {each.run: each for each in [*begun, *agenda.due(now)]}.values():
        if sending.run in states or not sending.is_forgotten:
            state = states.get(sending.run, "missed" if sending.missed else "due")
            found.append(_forecast(sending.campaign, sending.occurrence, state))
    for campaign in campaigns:
        found += _next(campaign, states, now)
    return sorted(found, key=lambda each: (each.at, each.run))


async def _states(ledger: Ledger, path: Path) -> dict[str, str]:
    """The state of each run, by its name; what a sender that died has left behind is interrupted."""
    found: dict[str, str] = {}
    for run in await ledger.runs():
        has_died = run.state in (RunState.RUNNING, RunState.SCHEDULED) and not holder(path, run.name)
        found[run.name] = RunState.INTERRUPTED if has_died else run.state
    return {name: state for name, state in found.items() if state is not RunState.PLANNING}


def _next(campaign: Campaign, states: Mapping[str, str], now: datetime) -> list[Forecast]:
    assert campaign.schedule is not None  # noqa: S101 – an agenda has none without
    coming = islice(following(campaign.schedule, now), NEXT)
    in_time = [each for each in coming if campaign.deadline is None or each.at < campaign.deadline]
    return [_forecast(campaign, each, states.get(occurrence_name(campaign, each.local), "planned")) for each in in_time]


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
