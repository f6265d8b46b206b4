"""The chart of calls over time as geometry, pure: every length is in units of the SVG's view box."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from math import floor, log10

from sender.ledger import Bucket, Span
from sender.page.axis import Tick, spaced, time_ticks
from sender.page.timeline import Timeline
from sender.page.words import number, period

BREAK = 22.0
WIDEST_BAR = 160.0  # a run of one call is no wall
LOWEST = 1.5  # of a part of a bar
DATE_LINE = 16.0
CLOSE = 2.0
WORDS = {"accepted": "accepted", "limited": "answered with 429", "refused": "not accepted"}
TOO_HIGH = 4  # times the highest bar: a rate above that would flatten the bars, and is told in words


@dataclass(frozen=True, kw_only=True)
class Size:
    """A view box, and the room in it beside the plot."""

    width: float
    height: float
    left: float = 46.0
    right: float = 14.0
    top: float = 40.0
    bottom: float = 44.0


WIDE = Size(width=920.0, height=310.0)
NARROW = Size(width=360.0, height=260.0, left=40.0, right=8.0)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A part of a bar: what kind of call it counts, where it is, and what it tells when it is pointed at."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Band:
    """A time in which nothing was to be sent, and why."""

    kind: str
    x: float
    width: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A level from `x1` to `x2`; the label is empty where there is no room for it."""

    x1: float
    x2: float
    y: float
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Everything that is drawn."""

    size: Size
    bars: tuple[Bar, ...]
    bands: tuple[Band, ...]
    rates: tuple[Line, ...]
    levels: tuple[Line, ...]
    ticks: tuple[Tick, ...]
    breaks: tuple[float, ...]

    @property
    def height(self) -> float:
        """The height that is used: without dates the last line is free."""
        return self.size.height - (0.0 if any(tick.day for tick in self.ticks) else DATE_LINE)


class _Scale:
    """Moments and numbers of calls -> places in the view box."""

    def __init__(self, timeline: Timeline, size: Size, top: int) -> None:
        self.size, self._timeline, self.top = size, timeline, top
        counts = [timeline.places(stretch) for stretch in range(len(timeline.stretches))]
        plot = size.width - size.left - size.right - BREAK * (len(counts) - 1)
        self.bucket = plot / sum(counts)
        self._starts = [size.left + BREAK * k + self.bucket * sum(counts[:k]) for k in range(len(counts))]
        self._ends = [start + self.bucket * count for start, count in zip(self._starts, counts, strict=True)]

    @property
    def floor(self) -> float:
        return self.size.height - self.size.bottom

    def y(self, calls: float) -> float:
        return round(self.floor - calls / self.top * (self.floor - self.size.top), 2)

    def x(self, stretch: int, moment: float) -> float:
        since = (moment - self._timeline.stretches[stretch].start) / self._timeline.bucket_seconds
        return round(min(max(self._starts[stretch] + since * self.bucket, self._starts[stretch]), self.end(stretch)), 2)

    def end(self, stretch: int) -> float:
        return round(self._ends[stretch], 2)

    def clipped(self, span: Span) -> Iterable[tuple[float, float]]:
        """The parts of a time that are shown, from x to x."""
        for stretch, shown in enumerate(self._timeline.stretches):
            if span.start < shown.end and span.end > shown.start:
                x1, x2 = self.x(stretch, max(span.start, shown.start)), self.x(stretch, min(span.end, shown.end))
                if x2 > x1:
                    yield x1, x2


def level(timeline: Timeline, per_second: float) -> float:
    """The calls of one bucket at that rate."""
    return per_second * timeline.bucket_seconds


def too_high(timeline: Timeline, buckets: Iterable[Bucket]) -> list[str]:
    """The rates that are far above every bar, as people write them."""
    highest = max((bucket.calls for bucket in buckets), default=1)
    rates = {str(step.rate): level(timeline, step.rate.per_second) for step in timeline.steps}
    return [rate for rate, calls in rates.items() if calls > TOO_HIGH * highest]


def make_chart(timeline: Timeline, buckets: Sequence[Bucket], waits: Iterable[Span], size: Size) -> Chart:
    """The chart of a run that has made calls."""
    outside = too_high(timeline, buckets)
    asked = [level(timeline, step.rate.per_second) for step in timeline.steps if str(step.rate) not in outside]
    ticks = nice_levels(max([*asked, *(bucket.calls for bucket in buckets)]))
    scale = _Scale(timeline, size, ticks[-1])
    held = [_band("held", "paused by an operator", x1, x2) for span in timeline.held for x1, x2 in scale.clipped(span)]
    limited = [_band("wait", "waiting after HTTP 429", x1, x2) for span in waits for x1, x2 in scale.clipped(span)]
    return Chart(
        size=size,
        bars=tuple(bar for bucket in buckets for bar in _bars(bucket, timeline, scale)),
        bands=(*held, *limited),
        rates=tuple(_rates(timeline, scale, outside)),
        levels=tuple(
            Line(x1=size.left, x2=size.width - size.right, y=scale.y(calls), label=number(calls)) for calls in ticks
        ),
        ticks=tuple(_ticks(timeline, scale)),
        breaks=tuple(scale.end(stretch) + BREAK / 2 for stretch in range(len(timeline.stretches) - 1)),
    )


def nice_levels(highest: float) -> list[int]:
    """Whole numbers of calls from 0 to at least the highest, in even steps of 1, 2 or 5 times a power of ten."""
    rough = max(1.0, highest / 4)
    power = 10 ** floor(log10(rough))
    step = next(int(factor * power) for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    levels = [0]
    while levels[-1] < highest * (1 - 1e-9):
        levels.append(levels[-1] + step)
    return levels


def _bars(bucket: Bucket, timeline: Timeline, scale: _Scale) -> Iterable[Bar]:
    """The parts of a bucket's bar, from its top down: a refused call among a thousand accepted ones is to be seen."""
    left = scale.x(bucket.stretch, timeline.stretches[bucket.stretch].start + bucket.place * timeline.bucket_seconds)
    counts = {
        "refused": bucket.calls - bucket.accepted - bucket.rate_limited,
        "limited": bucket.rate_limited,
        "accepted": bucket.accepted,
    }
    told = ", ".join(f"{number(count)} {WORDS[kind]}" for kind, count in reversed(counts.items()) if count)
    shown = [kind for kind, count in counts.items() if count]
    y = min(scale.y(bucket.calls), scale.floor - LOWEST * len(shown))
    for kind in shown:
        share = scale.floor - y if kind == shown[-1] else max(LOWEST, scale.floor - scale.y(counts[kind]))
        yield Bar(
            kind=kind,
            x=round(left + min(1.0, scale.bucket / 8), 2),
            y=round(y, 2),
            width=round(min(WIDEST_BAR, scale.bucket - min(2.0, scale.bucket / 4)), 2),
            height=round(share, 2),
            title=f"{told} in {period(timeline.bucket_seconds)}",
        )
        y += share


def _ticks(timeline: Timeline, scale: _Scale) -> list[Tick]:
    is_only = len(timeline.stretches) == 1
    ticks = [
        time_ticks(span, partial(scale.x, stretch), is_only=is_only) for stretch, span in enumerate(timeline.stretches)
    ]
    return spaced(ticks, [timeline.places(stretch) for stretch in range(len(timeline.stretches))])


def _rates(timeline: Timeline, scale: _Scale, outside: Sequence[str]) -> Iterable[Line]:
    """The rates asked for; what one rate makes of sessions that follow close on each other is one line."""
    lines: list[tuple[str, float, float, float]] = []
    for step in timeline.steps:
        rate, y = str(step.rate), scale.y(level(timeline, step.rate.per_second))
        for x1, x2 in scale.clipped(Span(start=step.start, end=step.end)) if rate not in outside else ():
            if lines and lines[-1][0] == rate and x1 - lines[-1][2] < CLOSE:
                x1 = lines.pop()[1]
            lines.append((rate, x1, x2, y))
    last, room = "", 0.0
    for rate, x1, x2, y in lines:
        label = rate if rate != last and x1 >= room else ""
        last, room = rate, x1 + 7.0 * len(rate) + 12 if label else room
        yield Line(x1=x1, x2=x2, y=y, label=label)


def _band(kind: str, title: str, x1: float, x2: float) -> Band:
    return Band(kind=kind, x=x1, width=round(x2 - x1, 2), title=title)
