"""What to do after an outcome, as a pure function of the outcome, the history, the time and a random number.

Nothing in here resends anything: a chunk goes out again only because its outcome left it `pending`, which an outcome
does only when the API provably did not process the call.
"""

from dataclasses import dataclass, replace

from sender.outcome import ChunkState, Outcome, Then


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The bounds of patience, all in seconds.

    max_wait_seconds   the longest pause, or time without progress, to sit through
    base_seconds       the upper end of the first backoff
    cap_seconds        no backoff is longer
    """

    max_wait_seconds: float = 3600.0
    base_seconds: float = 0.5
    cap_seconds: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """What a decision needs to know of the calls before.

    failures        calls in a row that the API did not process
    failing_since   when the first of them ended, on the caller's clock
    """

    failures: int = 0
    failing_since: float = 0.0

    def after(self, outcome: Outcome, now: float) -> "History":
        """The history with this outcome added."""
        if outcome.chunk is not ChunkState.PENDING:
            return History()
        since = self.failing_since if self.failures else now
        return replace(self, failures=self.failures + 1, failing_since=since)


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


Decision = GoOn | Pause | Stop


def decide(outcome: Outcome, history: History, policy: Policy, *, now: float, random: float) -> Decision:
    """What follows from `outcome`, given the history that already includes it; `random` is uniform in [0, 1)."""
    match outcome.then:
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
