"""One campaign run from start to report: the only place where the parts are put together."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from campaigns.media import MediaFile
from campaigns.model import Campaign
from sender import content, logs, planning
from sender.errors import InputError, LedgerError
from sender.ledger import Ledger, open_ledger
from sender.ledger.lock import run_lock
from sender.naming import name_of_new
from sender.report import Ended, nothing_new
from sender.session import Options, Session, View
from sender.settings import Settings
from sender.signals import Interrupted, Signals

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
    _refuse_unkept(campaign, options)
    file = content.message_file(campaign)
    with Signals() as signals:
        try:
            async with open_ledger(settings.ledger) as ledger:
                return await _in_ledger(campaign, settings, options, view, consent, signals, file, ledger)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            raise Interrupted(signals.received, has_begun=signals.has_begun) from None


def _refuse_unkept(campaign: Campaign, options: Options) -> None:
    """A rule that is not kept must not look as if it were."""
    for name in ("window", "not_after", "notify"):
        if getattr(campaign, name) is not None:
            place = campaign.place(name)
            raise InputError(
                f"this version does not keep {name} yet: take it out to send; nothing was sent", place=place
            )
    if campaign.schedule and campaign.schedule.cron and not options.run:
        place = campaign.place("schedule", "cron")
        raise InputError("which occurrence this is has to be said: add --run NAME; nothing was sent", place=place)


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
    settings: Settings,
    options: Options,
    view: View,
    consent: Callable[[int], Awaitable[None]],
    signals: Signals,
    file: MediaFile | None,
    ledger: Ledger,
) -> Ended:
    name = options.run or campaign.campaign
    if options.only_new and not options.run:
        name = await name_of_new(campaign, settings.origin, ledger)
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
        )
        return await session.send()
