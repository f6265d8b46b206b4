"""The ledger: what was planned, what was sent, what became of it. This is the port; `sqlite.py` is behind it."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from campaigns.audience import Recipient, SourceStamp
from campaigns.plan import Chunk
from sender.ledger.records import (
    START,
    Attempt,
    Bucket,
    Call,
    Clock,
    Command,
    Failure,
    Latency,
    Later,
    NewRun,
    Part,
    Plan,
    Position,
    Rates,
    Reason,
    Run,
    Span,
    StoredChunk,
    StoredSession,
    Totals,
)  # fmt: skip
from sender.ledger.sqlite import SqliteLedger
from sender.outcome import ChunkState, Lever, Outcome, RunState


class Ledger(Protocol):
    """Every method raises LedgerError when the ledger can't do it; what one returns from writing is durable.

    Times are seconds since 1970, as `time.time()` gives them.
    """

    # planning

    async def find_run(self, name: str) -> Run | None:
        """The run of that name."""

    async def runs(self) -> list[Run]:
        """All runs, the newest first."""

    async def begin_plan(self, new: NewRun) -> Run:
        """A run in state `planning`; an unsealed one of the same name is thrown away."""

    async def add_chunks(self, run_id: int, first: int, chunks: Sequence[Chunk]) -> None:
        """Adds chunks to an unsealed plan; `first` is the position of the first recipient among them."""

    async def add_ties(self, run_id: int, rows: Sequence[Recipient]) -> None:
        """Adds rows that tie identifiers together without being recipients."""

    def ties(self, run_id: int) -> AsyncIterator[Recipient]:
        """The rows that were added so."""

    async def seal(self, run_id: int, plan: Plan) -> None:
        """Makes the plan valid, in one commit."""

    async def discard_plan(self, run_id: int) -> None:
        """Throws an unsealed plan away."""

    def planned_people(self, campaign: str, account_id: int) -> AsyncIterator[tuple[Recipient, ...]]:
        """Every recipient that any sealed run of the campaign has planned, some at a time."""

    def earlier_ties(self, campaign: str, account_id: int) -> AsyncIterator[tuple[Recipient, ...]]:
        """The rows that tied identifiers together in those runs, some at a time."""

    # sending

    async def start_session(self, run_id: int, now: float, rates: Rates | None = None) -> int:
        """Marks the run as running; what was left `sending` becomes `unknown`. Returns how many recipients.

        Until the session ends, `rates` bind every claim of the account, of whichever run and sender. The rate of calls
        is noted with the session.
        """

    async def end_session(self, run_id: int, state: RunState, reason: str, now: float) -> int:
        """Marks the run as ended in `state`; what is still `sending` becomes `unknown`. Returns how many recipients."""

    async def mark(self, run_id: int, state: RunState, reason: str) -> None:
        """Says how a session under way stands, unless an operator has paused or cancelled it."""

    async def strand(self, run_id: int, now: float) -> int:
        """Marks as `unknown` what a sender that died was sending. Returns how many recipients."""

    async def last_call_at(self, run_id: int) -> float | None:
        """When the run's last call ended, or began, if its end is not known."""

    async def keep_content(self, run_id: int, content: Mapping[str, object]) -> None:
        """Freezes the message as it is sent, uploads and look-ups done."""

    async def pending(self, run_id: int, *, after: Position, limit: int) -> list[StoredChunk]:
        """Pending chunks behind that position in plan order, with their recipients."""

    async def leaves(self, run_id: int) -> list[StoredChunk]:
        """All chunks but the split ones in plan order, without recipients."""

    async def load(self, chunk_id: int) -> StoredChunk:
        """The chunk with its recipients."""

    async def claim(self, chunk: StoredChunk, clock: Clock) -> Attempt | Later | None:
        """Notes durably that the chunk is being sent, at the moment when that is noted.

        None when it is pending no more. Later when the account has no room for it, and nothing was done.
        """

    async def pause(self, run_id: int, until: float) -> None:
        """No claim of the run's account before that time, by whichever sender."""

    async def settle(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """Records what became of a call."""

    async def split(self, chunk: StoredChunk, parts: Sequence[Part], now: float) -> list[int]:
        """Replaces a pending chunk by its parts, in one transaction.

        Returns the numbers of the parts; none when the chunk is pending no more, and nothing was done.
        """

    async def exclude(self, chunk_id: int, places: Sequence[int], now: float) -> int:
        """Cancels the recipients at those places of a chunk, at once or when it becomes pending again.

        Returns how many were cancelled at once.
        """

    async def divide(
        self, attempt: Attempt, outcome: Outcome, chunk: StoredChunk, parts: Sequence[Part], now: float
    ) -> None:
        """Records a refused call and replaces its chunk by the parts, in one transaction."""

    async def keep_exclusions(self, run_id: int, stamps: Iterable[SourceStamp]) -> None:
        """Remembers the exclusion lists as they were last read."""

    async def keep_sources(self, run_id: int, audience_spec: str, stamps: Iterable[SourceStamp]) -> None:
        """Remembers the CSVs as they were last read, and the audience section that they were read by."""

    async def last_call_of(self, account_id: int) -> float | None:
        """When the account's last call began, whichever run it was for."""

    async def note_rate(self, run_id: int, rate: str) -> None:
        """Remembers the rate that the session asks for, for other terminals to show."""

    async def note_pause(self, run_id: int, until: float, reason: str) -> None:
        """Remembers that the account waits until then, for other terminals to show."""

    async def media_url(self, account_id: int, sha256: str) -> str | None:
        """Where a file of that content was uploaded to."""

    async def keep_media_url(self, account_id: int, sha256: str, url: str, now: float) -> None:
        """Remembers where a file of that content was uploaded to."""

    async def account_id(self, origin: str, label: str) -> int:
        """The account's number in this ledger; it is added when it is new."""

    # levers

    async def give(self, run_id: int, lever: Lever, argument: str, user: str, now: float) -> Command:
        """Notes what an operator asks; nothing changes by that."""

    async def open_commands(self, run_id: int) -> list[Command]:
        """What was asked and not yet obeyed, in the order of asking."""

    async def obey(self, command: Command, now: float) -> int:
        """Does what was asked, in one transaction. Returns how many recipients changed their state."""

    async def commands(self, run_id: int) -> list[Command]:
        """Everything that was ever asked of the run, in order."""

    # looking

    async def totals(self, run_id: int) -> Totals:
        """Sums over the run's leaves."""

    async def run_sends(self, run_id: int, since: float) -> list[tuple[float, int]]:
        """Time and number of recipients of the run's own calls since then, oldest first."""

    async def failures(self, run_id: int, limit: int) -> list[Failure]:
        """The run's last calls that were refused or are in doubt, the newest first."""

    async def calls(self, run_id: int) -> list[Call]:
        """The last call of each accepted or unknown leaf, in the order of the calls; a part's may be its parent's."""

    async def sessions(self, run_id: int) -> list[StoredSession]:
        """Each time that a sender worked on the run, in order."""

    async def buckets(self, run_id: int, starts: Sequence[float], seconds: float) -> list[Bucket]:
        """How many calls began in each bucket of so many seconds; empty buckets are left out.

        starts   the beginnings of the stretches of time that buckets are counted in, in order
        """

    async def waits(self, run_id: int, seconds: float) -> list[Span]:
        """The times of so many seconds or more in which no call followed a 429; the end of the last may be far off."""

    async def latency(self, run_id: int, percents: Sequence[int]) -> Latency:
        """The seconds that calls took, at these percentiles (nearest rank; 100 is the longest)."""

    async def reasons(self, run_id: int, limit: int) -> list[Reason]:
        """Why recipients or calls were not accepted, the most recipients first; beyond the limit summed by state."""

    def chunks(
        self, run_id: int, states: Iterable[ChunkState], *, only_incomplete: bool = False
    ) -> AsyncGenerator[StoredChunk]:
        """The run's leaves in plan order, with their recipients, those in the given states only.

        only_incomplete   only chunks of which some recipients were not found
        """


@asynccontextmanager
async def open_ledger(path: Path, on_commit: Callable[[float], None] | None = None) -> AsyncIterator[Ledger]:
    """The ledger at `path`, made when there is none. Raises LedgerError.

    on_commit   told after each commit how many seconds it took, from another thread
    """
    ledger = SqliteLedger(path, on_commit)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


__all__ = [
    "START",
    "Attempt",
    "Bucket",
    "Call",
    "Clock",
    "Command",
    "Failure",
    "Latency",
    "Later",
    "Ledger",
    "NewRun",
    "Part",
    "Plan",
    "Position",
    "Rates",
    "Reason",
    "Run",
    "Span",
    "StoredChunk",
    "StoredSession",
    "Totals",
    "open_ledger",
]
