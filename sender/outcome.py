"""The words for what became of a run, a chunk and a call. Frozen values, nothing else."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TOO_MANY_REQUESTS: Final = 429


class RunState(StrEnum):
    """Where a run stands. `planning` lasts until one commit seals the plan."""

    PLANNING = "planning"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ChunkState(StrEnum):
    """Where a chunk stands. `unknown` is never resent by itself; `split` chunks live on in their parts."""

    PENDING = "pending"
    SENDING = "sending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ASSUMED_SENT = "assumed_sent"
    SPLIT = "split"
    CANCELLED = "cancelled"


class Lever(StrEnum):
    """What an operator can ask of a run from another terminal."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RATE = "rate"
    RETRY = "retry"
    RESEND = "resend"
    ASSUME_SENT = "assume_sent"


class Then(StrEnum):
    """What an outcome means for the calls that follow."""

    GO_ON = "go_on"  # nothing to mind
    BACK_OFF = "back_off"  # the API was not reached: try again after a while
    WAIT = "wait"  # the API asked the whole account to wait
    STOP = "stop"  # a person has to look first


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """What a reply says of the API's own rate limit.

    remaining      calls that it will take before it starts afresh
    reset_seconds  how long that is from the reply on
    limit          calls that it takes in each window, None when it does not say
    window_seconds the length of such a window, None when it does not say
    """

    remaining: int
    reset_seconds: float
    limit: int | None = None
    window_seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What is known after one call: what its chunk now is, and what follows for the others.

    chunk                what the chunk becomes: pending (provably not processed), accepted, rejected or unknown
    then                 what follows for the next calls
    reason               the API's own words, or ours where it said nothing; empty when accepted
    status               the HTTP status, None when no reply came
    not_found            identifiers that the API names as matching no contact
    not_found_count      how many matched no contact, named or not
    refused              identifiers that a refusal names as its cause
    retry_after_seconds  how long the API asked to wait, None when it did not say
    seconds              from the first byte written (or the attempt to connect) to the end of the reply
    request_id           the API's name for the call, for its support
    batch_task_id        the API's name for the work that it accepted
    quotas               the API's rate limits, as the reply's headers tell of them
    """

    chunk: ChunkState
    then: Then = Then.GO_ON
    reason: str = ""
    status: int | None = None
    not_found: tuple[str, ...] = ()
    not_found_count: int = 0
    refused: tuple[str, ...] = ()
    retry_after_seconds: float | None = None
    seconds: float = 0.0
    request_id: str | None = None
    batch_task_id: str | None = None
    quotas: tuple[Quota, ...] = ()

    @property
    def result(self) -> "ChunkState | Then":
        """The one word for the call itself: what its chunk became, or why it is made again."""
        is_again = self.chunk is ChunkState.PENDING and self.then is not Then.GO_ON
        return self.then if is_again else self.chunk
