"""Totals -> report, pure: the numbers that are printed, and the exit code that they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sender.ledger import Run, Totals
from sender.outcome import ChunkState, RunState

if TYPE_CHECKING:
    from campaigns.model import Campaign

AUDIENCE_COUNTS = ("rows", "kept", "invalid", "duplicates", "excluded", "filtered", "already_planned")
RECIPIENT_STATES = (
    "accepted",
    "not_found",
    "rejected",
    "unknown",
    "assumed_sent",
    "cancelled",
    "pending",
    "sending",
)
CHUNK_STATES = tuple(state for state in RECIPIENT_STATES if state != "not_found")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is true of a run at one moment. `as_json` is the documented form.

    We say accepted, never delivered: Inrō answers before it sends, and only active contacts receive anything.
    """

    run: str
    campaign: str
    account: str
    state: RunState
    audience: Mapping[str, int]
    recipients: Mapping[str, int]
    chunks: Mapping[str, int]
    requests: Mapping[str, int]
    elapsed_seconds: float
    reason: str = ""

    @property
    def reconciles(self) -> bool:
        """Whether every planned recipient is in exactly one state."""
        return self.recipients["planned"] == sum(self.recipients[state] for state in RECIPIENT_STATES)

    @property
    def decided(self) -> int:
        """Recipients that need no further call by themselves."""
        return self.recipients["planned"] - self.recipients["pending"] - self.recipients["sending"]

    def as_json(self) -> dict[str, object]:
        """The report as the JSON document that `--json` prints."""
        return {
            "run": self.run,
            "campaign": self.campaign,
            "account": self.account,
            "state": self.state,
            "audience": dict(self.audience),
            "recipients": dict(self.recipients),
            "chunks": dict(self.chunks),
            "requests": dict(self.requests),
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            **({"reason": self.reason} if self.reason else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a `send` ended: what is true of the run now, and the signal that ended it, if one did."""

    report: Report
    signal: int | None = None

    @property
    def is_at_limit(self) -> bool:
        """Whether nothing but its --limit ended it before all was sent."""
        return self.report.state is RunState.INTERRUPTED and self.signal is None


def make_report(run: Run, totals: Totals, *, now: float) -> Report:
    """The report of a run with these totals; `now` counts the seconds of a session that is under way."""
    recipients = {state: totals.recipients.get(ChunkState(state), 0) for state in CHUNK_STATES}
    recipients["accepted"] -= totals.not_found
    chunks = {state: totals.chunks.get(ChunkState(state), 0) for state in CHUNK_STATES}
    session = now - run.session_started_at if run.session_started_at is not None else 0.0
    return Report(
        run=run.name,
        campaign=run.campaign,
        account=run.account,
        state=run.state,
        audience={name: run.plan.counts.get(name, 0) for name in AUDIENCE_COUNTS},
        recipients={
            "planned": run.plan.planned,
            **{state: totals.not_found if state == "not_found" else recipients[state] for state in RECIPIENT_STATES},
        },
        chunks={"planned": sum(chunks.values()), **chunks},
        requests={"sent": totals.attempts, "retried": totals.retried, "rate_limited": totals.rate_limited},
        elapsed_seconds=run.elapsed_seconds + max(0.0, session),
        reason=run.reason,
    )


def nothing_new(campaign: "Campaign", run: str) -> Report:
    """The report of an `--only-new` that found nobody: no such run exists, and nothing was sent."""
    return Report(
        run=run,
        campaign=campaign.campaign,
        account=campaign.account,
        state=RunState.COMPLETED,
        audience=dict.fromkeys(AUDIENCE_COUNTS, 0),
        recipients=dict.fromkeys(("planned", *RECIPIENT_STATES), 0),
        chunks=dict.fromkeys(("planned", *CHUNK_STATES), 0),
        requests=dict.fromkeys(("sent", "retried", "rate_limited"), 0),
        elapsed_seconds=0.0,
    )


def exit_code(report: Report, *, strict: bool = False, signal: int | None = None) -> int:
    """The exit code of a `send` that ends with this report; with `strict`, not found counts as not sent.

    signal   the signal that interrupted it
    """
    if not report.reconciles:
        return 1
    if report.state is RunState.STOPPED:
        return 4
    if signal is not None and report.recipients["pending"]:
        return 128 + signal
    lacking = ("rejected", "unknown", "cancelled", *(("not_found",) if strict else ()))
    return 3 if any(report.recipients[state] for state in lacking) else 0


def spelled(count: int, noun: str) -> str:
    """`1 recipient`, `2,500 recipients`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def nothing_left(report: Report, limit: int | None) -> str:
    """What a `send` says that has nothing to do; `limit` is its --limit."""
    if report.recipients["pending"] and limit:
        return limit_reached(report, limit)
    return f"Nothing is left to send: the run {report.run} is done."


def limit_reached(report: Report, limit: int) -> str:
    """What a `send --limit` says that ends there, with others pending."""
    first = "first recipient is" if limit == 1 else f"first {limit:,} recipients are"
    pending = f"{report.recipients['pending']:,} pending"
    return f"The plan's {first} done, with {pending}: the same command without --limit goes on."


def stranded_notice(recipients: int) -> str:
    """What a `send` says when the one before it died in the middle of calls to so many recipients."""
    return (
        f"{spelled(recipients, 'recipient')} may or may not have got the message when the last sender died. They are "
        "unknown now, and nobody is sent to twice: see `campaign report`."
    )
