"""When a campaign is sent: once or again and again, how late it may be, and in which hours."""

import re
from datetime import MAXYEAR, MINYEAR, datetime, time
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field, PlainValidator, field_validator, model_validator

from campaigns.model.fields import Frozen, OneOrMore, Text, as_text, nearest, shown
from campaigns.model.quantities import Seconds


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        meant = nearest(text, sorted(available_timezones()))
        hint = f"did you mean {meant}?" if meant else "accepted are names such as Europe/Paris or UTC"
        raise ValueError(f"{shown(text)} is not a time zone; {hint}") from None
    return text


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    form = r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ Tt]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?) ?(Z|[+-][0-9]{2}:[0-9]{2})?"
    found = re.fullmatch(form, as_text(value).strip())
    try:
        moment = datetime.fromisoformat("{}T{}{}".format(*found.groups(default="")) if found else "")
        if not MINYEAR < moment.year < MAXYEAR:  # in UTC it might be in a year that no datetime holds
            raise ValueError
        return moment
    except ValueError:
        raise ValueError(
            f"{shown(value)} is not a date and time; accepted is a real one, such as 2026-12-01 09:00"
        ) from None


def _clock(value: object) -> time:
    if isinstance(value, time):
        return value
    found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", as_text(value).strip())
    if not found:
        raise ValueError(f"{shown(value)} is not a time of day; accepted is 00:00 to 24:00, such as 09:00")
    return time(int(found[1] or 0), int(found[2] or 0))


def _cron(text: str) -> str:
    try:
        if len(text.split()) != 5:
            raise CronSimError("Wrong number of fields")
        next(CronSim(text, datetime(2000, 1, 1)))  # noqa: DTZ001 – only whether there is such a date at all
    except CronSimError as error:
        raise ValueError(
            f"{shown(text)} is not a cron line ({str(error).lower()}); accepted are minute, hour, day, month and "
            "weekday, such as '0 9 * * MON'"
        ) from None
    except StopIteration:
        raise ValueError(f"{shown(text)} names no date that ever comes; accepted is one that does") from None
    return text


TimeZone = Annotated[Text, AfterValidator(_timezone)]
Moment = Annotated[datetime, PlainValidator(_moment, json_schema_input_type=str)]
Clock = Annotated[time, PlainValidator(_clock, json_schema_input_type=str)]
Cron = Annotated[Text, AfterValidator(_cron)]


class Weekday(StrEnum):
    """A day of a sending window."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Schedule(Frozen):
    """When it is sent: once, or again and again."""

    at: Moment | None = None
    """The date and time of the one sending, on the clocks of `timezone`: 2026-12-01 09:00."""
    cron: Cron | None = None
    """Minute, hour, day, month and weekday of each sending: 0 9 * * MON."""
    timezone: TimeZone = Field(examples=["Europe/Paris"])
    """The IANA name of the time zone, such as Europe/Paris."""

    @field_validator("at")
    @classmethod
    def _without_offset(cls, at: datetime | None) -> datetime | None:
        if at and at.tzinfo:
            raise ValueError(f"'{at}' has an offset; accepted is a local time, since timezone stands beside it")
        return at

    @model_validator(mode="after")
    def _is_either_at_or_cron(self) -> Self:
        if (self.at is None) == (self.cron is None):
            found = "neither at nor cron is given" if self.at is None else "at and cron are given"
            raise ValueError(f"{found}; accepted is exactly one of them")
        return self


class Misfire(Frozen):
    """What happens to a sending whose time has passed unnoticed."""

    policy: Literal["skip", "send"] = "skip"
    """Whether to leave it out or to send it late."""
    grace_seconds: Seconds = Field(default=3600.0, alias="grace")
    """How late still counts as on time."""


class Window(Frozen):
    """The hours in which anything is sent at all; they may last over midnight."""

    days: OneOrMore[Weekday] = tuple(Weekday)
    """The days of the week on which they begin; all seven when left out."""
    from_: Clock = Field(alias="from", examples=["09:00"])
    """The time of day at which sending may begin."""
    to: Clock = Field(examples=["20:00"])
    """The time of day at which it ends; on the day after when it is not later than `from`."""
    timezone: TimeZone = Field(examples=["Europe/Paris"])
    """The IANA name of the time zone, such as Europe/Paris."""
