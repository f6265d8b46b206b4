"""What the page tells of a run, gathered from the ledger; its size does not grow with the audience."""

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from campaigns.audience.sources import display_name
from sender.ledger import Bucket, Command, Latency, Ledger, Reason, Run, Span
from sender.look import existing_run, report_now
from sender.outcome import ChunkState, Lever, RunState
from sender.page.timeline import Timeline, folded, make_timeline
from sender.report import Report
from sender.tables import ReportRow, report_rows

PERCENTS: Final = (50, 90, 95, 99, 100)
MOST_REASONS: Final = 25
MOST_ROWS: Final = 500
PROBLEMS: Final = ("unknown", "rejected", "not_found")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The recipients in one state: how many there are, and the first of them in plan order."""

    state: str
    total: int
    rows: tuple[ReportRow, ...]

    @property
    def is_cut(self) -> bool:
        """Whether there are more than the page shows."""
        return len(self.rows) == MOST_ROWS < self.total

    @property
    def unnamed(self) -> int:
        """How many there are whom the API did not name."""
        return 0 if self.is_cut else self.total - len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that the page tells.

    created_at   when the run was planned
    began_at     when its first session began, None before that
    ended_at     when its last one ended, or it was cancelled after that; None while it lasts
    made_at      when this was gathered
    waits        times without calls after a 429
    """

    report: Report
    origin: str
    created_at: float
    began_at: float | None
    ended_at: float | None
    made_at: float
    timeline: Timeline
    buckets: tuple[Bucket, ...]
    waits: tuple[Span, ...]
    latency: Latency
    reasons: tuple[Reason, ...]
    listed: tuple[Listed, ...]


async def gather_facts(path: Path, name: str | None, states: tuple[str, ...] = ()) -> Facts:
    """The facts of a run, or of the newest; its problem recipients, or those in `states`. Raises InputError."""
    async with existing_run(path, name) as (ledger, run):
        now = time.time()
        report, sender = await report_now(path, ledger, run.name)
        is_sent = sender is not None
        sessions = [replace(one, is_open=one.is_open and is_sent) for one in await ledger.sessions(run.id)]
        commands = await ledger.commands(run.id)
        timeline = make_timeline(sessions, commands, now=now)
        starts = [span.start for span in timeline.stretches]
        seconds = timeline.bucket_seconds
        buckets = await ledger.buckets(run.id, starts, seconds) if starts else []
        waits = await ledger.waits(run.id, seconds) if report.requests["rate_limited"] else []
        return Facts(
            report=report,
            origin=run.origin,
            created_at=run.created_at,
            began_at=starts[0] if starts else None,
            ended_at=None if is_sent else _ended_at(report, run, timeline, commands),
            made_at=now,
            timeline=timeline,
            buckets=tuple(folded(timeline, buckets)),
            waits=tuple(waits),
            latency=await ledger.latency(run.id, PERCENTS),
            reasons=tuple(await ledger.reasons(run.id, MOST_REASONS)),
            listed=tuple([await _listed(ledger, run, report, state) for state in states or PROBLEMS]),
        )


def _ended_at(report: Report, run: Run, timeline: Timeline, commands: Sequence[Command]) -> float | None:
    moments = [run.ended_at, *(span.end for span in timeline.stretches[-1:])]
    if report.state is RunState.CANCELLED:
        moments += [each.obeyed_at for each in commands if each.lever is Lever.CANCEL]
    return max((each for each in moments if each is not None), default=None)


async def _listed(ledger: Ledger, run: Run, report: Report, state: str) -> Listed:
    total = report.recipients[state]
    rows: list[ReportRow] = []
    sources = [display_name(source.path) for source in run.plan.sources]
    is_missing = state == "not_found"
    of_chunk = ChunkState.ACCEPTED if is_missing else ChunkState(state)
    if total:
        async with aclosing(ledger.chunks(run.id, [of_chunk], only_incomplete=is_missing)) as chunks:
            async for chunk in chunks:
                rows.extend(report_rows(chunk, sources, frozenset([state])))
                if len(rows) >= MOST_ROWS:
                    break
    return Listed(state=state, total=total, rows=tuple(rows[:MOST_ROWS]))
