"""What to do after an outcome, as a pure function of the outcome, the history, the time and a random number.

Nothing in here resends anything: a chunk goes out again only because its outcome left it `pending`, which an outcome
does only when the API provably did not process the call.
"""

from dataclasses import dataclass, replace

from sender.outcome import ChunkState, Outcome, Then


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The bounds of patience.

    max_wait_seconds    the longest pause, or time without progress, to sit through
    base_seconds        the upper end of the first backoff
    cap_seconds         no backoff is longer
    unknowns_in_a_row   so many show that the API is ill
    max_rejected        recipients that may be rejected, however few were decided
    max_rejected_share  the share of the decided that may be rejected
    """

    max_wait_seconds: float = 3600.0
    base_seconds: float = 0.5
    cap_seconds: float = 60.0
    unknowns_in_a_row: int = 3
    max_rejected: int = 50
    max_rejected_share: float = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What a decision needs to know of the calls since the last one that the API answered with a clear yes or no.

    failures        calls that the API did not process
    unknowns        calls that it may have processed
    failing_since   when the first of them ended, on the caller's clock
    """

    failures: int = 0
    unknowns: int = 0
    failing_since: float = 0.0

    def after(self, outcome: Outcome, now: float) -> "History":
        """The history with this outcome added."""
        since = self.failing_since if self.failures or self.unknowns else now
        match outcome.chunk:
            case ChunkState.PENDING:
                return replace(self, failures=self.failures + 1, failing_since=since)
            case ChunkState.UNKNOWN:
                return replace(self, unknowns=self.unknowns + 1, failing_since=since)
            case _:
                return History()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Recipients of the whole run by what became of them, as far as the decisions need it.

    accepted   taken on by the API
    rejected   refused for good
    decided    need no further call by themselves; the other two are among them
    """

    accepted: int = 0
    rejected: int = 0
    decided: int = 0

    def after(self, state: ChunkState, recipients: int) -> "Tally":
        """The tally with so many recipients more, decided by a call that ended in this state."""
        return Tally(
            accepted=self.accepted + (recipients if state is ChunkState.ACCEPTED else 0),
            rejected=self.rejected + (recipients if state is ChunkState.REJECTED else 0),
            decided=self.decided + recipients,
        )

    def too_many_rejected(self, policy: Policy) -> str | None:
        """The sentence that stops a run of which too much is refused; None as long as it is not."""
        bound = max(policy.max_rejected, policy.max_rejected_share * self.decided)
        if self.rejected <= bound:
            return None
        return (
            f"{self.rejected:,} of {self.decided:,} recipients were rejected, more than delivery.max_rejected allows: "
            "look at them (`campaign report --format csv --state rejected`), then send again with a higher bound"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GoOn:
    """Nothing stands in the way of the next call."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """No call of this account for so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """No further call before a person has looked."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """The API is ill: no chunk before it has answered a harmless question, and then a single recipient first."""

    reason: str


Decision = GoOn | Pause | Probe | Stop


def decide(outcome: Outcome, history: History, policy: Policy, *, now: float, random: float) -> Decision:
    """What follows from `outcome`, given the history that already includes it; `random` is uniform in [0, 1)."""
    match outcome.then:
        case Then.GO_ON if history.unknowns >= policy.unknowns_in_a_row:
            return Probe(reason=outcome.reason)
        case Then.GO_ON:
            return GoOn()
        case Then.STOP:
            return Stop(reason=outcome.reason)
        case Then.BACK_OFF | Then.WAIT:
            return _wait(outcome, history, policy, now=now, random=random)


def _wait(outcome: Outcome, history: History, policy: Policy, *, now: float, random: float) -> Decision:
    told = outcome.retry_after_seconds
    if told is not None and told > policy.max_wait_seconds:
        return Stop(
            reason=f"the API asks to wait for {told:.0f} s, longer than max_wait ({policy.max_wait_seconds:.0f} s): "
            "start the same command again after that"
        )
    seconds = backoff_seconds(history.failures, policy, random) if told is None else told
    idle = now - history.failing_since
    if idle + seconds > policy.max_wait_seconds:
        return Stop(
            reason=f"no progress for {idle:.0f} s, and max_wait is {policy.max_wait_seconds:.0f} s; "
            f"the last word was: {outcome.reason}"
        )
    return Pause(seconds=seconds, reason=outcome.reason)


def backoff_seconds(failures: int, policy: Policy, random: float) -> float:
    """Exponential backoff with full jitter: uniform between 0 and the doubled bound.

    Full jitter spreads clients best: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (2015).
    """
    bound = min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(max(failures, 1) - 1, 30))
    return bound * random
