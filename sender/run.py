"""One campaign run from start to report: the only place where the parts are put together."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from campaigns.media import MediaFile
from campaigns.model import Campaign
from sender import content, logs, planning
from sender.errors import InputError, LedgerError
from sender.ledger import Ledger, open_ledger
from sender.ledger.lock import run_lock
from sender.naming import name_of_new, run_name
from sender.notify import telling
from sender.options import Options
from sender.outcome import RunState
from sender.report import Ended, Report, nothing_new
from sender.session import Session, View
from sender.settings import Settings
from sender.signals import Interrupted, Signals
from sender.transport import check_installed

CLOCK_SLACK_SECONDS = 60.0


async def send_campaign(
    campaign: Campaign, settings: Settings, options: Options, view: View, consent: Callable[[int], Awaitable[None]]
) -> Ended:
    """Plans the campaign, or goes on with its run, and sends until nothing is pending or something stands in the way.

    `consent` is called with the number of recipients of a new plan, and raises InputError to refuse it.
    Raises CampaignError and InputError (nothing was sent), RunHeld, RunMismatch, LedgerError, and Interrupted when a
    signal came before the first call. A stop by the API is no exception: the report's state and reason tell of it.
    """
    settings.require_token()
    transport = options.transport or campaign.delivery.transport
    check_installed(transport)
    settings = settings.over(transport)
    name = run_name(campaign, run=options.run, occurrence=options.occurrence)
    file = content.message_file(campaign)
    with Signals() as signals:
        try:
            async with (
                telling(campaign, settings, signals, view) as on_end,
                _opened(settings, options, view) as (ledger, view),
            ):
                return await _in_ledger(campaign, name, settings, options, view, consent, signals, file, ledger, on_end)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            raise Interrupted(signals.received, has_begun=signals.has_begun) from None


@asynccontextmanager
async def _opened(settings: Settings, options: Options, view: View) -> AsyncIterator[tuple[Ledger, View]]:
    """The ledger, and the view to tell; with metrics, both are counted and served."""
    if options.metrics is None:
        async with open_ledger(settings.ledger) as ledger:
            yield ledger, view
        return
    from sender.metrics import Metered, Metrics, serving  # costs a start 60 ms, for those who ask for it

    metrics = Metrics()
    async with (
        open_ledger(settings.ledger, metrics.committed) as ledger,
        serving(metrics, options.metrics, settings.ledger) as url,
    ):
        view.notice(f"Metrics are at {url}")
        yield ledger, Metered(view, metrics)


async def _refuse_late(campaign: Campaign, name: str, options: Options, ledger: Ledger) -> None:
    """A new run after its deadline would only be cancelled; one that began is, whenever somebody looks."""
    deadline = campaign.deadline
    if deadline is None or options.missed or time.time() < deadline.timestamp():
        return
    run = await ledger.find_run(name)
    if run is None or run.state is RunState.PLANNING:
        place = campaign.place("not_after")
        raise InputError("not_after has passed: set a later time, or take it out; nothing was sent", place=place)


async def _check_clock(ledger: Ledger, account_id: int) -> None:
    """Raises LedgerError when the clock has gone back: what was sent lately would seem yet to come, or long ago."""
    now = time.time()
    ahead_seconds = (await ledger.last_call_of(account_id) or 0.0) - now
    if ahead_seconds > CLOCK_SLACK_SECONDS:
        raise LedgerError(
            f"this machine's clock is {ahead_seconds:,.0f} s behind the last call in the ledger: set it right, or the "
            "rate and the times in the ledger can't be relied on; nothing was sent"
        )


async def _in_ledger(
    campaign: Campaign,
    name: str,
    settings: Settings,
    options: Options,
    view: View,
    consent: Callable[[int], Awaitable[None]],
    signals: Signals,
    file: MediaFile | None,
    ledger: Ledger,
    on_end: Callable[[Report], None],
) -> Ended:
    if options.only_new and not options.run and not options.occurrence:
        name = await name_of_new(campaign, settings.origin, ledger)
    await _refuse_late(campaign, name, options, ledger)
    log = logs.get_logger(run=name, campaign=campaign.campaign)
    order = planning.Order(
        campaign=campaign,
        run=name,
        origin=settings.origin,
        message_fingerprint=content.fingerprint(campaign, file),
        consent=consent,
        only_new=options.only_new,
        strict=options.strict,
        stdin=options.stdin,
        expect=options.expect,
        fingerprint=options.fingerprint,
        on_rows=view.rows,
        on_notice=view.notice,
    )
    await _check_clock(ledger, await ledger.account_id(settings.origin, campaign.account))
    with run_lock(settings.ledger, name):
        run = await planning.planned_run(order, ledger, log)
        if run is None:
            view.notice("Nobody is new: every recipient is in a run of this campaign already.")
            return Ended(report=nothing_new(campaign, name))
        session = Session(
            campaign=campaign,
            settings=settings,
            options=options,
            view=view,
            signals=signals,
            ledger=ledger,
            run=run,
            file=file,
            log=log,
            on_end=on_end,
        )
        return await session.send()
