"""Numbers with a meaning: whole numbers in a range, durations in seconds, and rates."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, PlainSerializer, PlainValidator

from campaigns.model.fields import as_text, shown

UNIT_SECONDS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
LONGEST_SECONDS: Final = 366 * 86400


def parse_duration(value: object) -> float:
    """Seconds, more than 0, from a number or `30s`, `5m`, `2h`, `1h30m`; a ValueError for anything else."""
    text = as_text(value).strip().lower()
    number = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
    if re.fullmatch(number, text):
        seconds = float(text)
    elif re.fullmatch(rf"(?:{number} ?(?:min|[smhd]) ?)+", text):
        parts = re.findall(rf"({number}) ?(min|[smhd])", text)
        seconds = float(sum(Decimal(count) * UNIT_SECONDS[unit] for count, unit in parts))
    else:
        raise ValueError(f"{shown(value)} is not a duration; accepted are seconds, or 30s, 5m, 2h, 1h30m")
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"{shown(value)} is out of range; accepted is more than 0 and at most 366 days")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest form that `parse_duration` reads back as the same number: 5400 -> 1h30m, 0.5 -> 0.5s."""
    if seconds != int(seconds) or seconds < 1:
        return f"{Decimal(repr(seconds)):f}s"
    left, parts = int(seconds), []
    for unit in ("h", "m", "s"):
        count, left = divmod(left, UNIT_SECONDS[unit])
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So many in a period, and never more in any such period.

    >>> Rate.parse("300/5min")
    Rate(count=300, period_seconds=300.0)
    """

    count: int
    """How many: requests, or recipients."""
    period_seconds: float
    """The length of the period."""

    FORM: ClassVar[str] = r"^\s*([0-9]{1,9})\s*/\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)?\s*(s|sec|m|min|h|hour|d|day)\s*$"

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.period_seconds <= LONGEST_SECONDS:
            raise ValueError(f"{self} is out of range; accepted is at least 1, in a period of at most 366 days")

    def __str__(self) -> str:
        """The form in which people write it; `parse` reads it back as an equal rate."""
        for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
            periods = self.period_seconds / seconds
            if periods == int(periods) and periods >= 1:
                return f"{self.count}/{'' if periods == 1 else int(periods)}{unit}"
        return f"{self.count}/{Decimal(repr(self.period_seconds)):f}s"

    @property
    def per_second(self) -> float:
        """The mean number in a second."""
        return self.count / self.period_seconds

    @classmethod
    def parse(cls, value: object) -> Self:
        """The rate that is written as `2/s`, `120/min`, `500/h` or `300/5min`; or else a ValueError."""
        if isinstance(value, cls):
            return value
        found = re.fullmatch(cls.FORM, as_text(value).lower())
        if not found:
            raise ValueError(f"{shown(value)} is not a rate; accepted are 2/s, 120/min, 500/h, 300/5min")
        count, periods, unit = found.groups(default="1")
        seconds = float(Decimal(periods) * UNIT_SECONDS["min" if unit == "min" else unit[0]])
        return cls(count=int(count), period_seconds=seconds)


@dataclass(frozen=True, kw_only=True)
class MaxRejected:
    """How many recipients may be refused before a person has to look: whichever of the two is more."""

    count: int = 50
    """So many in any case."""
    share: float = 0.05
    """This share of those decided, from 0 to 1."""

    FORM: ClassVar[str] = r"^\s*[0-9]{1,9}\s*$|^\s*[0-9]{1,2}(\.[0-9]{1,3})?\s*%\s*$|^\s*100\s*%\s*$"

    @classmethod
    def parse(cls, value: object) -> Self:
        """What `200` or `5%` means; a ValueError for anything else. A share never stops before the 51st."""
        if isinstance(value, cls):
            return value
        text = as_text(value).strip()
        if not re.fullmatch(cls.FORM, text):
            raise ValueError(f"{shown(value)} is no such bound; accepted are a number, or a share such as 5%")
        if text.endswith("%"):
            return cls(share=float(text.removesuffix("%")) / 100)
        return cls(count=int(text), share=0.0)

    def __str__(self) -> str:
        """The form in which people write it; `parse` reads it back as an equal bound."""
        return f"{self.share * 100:g}%" if self.share else str(self.count)


def whole(low: int, high: int) -> PlainValidator:
    """A whole number from `low` to `high`, both included."""

    def parse(value: object) -> int:
        text = as_text(value)
        if not re.fullmatch(r"-?[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ValueError(f"found {shown(value)}; accepted is a whole number from {low:,} to {high:,}")
        return int(text)

    return PlainValidator(parse, json_schema_input_type=Annotated[int, Field(ge=low, le=high)])


Seconds = Annotated[float, PlainValidator(parse_duration, json_schema_input_type=float | str)]
MaxRejectedText = Annotated[
    MaxRejected,
    PlainValidator(
        MaxRejected.parse,
        json_schema_input_type=Annotated[str, Field(pattern=MaxRejected.FORM)] | Annotated[int, Field(ge=0)],
    ),
    PlainSerializer(str),
]
RateText = Annotated[
    Rate,
    PlainValidator(Rate.parse, json_schema_input_type=Annotated[str, Field(pattern=Rate.FORM)]),
    PlainSerializer(str),
]
