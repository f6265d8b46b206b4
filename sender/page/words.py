"""Numbers, times and texts of others as the page shows them."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

MARK = "\N{REPLACEMENT CHARACTER}"
UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def number(value: int) -> str:
    """`1,234,567`."""
    return f"{value:,}"


def legible(text: str) -> str:
    """A text on one line, with a mark instead of every character that shows nothing, or changes how others show.

    Control characters are not allowed in HTML, half surrogates not in UTF-8, and direction marks turn names around.
    """
    return "".join(" " if each.isspace() else MARK if unicodedata.category(each)[0] == "C" else each for each in text)


def either(names: Sequence[str]) -> str:
    """`unknown, rejected or not_found`."""
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def moment(seconds: float) -> str:
    """`22 Nov 2026, 11:29:47 CET (UTC+01:00)`, in this machine's time zone."""
    local = datetime.fromtimestamp(seconds).astimezone()
    offset = f"{local:%z}"
    zone = f"UTC{offset[:3]}:{offset[3:5]}" if local.utcoffset() else "UTC"
    name = legible(local.tzname() or "")
    named = f"{name} ({zone})" if name and name != zone and name[0].isalpha() else zone
    return f"{local.day} {local:%b %Y, %H:%M:%S} {named}"


def period(seconds: float) -> str:
    """A nice length of time: `0.5 s`, `5 min`, `1 h`."""
    if seconds < 1:
        return f"{seconds:g} s"
    for unit_seconds, unit in UNITS:
        if seconds >= unit_seconds and (seconds / unit_seconds).is_integer():
            return f"{seconds / unit_seconds:g} {unit}"
    return f"{seconds:.1f} s"


def roughly(seconds: float) -> str:
    """A length of time by its two largest units: `3 d 4 h`, `2 h 5 min`, `12 s`, `5.1 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = round(seconds)
    parts: list[str] = []
    for unit_seconds, unit in UNITS:
        count, left = divmod(left, unit_seconds)
        if count or parts:
            parts.append(f"{count} {unit}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def latency(seconds: float) -> str:
    """How long a call took: `84 ms`, `1.23 s`, `45.2 s`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
