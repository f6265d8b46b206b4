"""When a campaign is due, and in which hours it may send, across the days on which clocks jump."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.clocks import local_time, moment
from campaigns.model import Schedule, Window
from campaigns.timetable import Occurrence, following, is_occurrence, latest, span

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"
ZONES = st.sampled_from(
    [PARIS, NEW_YORK, "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "Asia/Kolkata", "UTC"]
)
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def cron(line: str, timezone: str = PARIS) -> Schedule:
    return Schedule.model_validate({"cron": line, "timezone": timezone})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def times(found: Iterable[Occurrence], count: int) -> list[tuple[str, str]]:
    return [(f"{each.local:%d %H:%M}", f"{each.at:%d %H:%M}") for each in islice(found, count)]


def test_a_cron_line_is_read_on_the_clocks_of_its_zone() -> None:
    monday_at_nine = cron("0 9 * * MON")
    assert times(following(monday_at_nine, utc("2026-11-22 12:00")), 2) == [
        ("23 09:00", "23 08:00"),
        ("30 09:00", "30 08:00"),
    ]
    assert latest(monday_at_nine, utc("2026-11-23 08:00")) == Occurrence(
        local=local("2026-11-23 09:00"), at=utc("2026-11-23 08:00")
    )
    assert latest(monday_at_nine, utc("2026-11-23 07:59:59")) == Occurrence(
        local=local("2026-11-16 09:00"), at=utc("2026-11-16 08:00")
    )


@pytest.mark.parametrize(
    ("timezone", "day", "before", "fires"),
    [(PARIS, "2026-03-29", "2026-03-28 12:00", "29 01:00"), (NEW_YORK, "2026-03-08", "2026-03-07 12:00", "08 07:00")],
)
@pytest.mark.parametrize("line", ["30 2 * * *", "*/30 2 * * *"])
def test_a_time_that_the_spring_change_leaves_out_fires_once_when_the_clocks_go_on(
    line: str, timezone: str, day: str, before: str, fires: str
) -> None:
    found = [
        each for each in islice(following(cron(line, timezone), utc(before)), 4) if f"{each.local:%Y-%m-%d}" == day
    ]
    assert {f"{each.at:%d %H:%M}" for each in found} == {fires}
    last = latest(cron(line, timezone), found[0].at)
    assert last is not None
    assert f"{last.local:%Y-%m-%d %H:%M}" == f"{day} 02:30"


@pytest.mark.parametrize(
    ("timezone", "day", "before", "fires"),
    [(PARIS, "2026-10-25", "2026-10-24 12:00", "25 00:30"), (NEW_YORK, "2026-11-01", "2026-10-31 12:00", "01 05:30")],
)
@pytest.mark.parametrize("fields", ["30 {} * * *", "30-59/30 {} * * *"])
def test_a_time_that_the_autumn_change_shows_twice_fires_once_the_first_time(
    fields: str, timezone: str, day: str, before: str, fires: str
) -> None:
    schedule = cron(fields.format(2 if timezone == PARIS else 1), timezone)
    found = [each for each in islice(following(schedule, utc(before)), 3) if f"{each.local:%Y-%m-%d}" == day]
    assert [f"{each.at:%d %H:%M}" for each in found] == [fires]
    an_hour_later = found[0].at + timedelta(hours=1)
    assert latest(schedule, an_hour_later) == found[0]
    assert latest(schedule, an_hour_later - timedelta(minutes=15)) == found[0]


def test_a_single_date_is_the_only_occurrence() -> None:
    schedule = Schedule.model_validate({"at": "2026-03-29 02:30", "timezone": PARIS})
    [only] = following(schedule, utc("2026-01-01 00:00"))
    assert only.at == utc("2026-03-29 01:00")
    assert latest(schedule, only.at) == only
    assert latest(schedule, only.at - timedelta(seconds=1)) is None
    assert list(following(schedule, only.at)) == []


@pytest.mark.parametrize("at", ["0001-01-01 00:00", "9999-12-31 23:00", "2026-02-29 09:00"])
def test_a_date_that_no_clock_or_no_datetime_shows_is_refused_with_its_file(at: str) -> None:
    with pytest.raises(ValueError, match="is not a date and time; accepted is a real one"):
        Schedule.model_validate({"at": at, "timezone": NEW_YORK})
    assert list(following(Schedule.model_validate({"at": "9998-12-31 23:59", "timezone": NEW_YORK}), utc("2026-01-01")))


def test_a_time_that_is_no_occurrence_is_known() -> None:
    assert is_occurrence(cron("0 9 * * MON"), local("2026-11-23 09:00"))
    assert not is_occurrence(cron("0 9 * * MON"), local("2026-11-24 09:00"))
    assert not is_occurrence(cron("0 9 * * MON"), local("2026-11-23 09:00:30"))


@given(local=st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1)), timezone=ZONES)  # noqa: DTZ001
def test_the_moment_of_a_time_that_clocks_show_is_when_they_first_show_it(local: datetime, timezone: str) -> None:
    found = moment(local, timezone)
    shown = local_time(found, timezone)
    assert shown >= local
    if shown == local:
        assert found.astimezone(ZoneInfo(timezone)).fold == 0
    else:  # it was left out: the moment before, the clocks showed an earlier time
        assert local_time(found - timedelta(seconds=1), timezone) < local


@settings(deadline=None)
@given(
    now=MOMENTS,
    timezone=ZONES,
    line=st.sampled_from(["0 9 * * MON", "*/20 * * * *", "30 1,2,3 * * *", "15 2 28-31 * *"]),
)
def test_occurrences_never_go_back_and_the_latest_is_the_one_before_the_next(
    now: datetime, timezone: str, line: str
) -> None:
    schedule = cron(line, timezone)
    found = list(islice(following(schedule, now), 8))
    assert all(each.at > now for each in found)
    assert all(one.at <= other.at and one.local < other.local for one, other in pairwise(found))
    before = latest(schedule, now)
    assert before is not None
    assert before.at <= now
    assert next(following(schedule, before.at)).at == found[0].at


def opening(hours: Window, now: datetime) -> datetime | None:
    """When it opens; None when it is open."""
    found = span(hours, now)
    return None if found.is_open else found.until


def window(**keys: Any) -> Window:
    return Window.model_validate({"from": "09:00", "to": "20:00", "timezone": PARIS, **keys})


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-23 07:59:59", "2026-11-23 08:00"),
        ("2026-11-23 08:00:00", None),
        ("2026-11-23 18:59:59", None),
        ("2026-11-23 19:00:00", "2026-11-24 08:00"),
        ("2026-11-28 12:00:00", "2026-11-30 08:00"),  # a Saturday
    ],
)
def test_a_window_is_open_from_its_first_second_to_the_one_before_its_end(now: str, opens: str | None) -> None:
    found = opening(window(days=["mon", "tue", "wed", "thu", "fri"]), utc(now))
    assert found == (utc(opens) if opens else None)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = window(days="fri", **{"from": "22:00", "to": "02:00"})
    assert opening(night, utc("2026-11-27 21:00")) is None
    assert opening(night, utc("2026-11-28 00:59:59")) is None
    assert opening(night, utc("2026-11-28 01:00")) == utc("2026-12-04 21:00")
    assert opening(night, utc("2026-11-27 00:30")) == utc("2026-11-27 21:00")


def test_a_window_may_last_a_whole_day() -> None:
    sunday = window(days="sun", **{"from": "00:00", "to": "24:00"})
    assert opening(sunday, utc("2026-11-22 22:59")) is None
    assert opening(sunday, utc("2026-11-22 23:00")) == utc("2026-11-28 23:00")


def test_a_window_of_an_hour_that_is_left_out_does_not_open_that_day() -> None:
    early = window(**{"from": "02:00", "to": "03:00"})
    assert opening(early, utc("2026-03-29 00:30")) == utc("2026-03-30 00:00")


@settings(deadline=None)
@given(
    now=MOMENTS,
    timezone=ZONES,
    begin=st.integers(0, 23),
    end=st.integers(0, 23),
    days=st.sets(st.sampled_from(["mon", "tue", "wed", "sun"]), min_size=1),
)
def test_a_window_stays_as_it_is_until_the_moment_that_it_says_and_a_closed_one_opens_then(
    now: datetime, timezone: str, begin: int, end: int, days: set[str]
) -> None:
    hours = window(**{"from": f"{begin:02}:00", "to": f"{end:02}:00"}, days=sorted(days), timezone=timezone)
    found = span(hours, now)
    assert found.until > now
    assert span(hours, found.until - timedelta(seconds=1)).is_open is found.is_open
    after = span(hours, found.until)
    assert after.is_open or found.is_open  # one day's window may begin as the last one's ends
