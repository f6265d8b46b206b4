"""Time as the chart shows it, pure: stretches in which a sender worked, cut into buckets, idle time left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

from campaigns.model import Rate
from sender.ledger import Bucket, Command, Span, StoredSession
from sender.outcome import Lever

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NICE_SECONDS = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY),
)
MOST_BUCKETS = 96
MOST_STRETCHES = 8
IDLE_SHARE = 0.25  # of the time worked: longer gaps between sessions are left out


@dataclass(frozen=True, kw_only=True)
class Step:
    """A time in which one rate was asked for."""

    start: float
    end: float
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The time of a run.

    stretches       times that are shown whole, with idle time between them
    bucket_seconds  the length of a bucket
    steps           the rates that were asked for, in order
    held            times in which an operator kept the run paused
    """

    stretches: tuple[Span, ...]
    bucket_seconds: float
    steps: tuple[Step, ...]
    held: tuple[Span, ...]

    def places(self, stretch: int) -> int:
        """The number of buckets of a stretch."""
        span = self.stretches[stretch]
        return max(1, ceil((span.end - span.start) / self.bucket_seconds - 1e-9))

    @property
    def idle_seconds(self) -> list[float]:
        """The times that are left out."""
        return [after.start - before.end for before, after in pairwise(self.stretches)]


def folded(timeline: Timeline, buckets: Iterable[Bucket]) -> list[Bucket]:
    """The buckets with those behind the end of their stretch, as a clock set back leaves them, added to its last."""
    sums: dict[tuple[int, int], Bucket] = {}
    for bucket in buckets:
        key = bucket.stretch, min(bucket.place, timeline.places(bucket.stretch) - 1)
        before = sums.get(key)
        sums[key] = Bucket(
            stretch=key[0],
            place=key[1],
            calls=bucket.calls + (before.calls if before else 0),
            accepted=bucket.accepted + (before.accepted if before else 0),
            rate_limited=bucket.rate_limited + (before.rate_limited if before else 0),
        )
    return list(sums.values())


def make_timeline(sessions: Sequence[StoredSession], commands: Iterable[Command], *, now: float) -> Timeline:
    """The timeline of these sessions, the last of which, if it is open, lasts until `now`."""
    spans = [Span(start=one.started_at, end=_end(one, now)) for one in sessions]
    levers = [command for command in commands if command.obeyed_at is not None]
    steps = tuple(step for one, span in zip(sessions, spans, strict=True) for step in _steps(one.rate, span, levers))
    stretches = tuple(_stretches(spans))
    active = sum(span.end - span.start for span in stretches)
    fastest = max((step.rate.per_second for step in steps), default=None)
    return Timeline(
        stretches=stretches,
        bucket_seconds=bucket_seconds(active, fastest),
        steps=steps,
        held=tuple(_held(levers, now)),
    )


def bucket_seconds(active: float, fastest: float | None) -> float:
    """The shortest nice length that makes no more than some 96 buckets, each with room for one call at that rate."""
    shortest = max(active / MOST_BUCKETS, 1 / fastest if fastest else 0.0)
    return next((seconds for seconds in NICE_SECONDS if seconds >= shortest * (1 - 1e-9)), NICE_SECONDS[-1])


def _end(session: StoredSession, now: float) -> float:
    end = now if session.is_open else session.ended_at
    return max(session.started_at, end if end is not None else session.started_at)


def _stretches(spans: Sequence[Span]) -> list[Span]:
    """The spans, joined where the idle time between them is short or there are too many of them."""
    if not spans:
        return []
    active = sum(span.end - span.start for span in spans)
    gaps = [(after.start - before.end, place) for place, (before, after) in enumerate(pairwise(spans), 1)]
    long = sorted((gap for gap in gaps if gap[0] > active * IDLE_SHARE), reverse=True)[: MOST_STRETCHES - 1]
    cuts = [0, *sorted(place for _, place in long), len(spans)]
    return [Span(start=spans[first].start, end=spans[last - 1].end) for first, last in pairwise(cuts)]


def _steps(rate: str | None, span: Span, levers: Iterable[Command]) -> list[Step]:
    """The rates of one session: the one it began with, then what operators asked for while it lasted."""
    changes = [(span.start, Rate.parse(rate))] if rate else []
    changes += [
        (lever.obeyed_at, Rate.parse(lever.argument))
        for lever in levers
        if lever.lever is Lever.RATE and lever.obeyed_at is not None and span.start < lever.obeyed_at < span.end
    ]
    ends = [*(start for start, _ in changes[1:]), span.end]
    return [Step(start=start, end=end, rate=each) for (start, each), end in zip(changes, ends, strict=False)]


def _held(levers: Iterable[Command], now: float) -> list[Span]:
    held: list[Span] = []
    since: float | None = None
    for lever in levers:
        if lever.lever is Lever.PAUSE:
            since = since if since is not None else lever.obeyed_at
        elif lever.lever in (Lever.RESUME, Lever.CANCEL) and since is not None and lever.obeyed_at is not None:
            held.append(Span(start=since, end=lever.obeyed_at))
            since = None
    return held if since is None else [*held, Span(start=since, end=max(since, now))]
