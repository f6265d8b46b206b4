"""What Inrō's batch tasks tell of a run: what became of accepted chunks, and what was created around an unknown one.

For an unknown chunk it is the only evidence that an operator can get, and it proves nothing by itself.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from sender.errors import InputError
from sender.inro.account import BatchTask
from sender.ledger import Call
from sender.look import existing_run
from sender.media_library import open_account
from sender.outcome import ChunkState
from sender.settings import Settings

AROUND = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """An unknown chunk, when its call began, and the batch tasks that were created around that time."""

    chunk: int
    recipients: int
    sent_at: str
    reason: str
    tasks: tuple[BatchTask, ...]

    def as_json(self) -> dict[str, object]:
        """The inspection as JSON."""
        return asdict(self)


async def inspect_unknown(settings: Settings, run_name: str | None) -> list[Inspection]:
    """Each unknown chunk with what Inrō created around it. Raises InputError, SendingStopped, LedgerError."""
    async with existing_run(settings.ledger, run_name) as (ledger, run):
        _require_origin(settings, run.origin)
        calls = [call for call in await ledger.calls(run.id) if call.state is ChunkState.UNKNOWN]
        known = {call.batch_task_id for call in await ledger.calls(run.id) if call.batch_task_id}
    if not calls:
        return []
    async with open_account(settings) as account:
        tasks = [task async for task in account.batch_tasks() if task.id not in known]
    return [_inspection(call, tasks) for call in calls]


async def follow_accepted(settings: Settings, run_name: str | None) -> Mapping[str, int]:
    """How many of the run's batch tasks are in which status now; `without task` are calls that were given none."""
    async with existing_run(settings.ledger, run_name) as (ledger, run):
        _require_origin(settings, run.origin)
        calls = [call for call in await ledger.calls(run.id) if call.state is ChunkState.ACCEPTED]
    statuses: Counter[str] = Counter()
    async with open_account(settings) as account:
        for call in calls:
            task = await account.batch_task(call.batch_task_id) if call.batch_task_id else None
            statuses[task.status or "no status" if task else "without task"] += 1
    return dict(statuses)


def _inspection(call: Call, tasks: list[BatchTask]) -> Inspection:
    sent_at = datetime.fromtimestamp(call.sent_at, UTC)
    around = tuple(task for task in tasks if _is_around(task, sent_at))
    return Inspection(
        chunk=call.chunk_id,
        recipients=call.recipients,
        sent_at=sent_at.isoformat(timespec="seconds"),
        reason=call.reason,
        tasks=around,
    )


def _is_around(task: BatchTask, moment: datetime) -> bool:
    """Whether the task was created within five minutes of the moment; one that tells no time may have been."""
    try:
        created = datetime.fromisoformat(task.created_at)
    except ValueError:
        return True
    created = created if created.tzinfo else created.replace(tzinfo=UTC)
    return abs(created - moment) <= AROUND


def _require_origin(settings: Settings, origin: str) -> None:
    if settings.origin != origin:
        raise InputError(f"the run belongs to the API {origin}, and INRO_API_URL means {settings.origin}")
