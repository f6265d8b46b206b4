"""The names of runs: the campaign's own, an occurrence's, and those of `--only-new`."""

from datetime import UTC, datetime
from itertools import islice
from typing import NoReturn

from campaigns.model import Campaign
from campaigns.timetable import following, is_occurrence, latest
from sender.errors import InputError
from sender.ledger import Ledger, Run
from sender.outcome import RunState

WHEN = "%Y-%m-%dT%H:%M"


def run_name(campaign: Campaign, *, run: str | None, occurrence: datetime | None) -> str:
    """The run that a `send` means: the one that it names, the occurrence's, or the campaign's only one.

    Raises InputError when a recurring campaign is not told which occurrence is meant, or one that there is not.
    """
    schedule = campaign.schedule
    if run and occurrence:
        raise InputError("--run and --occurrence both name the run: give one of them; nothing was sent")
    if schedule is None or schedule.cron is None:
        if occurrence:
            raise InputError("--occurrence goes with schedule.cron, and this campaign is sent once")
        return run or campaign.campaign
    if run or occurrence is None:
        return run or _refuse(campaign, "which occurrence this is has to be said")
    if not is_occurrence(schedule, occurrence):
        _refuse(campaign, f"{occurrence:{WHEN}} is no occurrence of '{schedule.cron}'")
    return occurrence_name(campaign, occurrence)


def occurrence_name(campaign: Campaign, local: datetime) -> str:
    """The run of an occurrence: a one-shot's is the campaign's own, so that another time makes no second run."""
    if campaign.schedule is None or campaign.schedule.cron is None:
        return campaign.campaign
    return f"{campaign.campaign}@{local:{WHEN}}"


def occurrence_of(campaign: Campaign, run: str) -> datetime | None:
    """The local time of the occurrence whose run has that name; None for any other run."""
    name, _, when = run.rpartition("@")
    try:
        local = datetime.strptime(when, WHEN)  # noqa: DTZ007 – on the schedule's clocks
    except ValueError:
        return None
    return local if name == campaign.campaign else None


def _refuse(campaign: Campaign, why: str) -> NoReturn:
    assert campaign.schedule is not None  # noqa: S101 – only a recurring campaign's occurrences are refused
    now = datetime.now(UTC)
    last = latest(campaign.schedule, now)
    times = [f"next {each.local:{WHEN}}" for each in islice(following(campaign.schedule, now), 1)]
    times = [f"last {last.local:{WHEN}}", *times] if last else times
    raise InputError(
        f"{why}: add --occurrence WHEN ({', '.join(times)}), or --run NAME; nothing was sent",
        place=campaign.place("schedule", "cron"),
    )


async def name_of_new(campaign: Campaign, origin: str, ledger: Ledger) -> str:
    """The name of an `--only-new` run: an unfinished one goes on, else the next free of `NAME+2`, `NAME+3`, …"""
    base = campaign.campaign
    runs = [run for run in await ledger.runs() if run.campaign == base and _is_sealed(run)]
    if not any((run.origin, run.account) == (origin, campaign.account) for run in runs):
        return base
    numbers = {int(run.name.removeprefix(f"{base}+")): run for run in runs if _is_numbered(run.name, base)}
    newest = max(numbers, default=1)
    if newest in numbers and numbers[newest].state not in (RunState.COMPLETED, RunState.CANCELLED):
        return numbers[newest].name
    return f"{base}+{newest + 1}"


def _is_numbered(name: str, base: str) -> bool:
    return name.startswith(f"{base}+") and name.removeprefix(f"{base}+").isdecimal()


def _is_sealed(run: Run) -> bool:
    return run.state is not RunState.PLANNING
