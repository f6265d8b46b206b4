"""What a plan has to be before anything is sent: not empty, below its ceiling, and what was agreed to."""

from campaigns.fingerprint import PlanFingerprint
from campaigns.model import Campaign
from sender.errors import InputError
from sender.ledger import Ledger, Run
from sender.outcome import ChunkState
from sender.report import spelled

LEAVES = frozenset(ChunkState) - {ChunkState.SPLIT}


def check_size(campaign: Campaign, planned: int) -> None:
    """Raises InputError for a plan of nobody, or of more than the campaign allows."""
    if planned == 0:
        raise InputError(
            f"nobody is left to send to: see `campaign plan {campaign.file.name}`",
            place=campaign.place("audience", "csv"),
        )
    ceiling = campaign.delivery.max_recipients
    if ceiling is not None and planned > ceiling:
        raise InputError(
            f"the audience has {spelled(planned, 'recipient')}, more than max_recipients allows ({ceiling:,})",
            place=campaign.place("delivery", "max_recipients"),
        )


def check_expected(planned: int, expect: int | None) -> None:
    """Raises InputError when the plan's number of recipients is not the one that was expected."""
    if expect is not None and planned != expect:
        raise InputError(
            f"the plan has {spelled(planned, 'recipient')}, and --expect says {expect:,}: nothing was sent"
        )


async def check_fingerprint(ledger: Ledger, run: Run, audience: str, agreed: str | None) -> None:
    """Raises InputError when the run's plan is not the one whose fingerprint was agreed to."""
    if agreed is not None and await ledger_fingerprint(ledger, run, audience) != agreed:
        raise InputError(
            f"the plan of {run.name} is not the one that was shown: its message, its recipients or their order have "
            "changed since. Plan it again, and look at what that shows; nothing was sent"
        )


async def ledger_fingerprint(ledger: Ledger, run: Run, audience: str) -> str:
    """The fingerprint of a run's plan, sealed or not; `audience` is that of its audience."""
    fingerprint = PlanFingerprint()
    async for chunk in ledger.chunks(run.id, LEAVES):
        fingerprint.add(chunk.kind, chunk.recipients)
    return fingerprint.hexdigest(
        run=run.name,
        campaign=run.campaign,
        account=run.account,
        message=run.message_fingerprint,
        audience=audience,
    )
