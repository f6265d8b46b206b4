"""What the ledger keeps, as frozen values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from campaigns.audience import Recipient, SourceStamp
from campaigns.audience.recipients import KINDS
from campaigns.model import IdentifierKind
from sender.addresses import Addresses
from sender.ledger.packing import unpack, unpack_column
from sender.outcome import ChunkState, Lever, RunState

if TYPE_CHECKING:
    from campaigns.model import Rate

Clock = Callable[[], float]
"""Gives seconds since 1970, such as `time.time`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewRun:
    """A run before its plan: what it is bound to from the first moment."""

    name: str
    campaign: str
    origin: str
    account: str
    message_fingerprint: str
    audience_spec: str
    created_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What seals a run: the facts of the audience as it was read."""

    audience_fingerprint: str
    sources: tuple[SourceStamp, ...]
    exclusions: tuple[SourceStamp, ...]
    counts: Mapping[str, int]
    planned: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run as the ledger holds it."""

    id: int
    name: str
    key: str
    campaign: str
    account_id: int
    origin: str
    account: str
    state: RunState
    message_fingerprint: str
    audience_spec: str
    plan: Plan
    content: Mapping[str, object] | None
    created_at: float
    session_started_at: float | None
    elapsed_seconds: float
    ended_at: float | None
    reason: str
    rate: str | None = None
    held: bool = False
    rate_asked: str | None = None
    paused_until: float | None = None
    pause_reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What an operator asked of a run."""

    id: int
    run_id: int
    lever: Lever
    argument: str
    user: str
    given_at: float
    obeyed_at: float | None = None
    recipients: int = 0

    @property
    def chunk(self) -> int | None:
        """The number of the one chunk that it is about, None for all."""
        return int(self.argument) if self.argument.isdecimal() else None


Position = tuple[int, int]
"""A chunk's place in the plan: the position of its first recipient, and its number."""
START: Position = (-1, -1)


@dataclass(frozen=True, kw_only=True)
class StoredChunk:
    """A chunk as the ledger holds it; its recipients are packed, and empty unless they were asked for."""

    id: int
    run_id: int
    first: int
    kind: IdentifierKind
    size: int
    state: ChunkState
    not_found_count: int = 0
    not_found: tuple[str, ...] = ()
    status: int | None = None
    reason: str = ""
    decided_at: float | None = None
    packed: bytes = field(default=b"", repr=False)

    @property
    def position(self) -> Position:
        """Its place in the plan."""
        return self.first, self.id

    @cached_property
    def recipients(self) -> tuple[Recipient, ...]:
        """Its recipients, every identifier of each."""
        return unpack(self.packed)

    @property
    def addresses(self) -> Addresses:
        """What a call addresses its recipients by."""
        return Addresses(unpack_column(self.packed, KINDS.index(self.kind)), self.size)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """How fast a run is sent at most.

    calls       calls of its whole account in any such period
    recipients  recipients in any such period, None for no bound of their own
    """

    calls: "Rate"
    recipients: "Rate | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call, durably noted before its first byte leaves.

    sent_at           when it may leave, a moment ahead perhaps
    courtesy_seconds  for how long its sender lets the account's other senders come first; 0 when there are none
    """

    id: int
    chunk_id: int
    account_id: int
    number: int
    recipients: int
    sent_at: float
    courtesy_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """A call that was not claimed: its account's rates have no room for it yet.

    seconds    when to ask again
    is_paused  whether that is because the API asked the account to wait
    """

    seconds: float
    is_paused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A chunk's last call, as evidence: when it began, and the work that the API took on with it."""

    chunk_id: int
    state: ChunkState
    recipients: int
    sent_at: float
    reason: str
    batch_task_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A call that did not go well: when its reply came, and what came of it: rejected, unknown, or stop."""

    chunk_id: int
    at: float
    recipients: int
    result: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of a chunk that is split: its recipients, and the state that it starts in."""

    recipients: tuple[Recipient, ...]
    first: int
    state: ChunkState = ChunkState.PENDING
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Sums over a run's leaves.

    chunks       number of chunks by state
    recipients   number of recipients by state, those not found among the accepted chunks' included
    not_found    how many of the accepted chunks' recipients matched no contact
    attempts     calls made
    retried      calls that were not a chunk's first
    rate_limited calls answered with 429
    """

    chunks: Mapping[ChunkState, int] = field(default_factory=dict)
    recipients: Mapping[ChunkState, int] = field(default_factory=dict)
    not_found: int = 0
    attempts: int = 0
    retried: int = 0
    rate_limited: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSession:
    """The time that one sender worked on a run.

    started_at  when it began
    ended_at    when it ended, or its last call did, if its sender died; None when it has made no call yet
    rate        the calls in a period that were asked for at its start; None where nobody noted it
    is_open     whether it lasts still, for all that the ledger knows
    """

    started_at: float
    ended_at: float | None
    rate: str | None
    is_open: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """The calls that began in one stretch of time, at one place in it; `accepted` and `rate_limited` are among them."""

    stretch: int
    place: int
    calls: int
    accepted: int
    rate_limited: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A time from one moment to another."""

    start: float
    end: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """How long calls took: how many are known to have ended, and the seconds by percent."""

    calls: int
    seconds: Mapping[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why recipients or calls were not accepted.

    state       what became of the recipients; pending for calls that were repeated
    words       the API's words or ours; None for the sum of the rarer ones
    recipients  recipients that are in this state for this reason now
    calls       calls that were answered so
    reasons     how many reasons this is the sum of
    """

    state: ChunkState
    words: str | None
    recipients: int
    calls: int
    reasons: int = 1
