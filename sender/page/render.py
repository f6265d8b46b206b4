"""Facts -> the page."""

import base64
import hashlib
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from sender.outcome import RunState
from sender.page import words
from sender.page.chart import NARROW, WIDE, WORDS, make_chart, too_high
from sender.page.facts import PERCENTS, Facts
from sender.report import RECIPIENT_STATES, spelled
from sender.settings import SANDBOX_ORIGIN
from sender.tables import ReportRow

MOST_CHANGES = 6
MOODS = {
    "accepted": "good",
    "not_found": "warn",
    "cancelled": "warn",
    "rejected": "bad",
    "unknown": "doubt",
    RunState.COMPLETED: "good",
    RunState.RUNNING: "good",
    RunState.STOPPED: "bad",
}


def render(facts: Facts) -> str:
    """The whole page."""
    report = facts.report
    is_over = report.state in (RunState.COMPLETED, RunState.CANCELLED)
    charts = [make_chart(facts.timeline, facts.buckets, facts.waits, size) for size in (WIDE, NARROW) if facts.buckets]
    return (
        _environment()
        .get_template("page.html")
        .render(
            facts=facts,
            report=report,
            charts=charts,
            style=Markup(_part("page.css")),  # noqa: S704 – this package's own file
            style_hash=_hash(_part("page.css")),
            is_over=is_over,
            was_for_nobody=is_over and not report.requests["sent"],
            is_rehearsal=facts.origin == SANDBOX_ORIGIN,
            states=[state for state in RECIPIENT_STATES if report.recipients[state]],
            audience=[
                name for name in ("kept", "invalid", "duplicates", "excluded", "filtered") if report.audience[name]
            ],
            chart_notes=list(_chart_notes(facts)),
            kinds=_kinds(facts),
            kind_words=WORDS,
            percents=PERCENTS,
        )
    )


def csv_command(facts: Facts, state: str) -> str:
    """The call that lists everybody in that state."""
    flag = " --sandbox" if facts.origin == SANDBOX_ORIGIN else ""
    run = shlex.quote(facts.report.run)
    return f"campaign report {run}{flag} --format csv --state {state} > {state}.csv"


def person(row: ReportRow) -> str:
    """A recipient as they were addressed, then by their other identifiers: `@ann · ann@example.com`."""
    names = {
        "id": f"#{row.id}" if row.id is not None else None,
        "username": f"@{row.username}" if row.username else None,
        "email": row.email,
    }
    first = names.pop(row.kind)
    return " · ".join(name for name in (first, *names.values()) if name)


def _chart_notes(facts: Facts) -> Iterator[str]:
    rates = [str(step.rate) for step in facts.timeline.steps]
    changes = [rate for before, rate in pairwise(["", *rates]) if rate != before]
    asked = ", then ".join(changes) if len(changes) <= MOST_CHANGES else f"{len(changes)} rates, one after the other"
    yield f"Asked for: {asked}." if rates else "Which rate was asked for was not noted."
    if outside := too_high(facts.timeline, facts.buckets):
        yield (
            f"{', '.join(outside)} lies far above this chart: something else set the pace, such as slow replies, "
            "a wait, or a limit of recipients."
        )
    if idle := facts.timeline.idle_seconds:
        gaps = ", ".join(words.roughly(seconds) for seconds in idle)
        yield f"Left out where the axis is broken, because nobody was sending: {gaps}."


def _kinds(facts: Facts) -> list[str]:
    """The kinds of calls that the chart shows."""
    accepted = sum(bucket.accepted for bucket in facts.buckets)
    limited = sum(bucket.rate_limited for bucket in facts.buckets)
    refused = sum(bucket.calls for bucket in facts.buckets) - accepted - limited
    counts = {"accepted": accepted, "limited": limited, "refused": refused}
    return [kind for kind, count in counts.items() if count]


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_part),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters.update(
        number=words.number, moment=words.moment, roughly=words.roughly, period=words.period, latency=words.latency
    )
    environment.globals.update(
        spelled=spelled,
        csv_command=csv_command,
        person=person,
        either=words.either,
        mood=lambda name: MOODS.get(name, ""),
    )
    return environment


def _finalized(value: object) -> object:
    return words.legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(name: str) -> str:
    return files("sender.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
