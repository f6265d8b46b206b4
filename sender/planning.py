"""A campaign -> a sealed run in the ledger: planned anew, or found there and compared with what it began with."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from typing import BinaryIO, Self

import structlog

from campaigns.audience import AudienceReading, KnownPeople, Recipient, read_audience, stamp
from campaigns.audience.block import Block
from campaigns.audience.sources import display_name
from campaigns.audience.spool import Spool, explained_spooling
from campaigns.model import Campaign
from campaigns.plan import Chunk, plan_chunks
from sender import logs
from sender.agreed import check_expected, check_fingerprint, check_size
from sender.errors import RunMismatch
from sender.ledger import Ledger, NewRun, Plan, Run
from sender.memory import give_back
from sender.outcome import RunState
from sender.report import spelled

CHUNKS_AT_ONCE = 20
TIES_AT_ONCE = 1000


class Interrupted(Exception):
    """Ends the thread that reads an audience which nobody waits for any more."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to plan.

    campaign             the campaign file
    run                  the run's name
    origin               the API that the run is bound to
    message_fingerprint  hash of the message
    only_new             leave out whom an earlier run of the campaign has planned
    strict               refuse the audience for a rejected row
    stdin                what `csv: "-"` reads
    consent              called with the number of recipients before the plan is sealed; raises to refuse
    expect               the number of recipients that the plan must have
    fingerprint          the fingerprint that the plan must have
    on_rows              called with the number of rows read so far
    on_notice            called with what a person should know
    """

    campaign: Campaign
    run: str
    origin: str
    message_fingerprint: str
    consent: Callable[[int], Awaitable[None]]
    only_new: bool = False
    strict: bool = False
    stdin: BinaryIO | None = None
    expect: int | None = None
    fingerprint: str | None = None
    on_rows: Callable[[int], None] = lambda rows: None
    on_notice: Callable[[str], None] = lambda text: None


async def planned_run(order: Order, ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> Run | None:
    """The sealed run to send; None when `only_new` finds nobody new.

    Raises InputError (empty audience, ceiling, no consent), RunMismatch, CampaignError and LedgerError. Whatever is
    raised, nothing was sealed by this call.
    """
    run = await ledger.find_run(order.run)
    if run is None or run.state is RunState.PLANNING:
        return await _plan(order, ledger, log)
    await _check_same(order, run, ledger, log)
    log.info(logs.PLAN_RESUMED, planned=run.plan.planned, state=run.state)
    return run


# A new plan


async def _plan(order: Order, ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> Run | None:
    draft = await ledger.begin_plan(
        NewRun(
            name=order.run,
            campaign=order.campaign.campaign,
            origin=order.origin,
            account=order.campaign.account,
            message_fingerprint=order.message_fingerprint,
            audience_spec=audience_spec(order.campaign),
            created_at=time.time(),
        )
    )
    try:
        plan = await _fill(order, draft, ledger)
        if plan.planned == 0 and order.only_new:
            await ledger.discard_plan(draft.id)
            return None
        check_size(order.campaign, plan.planned)
        check_expected(plan.planned, order.expect)
        await check_fingerprint(ledger, draft, plan.audience_fingerprint, order.fingerprint)
        await order.consent(plan.planned)
        await ledger.seal(draft.id, plan)
    except BaseException:
        await ledger.discard_plan(draft.id)
        raise
    log.info(logs.PLAN_BUILT, planned=plan.planned, **plan.counts)
    return await ledger.find_run(order.run)


async def _fill(order: Order, draft: Run, ledger: Ledger) -> Plan:
    delivery, audience = order.campaign.delivery, order.campaign.audience
    exclusions = tuple(found for path in audience.exclude if (found := stamp(path)))
    with KnownPeople() as known, _Ties() as ties, _reading(order, ties.note, known) as reading:
        if order.only_new:
            await _remember(known, draft, ledger)
        chunks = plan_chunks(reading, identify_by=audience.identify_by, chunk_size=delivery.chunk_size)
        planned = 0
        while batch := await asyncio.to_thread(_take, chunks):
            await ledger.add_chunks(draft.id, planned, batch)
            planned += sum(len(chunk.recipients) for chunk in batch)
        for rows in ties.all() if planned else ():
            await ledger.add_ties(draft.id, rows)
    give_back()
    return Plan(
        audience_fingerprint=reading.fingerprint,
        sources=reading.sources,
        exclusions=exclusions,
        counts={**asdict(reading.counts), "already_planned": reading.already_planned},
        planned=planned,
    )


async def _remember(known: KnownPeople, draft: Run, ledger: Ledger) -> None:
    """Whom earlier runs of the campaign have planned, and who they said is one person."""
    async for recipients in ledger.planned_people(draft.campaign, draft.account_id):
        known.add_planned(recipients)
    async for rows in ledger.earlier_ties(draft.campaign, draft.account_id):
        known.add_ties(rows)


class _Ties:
    """The rows that tie identifiers together, on disk until the reading is over: they may be as many as the kept."""

    def __init__(self) -> None:
        self._spool = Spool()
        self._waiting: list[Recipient] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *arguments: object) -> None:
        self._spool.__exit__(*arguments)

    def note(self, row: Recipient) -> None:
        """Takes in one row. Raises CampaignError when it can't be written."""
        waiting = self._waiting
        if waiting and (len(waiting) == TIES_AT_ONCE or waiting[0].source != row.source):
            self._flush()
        waiting.append(row)

    def all(self) -> Iterator[list[Recipient]]:
        """All rows, some at a time."""
        self._flush()
        return (block.recipients() for block in self._spool.blocks())

    def _flush(self) -> None:
        if self._waiting:
            with explained_spooling():
                self._spool.add(Block.of(self._waiting))
            self._waiting.clear()


@contextmanager
def _reading(
    order: Order, on_tie: Callable[[Recipient], None] | None = None, known: KnownPeople | None = None
) -> Iterator[AudienceReading]:
    """A reading that stops, wherever its thread is, when the context ends."""
    over = threading.Event()

    def on_progress(rows: int) -> None:
        if over.is_set():
            raise Interrupted
        order.on_rows(rows)

    try:
        yield read_audience(
            order.campaign.audience,
            stdin=order.stdin,
            strict=order.strict,
            on_progress=on_progress,
            on_tie=on_tie,
            known=known,
        )
    finally:
        over.set()


def _take(chunks: Iterator[Chunk]) -> list[Chunk]:
    return list(islice(chunks, CHUNKS_AT_ONCE))


# A run that has begun


async def _check_same(order: Order, run: Run, ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> None:
    campaign = order.campaign
    if run.origin != order.origin:
        _refuse(run, f"it began at the API {run.origin}, and this is {order.origin}")
    if (run.campaign, run.account) != (campaign.campaign, campaign.account):
        _refuse(
            run,
            f"it belongs to campaign {run.campaign}, account {run.account}; "
            f"the file says campaign {campaign.campaign}, account {campaign.account}",
        )
    if run.message_fingerprint != order.message_fingerprint:
        _refuse(run, "the message has changed since it began")
    check_expected(run.plan.planned, order.expect)
    await check_fingerprint(ledger, run, run.plan.audience_fingerprint, order.fingerprint)
    if not order.only_new:
        await _check_audience(order, run, ledger, log)
    elif not _is_unread(order, run):
        order.on_notice(f"{run.name} goes on with its plan; run this once more for whoever is new since it was made.")


async def _check_audience(order: Order, run: Run, ledger: Ledger, log: structlog.typing.FilteringBoundLogger) -> None:
    spec, paths = audience_spec(order.campaign), order.campaign.audience.csv
    stamps = tuple(stamp(path) for path in paths)
    if _is_unread(order, run):
        return
    gone = [path for path, found in zip(paths, stamps, strict=True) if found is None]
    if spec == run.audience_spec and gone:
        log.warning(logs.PLAN_FROZEN, gone=gone)
        names = ", ".join(display_name(path) for path in gone)
        order.on_notice(f"{names} can't be read again, so the plan goes on as it was made.")
        return
    with _reading(order) as reading:
        await asyncio.to_thread(_exhaust, reading)
    give_back()
    if reading.fingerprint != run.plan.audience_fingerprint:
        _refuse(run, _difference(run, reading))
    await ledger.keep_sources(run.id, spec, reading.sources)


def _is_unread(order: Order, run: Run) -> bool:
    """Whether the CSVs and the section about them are as they were planned, so that nothing has to be read again."""
    stamps = tuple(stamp(path) for path in order.campaign.audience.csv)
    return audience_spec(order.campaign) == run.audience_spec and stamps == run.plan.sources


def _exhaust(reading: AudienceReading) -> None:
    for _ in reading:
        pass


def _difference(run: Run, reading: AudienceReading) -> str:
    then, now = run.plan.counts["rows"], reading.counts.rows
    if then != now:
        return f"the audience has changed since it began: {spelled(then, 'row')} then, {spelled(now, 'row')} now"
    return f"the audience has changed since it began: {spelled(now, 'row')} as before, but other people or order"


def _refuse(run: Run, why: str) -> None:
    raise RunMismatch(
        f"the run {run.name} can't go on: {why}. Nothing was sent. To finish that run, put back what changed. To send "
        "only to those whom no run of this campaign has planned, add --only-new; to send to everybody, add --run NAME"
    )


def audience_spec(campaign: Campaign) -> str:
    """A hash of the audience section, but for the exclusion lists, which may change."""
    section = campaign.audience.model_dump(mode="json", exclude={"exclude"})
    return sha256(json.dumps(section, sort_keys=True).encode()).hexdigest()
