"""Sealed runs in a ledger, for the tests to send from."""

from campaigns.audience import Recipient
from campaigns.model import IdentifierKind
from campaigns.plan import Chunk
from sender.ledger import START, Attempt, Clock, Ledger, NewRun, Plan, Run, StoredChunk

NOW = 1_800_000_000.0


def new_run(
    name: str = "spring",
    *,
    campaign: str = "spring",
    account: str = "default",
    origin: str = "https://api.example.com",
) -> NewRun:
    return NewRun(
        name=name,
        campaign=campaign,
        origin=origin,
        account=account,
        message_fingerprint="message",
        audience_spec="spec",
        created_at=NOW,
    )


def plan_of(planned: int) -> Plan:
    return Plan(
        audience_fingerprint="audience",
        sources=(),
        exclusions=(),
        counts={"rows": planned, "kept": planned},
        planned=planned,
    )


def people(first: int, count: int, name: str = "person") -> tuple[Recipient, ...]:
    return tuple(Recipient(None, f"{name}{n}", None, 0, n + 2) for n in range(first, first + count))


async def sealed_run(ledger: Ledger, sizes: list[int], name: str = "spring", **binding: str) -> Run:
    """A run of chunks of these sizes, ready to be sent."""
    draft = await ledger.begin_plan(new_run(name, **binding))
    first = 0
    for size in sizes:
        await ledger.add_chunks(draft.id, first, [Chunk(IdentifierKind.USERNAME, people(first, size))])
        first += size
    await ledger.seal(draft.id, plan_of(first))
    run = await ledger.find_run(name)
    assert run is not None
    return run


async def pending(ledger: Ledger, run: Run) -> list[StoredChunk]:
    """The run's pending chunks, with their recipients."""
    return [await ledger.load(chunk.id) for chunk in await ledger.pending(run.id, after=START, limit=1000)]


def at(moment: float) -> Clock:
    """A clock that stands still."""
    return lambda: moment


async def claimed(ledger: Ledger, chunk: StoredChunk, moment: float = NOW) -> Attempt:
    """The claim of a chunk that is pending, of an account that has room."""
    attempt = await ledger.claim(chunk, at(moment))
    assert isinstance(attempt, Attempt)
    return attempt
