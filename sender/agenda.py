"""Campaign files with a schedule -> what is due, and what comes next. Files that change, come and go are noticed."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaigns.clocks import moment
from campaigns.errors import CampaignError
from campaigns.loading import load_campaign
from campaigns.model import Campaign, Misfire
from campaigns.model.quantities import format_duration
from campaigns.timetable import Occurrence, latest
from sender.errors import InputError
from sender.ledger import Ledger
from sender.naming import occurrence_name, occurrence_of
from sender.outcome import RunState

SUFFIXES = (".yaml", ".yml")
NOT_BEGUN_OR_OVER = (RunState.PLANNING, RunState.COMPLETED, RunState.CANCELLED, RunState.STOPPED)


@dataclass(frozen=True, kw_only=True)
class Sending:
    """One occurrence of a campaign, as a run.

    missed         why it is not begun any more; empty when it may be
    is_forgotten   missed, and older than its file: nobody's, not even a run that is cancelled
    """

    campaign: Campaign
    run: str
    occurrence: Occurrence
    missed: str = ""
    is_forgotten: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A campaign file as it was last read: the campaign, or what is wrong with it."""

    stamp: tuple[int, int, int]
    written_at: datetime
    campaign: Campaign | None = None
    problems: tuple[str, ...] = ()


def due(campaign: Campaign, *, written_at: datetime, now: datetime) -> Sending | None:
    """The occurrence that stands for all up to now; None when there is none.

    The latest stands for those before it, so that a machine that slept for a week sends once. An occurrence of long
    ago is nobody's when its file is newer: whoever writes `cron: 0 9 * * MON` on a Wednesday means the next Monday.
    """
    schedule, misfire = campaign.schedule, campaign.misfire or Misfire()
    occurrence = latest(schedule, _in_time(campaign, now)) if schedule else None
    if schedule is None or occurrence is None:
        return None
    late = now - occurrence.at
    is_missed = late > timedelta(seconds=misfire.grace_seconds)
    missed = ""
    if campaign.deadline and now >= campaign.deadline:
        missed = f"not_after, {campaign.not_after:%Y-%m-%d %H:%M}"
    elif is_missed and misfire.policy == "skip":
        was_due = f"{occurrence.local:%Y-%m-%d %H:%M} {schedule.timezone}"
        lateness = format_duration(float(int(late.total_seconds())))
        missed = f"misfire: due {was_due}, {lateness} late, grace {format_duration(misfire.grace_seconds)}"
    return Sending(
        campaign=campaign,
        run=occurrence_name(campaign, occurrence.local),
        occurrence=occurrence,
        missed=missed,
        is_forgotten=is_missed and schedule.cron is not None and occurrence.at < written_at,
    )


def _in_time(campaign: Campaign, now: datetime) -> datetime:
    """The moment, or the last one before `not_after`, which ends a cron."""
    if campaign.deadline is None or campaign.schedule is None or campaign.schedule.cron is None:
        return now
    return min(now, campaign.deadline - timedelta(microseconds=1))


async def unfinished(campaigns: Iterable[Campaign], ledger: Ledger) -> list[Sending]:
    """Occurrences of crons that have begun and are not over, also those that a later one has followed.

    The latest stands only for those that were never begun.
    """
    recurring = {each.campaign: each for each in campaigns if each.schedule and each.schedule.cron}
    found: list[Sending] = []
    for run in await ledger.runs():
        campaign = recurring.get(run.campaign)
        local = occurrence_of(campaign, run.name) if campaign else None
        if campaign and campaign.schedule and local and run.state not in NOT_BEGUN_OR_OVER:
            occurrence = Occurrence(local=local, at=moment(local, campaign.schedule.timezone))
            found.append(Sending(campaign=campaign, run=run.name, occurrence=occurrence))
    return found


class Agenda:
    """The campaign files in folders and by name; `refresh` looks what has become of them."""

    def __init__(self, paths: Iterable[Path], environ: Mapping[str, str]) -> None:
        self._paths = tuple(path.absolute() for path in paths)
        self._environ = environ
        self._entries: dict[Path, Entry] = {}
        self._unreadable: list[str] = []
        for path in self._paths:
            if not os.path.exists(path):  # noqa: PTH110 – Path.exists raises where a folder above is closed to us
                raise InputError(f"{path} is neither a folder nor a file, or closed to this user")

    def refresh(self) -> None:
        """Reads what is new or has changed, and forgets what is gone."""
        self._unreadable = []
        before, self._entries = self._entries, {}
        for path in dict.fromkeys(self._files()):
            entry = self._entry(path, before.get(path))
            if entry is not None:
                self._entries[path] = entry

    @property
    def campaigns(self) -> list[tuple[Campaign, Entry]]:
        """The campaigns that can be scheduled, in the order of their files. Of several with one name, none can."""
        found = [(entry.campaign, entry) for entry in self._entries.values() if entry.campaign]
        names = Counter(campaign.campaign for campaign, _ in found)
        return [(campaign, entry) for campaign, entry in found if names[campaign.campaign] == 1]

    @property
    def problems(self) -> list[str]:
        """What keeps files from being scheduled now."""
        files: dict[str, list[str]] = {}
        for entry in self._entries.values():
            if entry.campaign:
                files.setdefault(entry.campaign.campaign, []).append(str(entry.campaign.file))
        twice = [
            f"{' and '.join(names)} share the campaign name {name}: none of them is sent"
            for name, names in files.items()
            if len(names) > 1
        ]
        return [*self._unreadable, *(problem for entry in self._entries.values() for problem in entry.problems), *twice]

    def due(self, now: datetime) -> list[Sending]:
        """What is due, whether or not it was sent already."""
        found = (due(campaign, written_at=entry.written_at, now=now) for campaign, entry in self.campaigns)
        return [sending for sending in found if sending]

    def _files(self) -> Iterator[Path]:
        for path in self._paths:
            try:
                yield from _files_in(path) if path.is_dir() else [path]
            except OSError as error:
                self._unreadable.append(f"{path} can't be read: {(error.strerror or str(error)).lower()}")

    def _entry(self, path: Path, before: Entry | None) -> Entry | None:
        """The file's entry; None for one that is gone, or in a folder and has no schedule."""
        try:
            found = path.stat()
        except OSError:
            return None
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if before and before.stamp == stamp:
            return before
        written_at = datetime.fromtimestamp(found.st_mtime, UTC)
        try:
            campaign = load_campaign(path, self._environ)
        except CampaignError as error:
            return Entry(stamp=stamp, written_at=written_at, problems=tuple(map(str, error.problems)))
        if campaign.schedule is None:
            named = (f"{path.name} has no schedule: add one, or send it by hand",) if path in self._paths else ()
            return Entry(stamp=stamp, written_at=written_at, problems=named)
        return Entry(stamp=stamp, written_at=written_at, campaign=campaign)


def _files_in(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())
