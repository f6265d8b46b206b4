"""How a sandbox behaves when nothing goes wrong, and how durations are written."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from sender.sandbox.limits import Limit, LimiterKind, limiter

ReplyStyle = Literal["batch", "no-names", "text", "empty"]
RetryAfterStyle = Literal["seconds", "date", "none"]
Plan = Literal["pro", "trial", "free"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s)?")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What stays as it is while a sandbox lives; a value that does not fit is a ValueError."""

    token: str
    """The bearer token that is right."""
    plan: Plan = "pro"
    """On `free` every call is refused with 403."""
    rate_limit: str | None = None
    """`20/s`, `120/min`, `500/h`; None for no limit."""
    limiter: LimiterKind = "sliding"
    """Which kind of limiter holds the rate."""
    burst: int | None = None
    """How many tokens a token bucket holds; None for as many as the limit."""
    retry_after: RetryAfterStyle = "seconds"
    """How the limiter's 429 says when to come back."""
    reply: ReplyStyle = "batch"
    """What POST /messages answers: 202 with a batch task, the same without names, 200 `OK`, or 204."""
    unknown_contacts: frozenset[str] = frozenset()
    """Identifiers that are not found: `ann` or `username:ann`. So is every name that starts with `nobody`."""
    poison: frozenset[str] = frozenset()
    """Identifiers that make the whole call be refused with 422, unnamed."""
    text_field: str = "text"
    """The field that carries the words of a text message."""
    clock_skew_seconds: float = 0.0
    """How far this server's clock runs ahead, in `Date` and in the dates of Retry-After."""
    keep_requests: int = 10_000
    """How many requests the recorder keeps; older ones are dropped."""
    seed: int | str | None = None
    """Seed of the dice; None throws others each time."""

    def __post_init__(self) -> None:
        for value, kind in (
            (self.plan, Plan), (self.retry_after, RetryAfterStyle), (self.reply, ReplyStyle)
        ):  # fmt: skip
            if value not in get_args(kind):
                raise ValueError(f"{value!r} is not one of {', '.join(get_args(kind))}")
        limiter(self.limiter, self.limit or Limit(count=1, period_seconds=1))

    @property
    def limit(self) -> Limit | None:
        """The rate limit as a value."""
        return Limit.parse(self.rate_limit) if self.rate_limit else None


def holds(names: frozenset[str], kind: str, identifier: str) -> bool:
    """Whether `names` has this identifier, with or without its kind, in capitals or not."""
    return identifier.lower() in names or f"{kind}:{identifier.lower()}" in names


@lru_cache
def span(latency: str | float) -> tuple[float, float]:
    """The least and the most seconds of `0.05`, `50ms`, `1.5s` or `10ms-80ms`; otherwise a ValueError."""
    low, _, high = str(latency).partition("-")
    least = _seconds(low, latency)
    most = _seconds(high, latency) if high else least
    if most < least:
        raise ValueError(f"latency {latency!r} ends before it begins")
    return least, most


def _seconds(text: str, latency: str | float) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"latency {latency!r} is not of the form 50ms, 1.5s or 10ms-80ms")
    return float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
