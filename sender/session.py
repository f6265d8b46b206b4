"""One sealed run, under its lock: from its first pending chunk to the report."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

import structlog

from campaigns.media import MediaFile
from campaigns.model import Campaign, Rate
from sender import content, logs
from sender.backlog import Backlog
from sender.content import ContentMaker
from sender.errors import InputError, SenderError, SendingStopped
from sender.inro.account import Account
from sender.inro.client import InroClient, connect
from sender.inro.messenger import InroMessenger
from sender.inro.wire import Content
from sender.ledger import Ledger, Part, Position, Run, StoredChunk
from sender.outcome import ChunkState, Lever, RunState
from sender.pool import Pool, Watcher
from sender.report import Report, make_report, spelled
from sender.retry import Policy, Tally
from sender.settings import Settings
from sender.signals import Signals
from sender.suppression import Suppression
from sender.throttle import Throttle

LISTEN_SECONDS = 1.0


class View(Watcher, Protocol):
    """What a run shows."""

    def rows(self, count: int) -> None:
        """So many rows of the audience have been read."""

    def begun(self, report: Report) -> None:
        """Sending begins, or goes on, from here."""

    def notice(self, text: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one `send` asks for beyond its campaign file.

    run        the run's name, None for the campaign's
    only_new   send to those whom no run of the campaign has planned
    expect     the number of recipients that the plan must have
    limit      stop after the first so many recipients of the plan
    strict     refuse an audience with rejected rows
    rate       calls in a period, instead of the campaign file's
    stdin      what `csv: "-"` reads
    """

    run: str | None = None
    only_new: bool = False
    expect: int | None = None
    limit: int | None = None
    strict: bool = False
    rate: Rate | None = None
    stdin: BinaryIO | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a `send` ended: what is true of the run now, and the signal that ended it, if one did."""

    report: Report
    signal: int | None = None


@dataclass(kw_only=True)
class Session:
    """One sealed run, under its lock, from the first pending chunk to the report."""

    campaign: Campaign
    settings: Settings
    options: Options
    view: View
    signals: Signals
    ledger: Ledger
    run: Run
    file: MediaFile | None
    log: structlog.typing.FilteringBoundLogger
    reason: str = field(default="", init=False)
    cancelled: bool = field(default=False, init=False)

    async def send(self) -> Ended:
        await self._obey(None)
        suppression = Suppression(self.run, self.campaign.audience, self.ledger, self.log)
        await suppression.apply()
        until = await self._boundary(self.options.limit)
        report = await self._report()
        if not report.recipients["sending"] and not await Backlog(self.ledger, self.run.id, until=until).rewind():
            self.view.notice(_nothing_left(report))
            return Ended(report=await self._rest(report))
        await self._check_recipients_rate()
        await self._work(suppression, until)
        return Ended(report=await self._finish(), signal=self.signals.received)

    async def _work(self, suppression: Suppression, until: Position | None) -> None:
        stranded = await self.ledger.start_session(self.run.id, time.time())
        report = await self._report()
        if stranded:
            self.view.notice(_stranded(stranded))
        self.log.info(logs.RUN_STARTED, **report.recipients)
        self.view.begun(report)
        try:
            async with connect(
                api_url=self.settings.api_url,
                token=self.settings.require_token(),
                timeout_seconds=self.campaign.delivery.timeout_seconds,
            ) as client:
                message = await self._content(client)
                await self._pool(client, message, suppression, until)
        except SendingStopped as error:
            self.reason = str(error)
        except asyncio.CancelledError:
            if self.signals.received is None:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # the signal is obeyed: what follows may wait
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _content(self, client: InroClient) -> Content:
        """The run's content, made once and frozen with it."""
        if self.run.content is not None:
            return content.thaw(self.run.content)
        maker = ContentMaker(
            account=Account(client, self._policy),
            ledger=self.ledger,
            account_id=self.run.account_id,
            text_field=self.settings.text_field,
            log=self.log,
        )
        made = await maker.make(self.campaign, self.file)
        await self.ledger.keep_content(self.run.id, content.freeze(made))
        return made

    async def _pool(
        self, client: InroClient, message: Content, suppression: Suppression, until: Position | None
    ) -> None:
        throttle = await self._throttle()
        pool = Pool(
            backlog=Backlog(self.ledger, self.run.id, until=until),
            ledger=self.ledger,
            messenger=InroMessenger(client=client, content=message, key=self.run.key),
            throttle=throttle,
            policy=self._policy,
            tally=await self._tally(),
            workers=self.campaign.delivery.workers,
            watcher=self.view,
            log=self.log,
        )
        if self.run.held:
            pool.hold()
        with self.signals.gently(lambda: self._finish_in_flight(pool)):
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._watch(suppression, pool)),
                    group.create_task(self._listen(pool, throttle)),
                ]
                await pool.run()
                for task in beside:
                    task.cancel()
        self.reason = pool.stop_reason or ""

    def _finish_in_flight(self, pool: Pool) -> None:
        self.log.warning(logs.RUN_STOPPING)
        self.view.notice("Stopping: what is in flight is let finish. A second signal stops at once.")
        pool.stop()

    async def _watch(self, suppression: Suppression, pool: Pool) -> None:
        if self.campaign.audience.exclude:
            pool.stop(await suppression.watch())

    async def _listen(self, pool: Pool, throttle: Throttle) -> None:
        """Obeys the operators' levers, once a second."""
        held_since: float | None = None
        while True:
            for lever in await self._obey(throttle):
                if lever is Lever.CANCEL:
                    self.cancelled = True
                    pool.stop()
            held_since = (held_since or time.monotonic()) if self.run.held else None
            if held_since is None:
                pool.release()
            else:
                pool.hold()
                if time.monotonic() - held_since > self._policy.max_wait_seconds:
                    pool.stop(f"it is paused still: `campaign resume {self.run.name}` lifts that; then start it again")
            await asyncio.sleep(LISTEN_SECONDS)

    async def _obey(self, throttle: Throttle | None) -> list[Lever]:
        """Does what operators have asked of this run since the last look."""
        commands = await self.ledger.open_commands(self.run.id)
        for command in commands:
            changed = await self.ledger.obey(command, time.time())
            self.log.warning(
                logs.LEVER_OBEYED, lever=command.lever, argument=command.argument, user=command.user, recipients=changed
            )
            self.view.notice(f"{command.user} asked for {command.lever.replace('_', ' ')} {command.argument}".rstrip())
            if command.lever is Lever.RATE and throttle:
                throttle.set_rate(Rate.parse(command.argument))
        self.run = await self._fresh_run()
        return [command.lever for command in commands]

    async def _tally(self) -> Tally:
        totals = await self.ledger.totals(self.run.id)
        undecided = (ChunkState.PENDING, ChunkState.SENDING)
        return Tally(
            accepted=totals.recipients.get(ChunkState.ACCEPTED, 0),
            rejected=totals.recipients.get(ChunkState.REJECTED, 0),
            decided=sum(number for state, number in totals.recipients.items() if state not in undecided),
        )

    async def _throttle(self) -> Throttle:
        """The account's rate, with what other sessions sent lately counted in."""
        delivery = self.campaign.delivery
        rate = self.options.rate or (Rate.parse(self.run.rate) if self.run.rate else delivery.rate)
        throttle = Throttle(rate, delivery.recipients)
        longest = max(rate.period_seconds, delivery.recipients.period_seconds if delivery.recipients else 0.0)
        now = time.time()
        sends = await self.ledger.recent_sends(self.run.account_id, now - longest)
        throttle.remember((now - sent_at, recipients) for sent_at, recipients in sends)
        return throttle

    @property
    def _policy(self) -> Policy:
        delivery = self.campaign.delivery
        return Policy(
            max_wait_seconds=delivery.max_wait_seconds,
            max_rejected=delivery.max_rejected.count,
            max_rejected_share=delivery.max_rejected.share,
        )

    async def _boundary(self, limit: int | None) -> Position | None:
        """The first position behind the plan's first `limit` recipients; a chunk that lies across it is cut there."""
        if limit is None:
            return None
        before = 0
        for leaf in await self.ledger.leaves(self.run.id):
            if leaf.state is ChunkState.CANCELLED:
                continue
            if before >= limit:
                return leaf.position
            if before + leaf.size > limit and leaf.state is ChunkState.PENDING:
                await self._cut(leaf, limit - before)
                return await self._boundary(limit)
            before += leaf.size
        return None

    async def _cut(self, leaf: StoredChunk, size: int) -> None:
        recipients = (await self.ledger.load(leaf)).recipients
        parts = (
            Part(recipients=recipients[:size], first=leaf.first),
            Part(recipients=recipients[size:], first=leaf.first + size),
        )
        await self.ledger.split(leaf, parts, time.time())

    async def _check_recipients_rate(self) -> None:
        """Raises InputError when a chunk of the plan is larger than `recipients` ever lets through."""
        rate = self.campaign.delivery.recipients
        leaves = await self.ledger.leaves(self.run.id) if rate else []
        largest = max((leaf.size for leaf in leaves if leaf.state is ChunkState.PENDING), default=0)
        if rate and largest > rate.count:
            place = self.campaign.place("delivery", "recipients")
            raise InputError(
                f"{place}: {rate} never lets a chunk of {largest:,} through, and this run was planned with such "
                f"chunks; accepted is {largest:,} or more"
            )

    async def _finish(self) -> Report:
        """Writes down how the session ended."""
        totals = await self.ledger.totals(self.run.id)
        is_pending = bool(totals.chunks.get(ChunkState.PENDING))
        if self.reason:
            state = RunState.STOPPED
        elif self.cancelled and not is_pending:
            state = RunState.CANCELLED
        elif is_pending and self.run.held:
            state = RunState.PAUSED
        elif is_pending or self.signals.received is not None:
            state = RunState.INTERRUPTED
        else:
            state = RunState.COMPLETED
        return await self._end(state)

    async def _rest(self, report: Report) -> Report:
        """The report of a run in which there is nothing to do now."""
        done = RunState.INTERRUPTED if report.recipients["pending"] else RunState.COMPLETED
        return report if self.run.state is done else await self._end(done)

    async def _end(self, state: RunState) -> Report:
        await self.ledger.end_session(self.run.id, state, self.reason, time.time())
        report = await self._report()
        if not report.reconciles:
            self.log.error(logs.RUN_DOES_NOT_RECONCILE, **report.recipients)
        self.log.info(
            logs.RUN_FINISHED,
            state=report.state,
            **report.recipients,
            requests=dict(report.requests),
            elapsed_seconds=round(report.elapsed_seconds, 3),
            **({"reason": report.reason} if report.reason else {}),
        )
        return report

    async def _report(self) -> Report:
        run = await self._fresh_run()
        return make_report(run, await self.ledger.totals(run.id), now=time.time())

    async def _fresh_run(self) -> Run:
        run = await self.ledger.find_run(self.run.name)
        assert run is not None  # noqa: S101 – this session holds its lock
        return run


def _nothing_left(report: Report) -> str:
    if report.recipients["pending"]:
        return "The first recipients of this run are done; the same command without --limit goes on."
    return f"Nothing is left to send: the run {report.run} is done."


def _stranded(recipients: int) -> str:
    return (
        f"{spelled(recipients, 'recipient')} may or may not have got the message when the last sender died. They are "
        "unknown now, and nobody is sent to twice: see `campaign report`."
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first of a group's errors, a SenderError before any other."""
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((leaf for leaf in leaves if isinstance(leaf, SenderError)), leaves[0])
