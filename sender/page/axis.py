"""The marks of the time axis, pure but for this machine's time zone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil

from sender.ledger import Span
from sender.page.timeline import DAY, NICE_SECONDS

SHORT_SECONDS = 180.0  # shorter than this, seconds since the start say more than the time of day
ROOM = 58.0  # wished for from one label to the next
CLOSEST = 44.0  # nearer, labels would touch


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark at x, its label, and the day that it is in, shown below it where a new one begins."""

    x: float
    label: str
    day: str = ""


def time_ticks(span: Span, x: Callable[[float], float], *, is_only: bool) -> list[Tick]:
    """The marks of a stretch of time that `x` maps to places, no closer than their labels are wide."""
    seconds = span.end - span.start
    width = x(span.end) - x(span.start)
    step = next((nice for nice in NICE_SECONDS if nice * width >= ROOM * seconds), seconds or 1.0)
    if is_only and seconds < SHORT_SECONDS:
        count = int(seconds / step + 1e-9)
        return [Tick(x=x(span.start + k * step), label=_elapsed(k * step)) for k in range(count + 1)]
    step = max(step, 1.0)
    return [_tick(moment, step, x) for moment in (_moments(span, step) if width >= CLOSEST else [span.start])]


def spaced(stretches: Sequence[Sequence[Tick]], widths: Sequence[float]) -> list[Tick]:
    """The marks of all stretches without those that would touch others; the first of each goes before the rest."""
    by_width = [ticks for _, ticks in sorted(zip(widths, stretches, strict=True), key=lambda each: -each[0])]
    firsts, rest = [ticks[0] for ticks in by_width], [tick for ticks in by_width for tick in ticks[1:]]
    kept: list[Tick] = []
    for tick in (*firsts, *rest):
        if all(abs(tick.x - other.x) >= CLOSEST for other in kept):
            kept.append(tick)
    in_order = sorted(kept, key=lambda tick: tick.x)
    days = ["", *(tick.day for tick in in_order)]
    return [replace(tick, day="" if tick.day == day else tick.day) for tick, day in zip(in_order, days, strict=False)]


def _elapsed(seconds: float) -> str:
    return f"{seconds:.3g} s"


def _tick(moment: float, step: float, x: Callable[[float], float]) -> Tick:
    local = datetime.fromtimestamp(moment).astimezone()
    day = f"{local.day} {local:%b}"
    if step >= DAY:
        return Tick(x=x(moment), label=day)
    return Tick(x=x(moment), label=f"{local:%H:%M:%S}" if step < 60 else f"{local:%H:%M}", day=day)


def _moments(span: Span, step: float) -> list[float]:
    """The multiples of a step, counted from local midnight, that lie in a span; its start when there are none."""
    offset = datetime.fromtimestamp(span.start).astimezone().utcoffset()
    zone = offset.total_seconds() if offset else 0.0
    first = ceil((span.start + zone) / step) * step - zone
    count = int((span.end - first) / step + 1e-9) + 1 if span.end >= first else 0
    return [first + k * step for k in range(count)] or [span.start]
