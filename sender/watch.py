"""A run as it goes, seen from any terminal: what the ledger tells, about once a second, until nobody sends it."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from campaigns.model import Rate
from sender.ledger import Failure, Ledger, Run
from sender.ledger.lock import Holder, holder
from sender.look import existing_run, report_now
from sender.outcome import RunState
from sender.report import Report

LOOK_SECONDS = 1.0
SHARE_OF_TIME = 1 / 20  # a run of a million chunks takes a second to add up: then it is looked at less often
NOW_SECONDS = 10.0  # calls/s are those of so many seconds
OUTLOOK_SECONDS = 60.0  # the time left is told from so many
FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class Pause:
    """The whole account waits until then (seconds since 1970)."""

    until: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A run at one moment. `as_json` is one line of `status --watch --json`.

    at                 seconds since 1970
    sender             who sends it; None when nobody does
    calls_per_second   over the last ten seconds, or since the session began
    rate_asked         calls in a period, as the session's sender was told; None before it has begun
    seconds_left       at the pace of the last minute, never above the rate asked, a pause included; None when that
                       can't be told
    pause              why no call leaves, if none does
    failures           the last refused or unknown calls, the newest first
    """

    at: float
    report: Report
    sender: Holder | None
    calls_per_second: float
    rate_asked: str | None
    seconds_left: float | None
    pause: Pause | None
    failures: Sequence[Failure]

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to wait for: nobody sends the run, and no clock will start it."""
        return self.sender is None and self.report.state not in (RunState.RUNNING, RunState.SCHEDULED)

    def as_json(self) -> dict[str, object]:
        """The report's document, with what is true of this moment beside it under `live`."""
        return {
            **self.report.as_json(),
            "live": {
                "at": _iso(self.at),
                "calls_per_second": round(self.calls_per_second, 3),
                "rate_asked": self.rate_asked,
                "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
                "pause": {"until": _iso(self.pause.until), "reason": self.pause.reason} if self.pause else None,
                "sender": asdict(self.sender) | {"since": self.sender.since.isoformat()} if self.sender else None,
                "failures": [asdict(each) | {"at": _iso(each.at)} for each in self.failures],
            },
        }


async def moments(ledger: Path, name: str | None) -> AsyncGenerator[Moment]:
    """A run's moments, about one a second, the last of them when it is over.

    Without a name it is the newest run that is being sent, else the newest. Raises InputError for no such run, and
    LedgerError. The sender is not disturbed: SQLite's readers keep no writer waiting, and each look is short.
    """
    async with existing_run(ledger, name) as (opened, newest):
        run = newest.name if name else await _sent(ledger, opened) or newest.name
        while True:
            began_at = time.monotonic()
            moment = await _moment(ledger, opened, run)
            took_seconds = time.monotonic() - began_at
            yield moment
            if moment.is_over:
                return
            await asyncio.sleep(max(LOOK_SECONDS, took_seconds / SHARE_OF_TIME))


async def _sent(path: Path, ledger: Ledger) -> str | None:
    """The newest run that is being sent."""
    begun = (run for run in await ledger.runs() if run.session_started_at is not None)
    return next((run.name for run in begun if holder(path, run.name)), None)


async def _moment(path: Path, ledger: Ledger, name: str) -> Moment:
    report, sender = await report_now(path, ledger, name)
    run = await ledger.find_run(name)
    assert run is not None  # noqa: S101 – a sealed run is never removed, and its report was made just now
    now = time.time()
    sends = await ledger.run_sends(run.id, now - OUTLOOK_SECONDS)
    pause = _pause(run, now) if sender else None
    return Moment(
        at=now,
        report=report,
        sender=sender,
        calls_per_second=_calls_per_second(sends, _span(run, now, NOW_SECONDS), now),
        rate_asked=run.rate_asked,
        seconds_left=_seconds_left(report, run.rate_asked, sends, _span(run, now, OUTLOOK_SECONDS), pause, now),
        pause=pause,
        failures=await ledger.failures(run.id, FAILURES),
    )


def _span(run: Run, now: float, seconds: float) -> float:
    """So many seconds, or those since the session began; never less than one, which a rate needs."""
    return min(seconds, max(1.0, now - (run.session_started_at or 0.0)))


def _pause(run: Run, now: float) -> Pause | None:
    if run.paused_until is None or run.paused_until <= now:
        return None
    return Pause(until=run.paused_until, reason=run.pause_reason)


def _calls_per_second(sends: Sequence[tuple[float, int]], span: float, now: float) -> float:
    return sum(sent_at > now - span for sent_at, _ in sends) / span


def _seconds_left(
    report: Report,
    rate_asked: str | None,
    sends: Sequence[tuple[float, int]],
    span: float,
    pause: Pause | None,
    now: float,
) -> float | None:
    paused = pause.until - now if pause else 0.0
    working = max(1.0, span - _idle(sends, now) if pause else span)
    sent = sum(recipients for sent_at, recipients in sends if sent_at > now - span)
    if report.state is not RunState.RUNNING or not sent:
        return None
    left = report.recipients["pending"] + report.recipients["sending"]
    # A session's first call is no pace yet: at 1/h, one in the first second says nothing of the hours to come.
    step = 1 / Rate.parse(rate_asked).per_second if rate_asked else 0.0
    return max(paused + left * working / sent, report.chunks["pending"] * step - _idle(sends, now))


def _idle(sends: Sequence[tuple[float, int]], now: float) -> float:
    """Seconds since the last call."""
    return now - sends[-1][0] if sends else 0.0


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
