"""What a ledger tells of its runs, from any terminal, while they are sent or afterwards."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from campaigns.audience.sources import display_name
from sender.errors import InputError, LedgerError
from sender.ledger import Ledger, Run, open_ledger
from sender.ledger.lock import Holder, holder
from sender.outcome import ChunkState, RunState
from sender.report import RECIPIENT_STATES, Report, make_report
from sender.tables import REPORT_HEADER, csv_line, report_lines


async def run_report(ledger: Path, name: str | None) -> tuple[Report, Holder | None]:
    """What is true of a run now, and who sends it; without a name, of the newest. Raises InputError for no such run."""
    async with existing_run(ledger, name) as (opened, run):
        return await report_now(ledger, opened, run.name)


async def all_reports(ledger: Path) -> list[Report]:
    """What is true of every run now, the newest first."""
    if not _exists(ledger):
        return []
    async with open_ledger(ledger) as opened:
        return [(await report_now(ledger, opened, run.name))[0] for run in await _sealed(opened)]


async def recipient_lines(ledger: Path, name: str | None, states: Sequence[str]) -> AsyncGenerator[str]:
    """CSV: a header, then one line for each of the run's recipients in one of the states, in plan order."""
    wanted = frozenset(states or RECIPIENT_STATES)
    chunk_states = {ChunkState.ACCEPTED if state == "not_found" else ChunkState(state) for state in wanted}
    async with existing_run(ledger, name) as (opened, run):
        yield csv_line(REPORT_HEADER)
        sources = [display_name(source.path) for source in run.plan.sources]
        async with aclosing(opened.chunks(run.id, chunk_states)) as chunks:
            async for chunk in chunks:
                for line in report_lines(chunk, sources, wanted):
                    yield line


@asynccontextmanager
async def existing_run(ledger: Path, name: str | None) -> AsyncIterator[tuple[Ledger, Run]]:
    """The open ledger and the run of that name, or the newest. Raises InputError when there is none."""
    if not _exists(ledger):
        raise InputError(f"there is no ledger at {ledger} yet: nothing was ever sent from here")
    async with open_ledger(ledger) as opened:
        yield opened, await _run(opened, name)


async def report_now(path: Path, ledger: Ledger, name: str) -> tuple[Report, Holder | None]:
    """What is true of an existing run now, and who sends it."""
    asked_at = time.time()
    sender = holder(path, name)
    # Read after the lock was looked at: a sender that has ended since has written down how.
    run = await ledger.find_run(name) or await _run(ledger, name)
    is_sent = run.session_started_at is not None and (sender is not None or run.session_started_at >= asked_at)
    # A sender that died worked until its last call.
    now = time.time() if is_sent else await ledger.last_call_at(run.id) or run.session_started_at or 0.0
    report = make_report(run, await ledger.totals(run.id), now=now)
    if run.state in (RunState.RUNNING, RunState.SCHEDULED) and not is_sent:
        report = replace(report, state=RunState.INTERRUPTED, reason="its sender died; the same command goes on")
    return report, sender


def _exists(ledger: Path) -> bool:
    try:
        return ledger.exists()
    except OSError as error:
        raise LedgerError(f"the ledger {ledger} can't be opened: {error.strerror}") from error


async def _sealed(ledger: Ledger) -> list[Run]:
    return [run for run in await ledger.runs() if run.state is not RunState.PLANNING]


async def _run(ledger: Ledger, name: str | None) -> Run:
    runs = await _sealed(ledger)
    found = next((run for run in runs if name in (None, run.name)), None)
    if found is None:
        known = ", ".join(run.name for run in runs[:10]) or "none yet"
        raise InputError(f"there is no run {name!r}; the ledger has: {known}" if name else "the ledger has no run yet")
    return found
