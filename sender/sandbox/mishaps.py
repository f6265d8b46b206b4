"""The things that can go wrong with one call, each with a name.

The names stand in scripts and, with underscores, in the `rate_…` fields of Faults:

| name | what the client sees | accepted? |
|---|---|---|
| `ok` | the ordinary reply | yes |
| `429`, `503`, `425` | that status with `Retry-After` in seconds | no |
| `429-date`, `503-date` | the same with an HTTP date | no |
| `429-bare`, `503-bare` | the same without `Retry-After` | no |
| `500`, `500-before`, and any other 4xx or 5xx | that status | no |
| `500-after`, and any other 4xx or 5xx | that status | yes |
| `422-partial`, and any other 4xx or 5xx | that status, in a body that tells of acceptance | the first half |
| `reset-before` | the connection is reset before the body is read | no |
| `reset-after` | the connection is reset instead of the reply | yes |
| `hang-before` · `hang` | no answer, ever | no · yes |
| `cut` | the headers and half of the body | yes |
| `html` | a 200 with a web page, as from a hotel's portal | no |
| `redirect` | a 302 to another path of this server | no |
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Manner(StrEnum):
    """How a spoilt call ends."""

    REPLY = "reply"
    RESET = "reset"
    HANG = "hang"
    CUT = "cut"
    HTML = "html"
    REDIRECT = "redirect"


class RetryAfter(StrEnum):
    """How a reply says when to come back."""

    SECONDS = "seconds"
    DATE = "date"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Mishap:
    """One thing that goes wrong with one call."""

    name: str
    """As it is written in a script."""
    manner: Manner
    """What the client sees."""
    status: int = 0
    """The status of a reply."""
    accepts: bool = False
    """Whether the call is carried out all the same."""
    half: bool = False
    """Whether only the first half of the recipients is accepted."""
    early: bool = False
    """Whether it strikes before the body is read."""
    retry_after: RetryAfter = RetryAfter.NONE
    """How the reply says when to come back."""


_NAMED = {
    mishap.name: mishap
    for mishap in (
        Mishap(name="reset-before", manner=Manner.RESET, early=True),
        Mishap(name="reset-after", manner=Manner.RESET, accepts=True),
        Mishap(name="hang-before", manner=Manner.HANG),
        Mishap(name="hang", manner=Manner.HANG, accepts=True),
        Mishap(name="cut", manner=Manner.CUT, accepts=True),
        Mishap(name="html", manner=Manner.HTML),
        Mishap(name="redirect", manner=Manner.REDIRECT),
    )
}
_STATUS = re.compile(r"([45]\d\d)(?:-(before|after|bare|date|partial))?")


@lru_cache
def mishap(name: str) -> Mishap | None:
    """The mishap of that name, None for `ok`; ValueError for a name that is not in the table above."""
    if name == "ok":
        return None
    if name in _NAMED:
        return _NAMED[name]
    match = _STATUS.fullmatch(name)
    if match is None:
        raise ValueError(f"mishap {name!r} is not ok, {', '.join(_NAMED)} or a status such as 429, 500-after")
    status, how = int(match[1]), match[2]
    told = RetryAfter.SECONDS if status in (425, 429, 503) and how is None else RetryAfter.NONE
    return Mishap(
        name=name,
        manner=Manner.REPLY,
        status=status,
        accepts=how in ("after", "partial"),
        half=how == "partial",
        retry_after=RetryAfter.DATE if how == "date" else told,
    )
