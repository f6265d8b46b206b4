"""When a campaign is due, and the hours in which it may send: pure functions of the campaign and a moment in UTC."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cronsim import CronSim

from campaigns.clocks import local_time, moment
from campaigns.model import Schedule, Weekday, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Some time in which a window is open, or closed, up to a moment in UTC."""

    is_open: bool
    until: datetime


# Clocks were never put back by more (Antarctica/Troll: 2 h): the hours that are looked at twice to miss nothing.
LONGEST_FOLD = timedelta(hours=3)
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrence:
    """One sending of a schedule.

    local   what the schedule's clocks show, without a zone: the name of the occurrence
    at      the moment, in UTC
    """

    local: datetime
    at: datetime


def following(schedule: Schedule, after: datetime) -> Iterator[Occurrence]:
    """The occurrences after that moment, the next first. A cron's never end, but for one that names no real date."""
    if schedule.cron is None:
        yield from (found for found in _once(schedule) if found.at > after)
        return
    for local in CronSim(schedule.cron, local_time(after, schedule.timezone) - LONGEST_FOLD):
        if (at := moment(local, schedule.timezone)) > after:
            yield Occurrence(local=local, at=at)


def latest(schedule: Schedule, now: datetime) -> Occurrence | None:
    """The last occurrence up to that moment, which stands for all that were missed before it."""
    if schedule.cron is None:
        return next((found for found in _once(schedule) if found.at <= now), None)
    for local in CronSim(schedule.cron, local_time(now, schedule.timezone) + LONGEST_FOLD, reverse=True):
        if (at := moment(local, schedule.timezone)) <= now:
            return Occurrence(local=local, at=at)
    return None


def is_occurrence(schedule: Schedule, local: datetime) -> bool:
    """Whether the schedule has an occurrence at that local time."""
    if schedule.cron is None:
        return schedule.at == local
    return next(CronSim(schedule.cron, local - timedelta(seconds=1)), None) == local


def span(window: Window, now: datetime) -> Span:
    """Whether the window is open at that moment, and until when that stays so."""
    spans = [(begin, end) for begin, end in _spans(window, now) if begin < end]
    for begin, end in spans:
        if begin <= now < end:
            return Span(is_open=True, until=end)
    return Span(is_open=False, until=min(begin for begin, _ in spans if begin > now))


def _once(schedule: Schedule) -> Iterator[Occurrence]:
    if schedule.at is not None:
        yield Occurrence(local=schedule.at, at=moment(schedule.at, schedule.timezone))


def _spans(window: Window, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end of the window's days around a moment; the longest wait for one of them is a week and a day."""
    today = local_time(now, window.timezone).date()
    over_midnight = DAY if window.to <= window.from_ else timedelta()
    for offset in range(-2, 16):
        date = today + offset * DAY
        if list(Weekday)[date.weekday()] in window.days:
            begin = datetime.combine(date, window.from_)
            end = datetime.combine(date, window.to) + over_midnight
            yield moment(begin, window.timezone), moment(end, window.timezone)
