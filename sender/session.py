"""One sealed run, under its lock: from its first pending chunk to the report."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from campaigns.media import MediaFile
from campaigns.model import Campaign, Rate
from sender import content, logs
from sender.backlog import Backlog
from sender.canary import end_of_first
from sender.content import ContentMaker
from sender.errors import InputError, SendingStopped, first_error
from sender.inro.account import Account
from sender.inro.client import InroClient, connect
from sender.inro.wire import Content
from sender.ledger import Ledger, Position, Rates, Run
from sender.listener import Listener
from sender.noting import Noting
from sender.options import Options
from sender.outcome import ChunkState, RunState
from sender.pool import Pool
from sender.ports import Messenger, Watcher
from sender.report import Ended, Report, limit_reached, make_report, nothing_left, stranded_notice
from sender.retry import Policy, Tally
from sender.settings import Settings
from sender.signals import Signals
from sender.suppression import Suppression
from sender.throttle import Throttle
from sender.timekeeper import Timekeeper
from sender.transport import open_messenger


class View(Watcher, Protocol):
    """What a run shows."""

    def rows(self, count: int) -> None:
        """So many rows of the audience have been read."""

    def begun(self, report: Report) -> None:
        """Sending begins, or goes on, from here."""

    def notice(self, text: str) -> None:
        """Something that a person should know."""


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
    on_end: Callable[[Report], None]
    reason: str = field(default="", init=False)
    timekeeper: Timekeeper = field(init=False)
    listener: Listener | None = field(default=None, init=False)
    was_cancelled: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.timekeeper = Timekeeper(self.campaign, self.run, self.ledger, self.log, self.view.notice)

    async def send(self) -> Ended:
        await self.timekeeper.cancel_if_late(self.options.missed)
        await self._listener(None).obey()
        self.run = await self._fresh_run()
        self.was_cancelled = self.run.state is RunState.CANCELLED
        suppression = Suppression(self.run, self.campaign.audience, self.ledger, self.log)
        await suppression.apply()
        limit = self.options.limit
        until = await end_of_first(self.ledger, self.run.id, limit) if limit else None
        report = await self._report()
        if not report.recipients["sending"] and not await Backlog(self.ledger, self.run.id, until=until).rewind():
            self.view.notice(nothing_left(report, limit))
            return Ended(report=await self._rest(report))
        await self._check_recipients_rate()
        await self._work(suppression, until)
        ended = Ended(report=await self._finish(), signal=self.signals.received)
        if limit and ended.is_at_limit:
            self.view.notice(limit_reached(ended.report, limit))
        return ended

    async def _work(self, suppression: Suppression, until: Position | None) -> None:
        self.signals.has_begun = True
        stranded = await self.ledger.start_session(self.run.id, time.time(), self._rates)
        report = await self._report()
        if stranded:
            self.view.notice(stranded_notice(stranded))
        self.log.info(logs.RUN_STARTED, **report.recipients)
        self.view.begun(report)
        self.timekeeper.tell_of_rehearsal()
        try:
            async with connect(
                api_url=self.settings.api_url,
                token=self.settings.require_token(),
                timeout_seconds=self.campaign.delivery.timeout_seconds,
            ) as client:
                message = await self._content(client)
                async with open_messenger(
                    self.options.transport or self.campaign.delivery.transport,
                    settings=self.settings,
                    client=client,
                    content=message,
                    key=self.run.key,
                    file=self.file,
                    timeout_seconds=self.campaign.delivery.timeout_seconds,
                    kinds={leaf.kind for leaf in await self.ledger.leaves(self.run.id)},
                ) as messenger:
                    await self._pool(messenger, suppression, until)
        except SendingStopped as error:
            self.reason = str(error)
        except InputError as error:  # the API knows no such post
            self.reason = str(error)
            await self._end(RunState.STOPPED)
            raise
        except asyncio.CancelledError:
            if self.signals.received is None:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]  # the signal is obeyed: what follows may wait
        except BaseExceptionGroup as group:
            raise first_error(group) from group

    async def _content(self, client: InroClient) -> Content:
        """The run's content, made once and frozen with it."""
        if self.run.content is not None:
            # The file was checked to be the same by its content; it may have another name now.
            return content.thaw(self.run.content, self.file)
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

    async def _pool(self, messenger: Messenger, suppression: Suppression, until: Position | None) -> None:
        throttle = Throttle(self._rates.calls)
        await self.ledger.note_rate(self.run.id, str(self._rates.calls))
        self.listener = self._listener(throttle)
        noting = Noting(self.view, self.ledger, self.run.id)
        pool = Pool(
            backlog=Backlog(self.ledger, self.run.id, until=until),
            ledger=self.ledger,
            messenger=messenger,
            throttle=throttle,
            policy=self._policy,
            tally=await self._tally(),
            workers=self.campaign.delivery.workers,
            watcher=noting,
            gate=self.timekeeper.gate,
            log=self.log,
        )
        if self.run.held:
            self.view.notice(f"{self.run.name} is paused: `campaign resume {self.run.name}` lifts that.")
            self.timekeeper.gate.hold()
        with self.signals.gently(lambda: self._finish_in_flight(pool)):
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(noting.keep()),
                    group.create_task(self._watch(suppression, pool)),
                    group.create_task(self.listener.listen(pool, self.timekeeper.gate, self._policy.max_wait_seconds)),
                    group.create_task(self.timekeeper.keep_deadline()),
                ]
                await pool.run()
                for task in beside:
                    task.cancel()
        self.reason = pool.stop_reason or ""

    def _finish_in_flight(self, pool: Pool) -> None:
        self.log.info(logs.RUN_STOPPING)
        self.view.notice("Stopping: what is in flight is let finish. A second signal stops at once.")
        pool.stop()

    async def _watch(self, suppression: Suppression, pool: Pool) -> None:
        if self.campaign.audience.exclude:
            pool.stop(await suppression.watch())

    def _listener(self, throttle: Throttle | None) -> Listener:
        async def set_rate(rate: Rate) -> None:
            if throttle:
                throttle.set_rate(rate)
                await self.ledger.note_rate(self.run.id, str(rate))

        return Listener(
            run=self.run.name, ledger=self.ledger, log=self.log, on_rate=set_rate, on_notice=self.view.notice
        )

    async def _tally(self) -> Tally:
        totals = await self.ledger.totals(self.run.id)
        undecided = (ChunkState.PENDING, ChunkState.SENDING)
        return Tally(
            accepted=totals.recipients.get(ChunkState.ACCEPTED, 0),
            rejected=totals.recipients.get(ChunkState.REJECTED, 0),
            decided=sum(number for state, number in totals.recipients.items() if state not in undecided),
        )

    @property
    def _rates(self) -> Rates:
        """What is asked for: the flag goes before the operators' lever, and that before the campaign file."""
        delivery = self.campaign.delivery
        lever = Rate.parse(self.run.rate) if self.run.rate else None
        return Rates(calls=self.options.rate or lever or delivery.rate, recipients=delivery.recipients)

    @property
    def _policy(self) -> Policy:
        delivery = self.campaign.delivery
        return Policy(
            max_wait_seconds=delivery.max_wait_seconds,
            max_rejected=delivery.max_rejected.count,
            max_rejected_share=delivery.max_rejected.share,
        )

    async def _check_recipients_rate(self) -> None:
        """Raises InputError when a chunk of the plan is larger than `recipients` ever lets through."""
        rate = self.campaign.delivery.recipients
        leaves = await self.ledger.leaves(self.run.id) if rate else []
        largest = max((leaf.size for leaf in leaves if leaf.state is ChunkState.PENDING), default=0)
        if rate and largest > rate.count:
            place = self.campaign.place("delivery", "recipients")
            raise InputError(
                f"{rate} never lets a chunk of {largest:,} through, and this run was planned with such chunks; "
                f"accepted is {largest:,} or more",
                place=place,
            )

    async def _finish(self) -> Report:
        """Writes down how the session ended; a further signal changes nothing about that."""
        self.signals.is_over = True
        totals = await self.ledger.totals(self.run.id)
        is_pending = bool(totals.chunks.get(ChunkState.PENDING))
        listener = self.listener
        if self.reason:
            state = RunState.STOPPED
        elif not is_pending and (self.was_cancelled or (listener and listener.is_cancelled)):
            state = RunState.CANCELLED
        elif is_pending and listener and listener.is_held:
            state = RunState.PAUSED
        elif is_pending or self.signals.received is not None:
            state = RunState.INTERRUPTED
        else:
            state = RunState.COMPLETED
        return await self._end(state)

    async def _rest(self, report: Report) -> Report:
        """The report of a run in which there is nothing to do now."""
        if report.recipients["pending"]:
            has_died = self.run.state in (RunState.RUNNING, RunState.SCHEDULED)
            return await self._end(RunState.INTERRUPTED) if has_died else report
        is_done = self.run.state in (RunState.COMPLETED, RunState.CANCELLED)
        return report if is_done else await self._end(RunState.COMPLETED)

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
        self.on_end(report)
        return report

    async def _report(self) -> Report:
        run = await self._fresh_run()
        return make_report(run, await self.ledger.totals(run.id), now=time.time())

    async def _fresh_run(self) -> Run:
        run = await self.ledger.find_run(self.run.name)
        assert run is not None  # noqa: S101 – this session holds its lock
        return run
