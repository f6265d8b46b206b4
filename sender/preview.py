"""A campaign without sending it: who would get it, in how many calls, in what time. No network, no ledger."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import BinaryIO

from campaigns.audience import RejectedRow, read_audience
from campaigns.model import Campaign, Delivery
from campaigns.plan import plan_chunks
from sender import content
from sender.report import spelled

ANNOUNCED_QUOTA = 1000  # contacts a month in Inrō's Pro plan, its help centre, 2026


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a campaign amounts to.

    audience             rows by what became of them
    recipients           recipients by the kind of identifier that they are addressed by
    calls                calls by that kind; the first tries, without any repetition
    seconds              the least time that the calls take at the campaign's rates
    unusable_exclusions  rows of exclusion lists that exclude nobody, because nothing in them can be read
    """

    campaign: str
    account: str
    message_type: str
    audience: Mapping[str, int]
    recipients: Mapping[str, int]
    calls: Mapping[str, int]
    seconds: float
    unusable_exclusions: tuple[RejectedRow, ...]

    @property
    def planned(self) -> int:
        """All recipients."""
        return sum(self.recipients.values())

    def as_json(self) -> dict[str, object]:
        """The preview as the JSON document that `campaign plan --json` prints; the same for the same input."""
        return {
            "campaign": self.campaign,
            "account": self.account,
            "message_type": self.message_type,
            "audience": dict(self.audience),
            "recipients": {"planned": self.planned, **self.recipients},
            "calls": {"planned": sum(self.calls.values()), **self.calls},
            "seconds_at_rate": round(self.seconds, 3),
            "unusable_exclusions": len(self.unusable_exclusions),
        }


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a check of one file found: a preview, or everything that keeps it from being sent.

    warnings   what may still keep it from being sent
    """

    file: str
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    preview: Preview | None = None

    @property
    def verdict(self) -> str:
        """`ok, 2,452 recipients, 26 rejected rows`, for a file without problems."""
        assert self.preview  # noqa: S101 – the one or the other
        invalid = self.preview.audience["invalid"]
        rejected = f", {spelled(invalid, 'rejected row')}" if invalid else ""
        return f"ok, {spelled(self.preview.planned, 'recipient')}{rejected}"

    def as_json(self) -> dict[str, object]:
        """What `campaign check --json` prints of this file."""
        found = self.preview.as_json() if self.preview else {}
        problems, warnings = list(self.problems), list(self.warnings)
        return {"file": self.file, "ok": not problems, "problems": problems, "warnings": warnings, **found}


def preview(
    campaign: Campaign,
    *,
    stdin: BinaryIO | None = None,
    strict: bool = False,
    on_rejected: Callable[[RejectedRow], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Preview:
    """What the campaign amounts to. Raises CampaignError for anything that keeps it from being sent."""
    content.message_file(campaign)
    audience, delivery = campaign.audience, campaign.delivery
    reading = read_audience(audience, stdin=stdin, strict=strict, on_rejected=on_rejected, on_progress=on_rows)
    recipients: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for chunk in plan_chunks(reading, identify_by=audience.identify_by, chunk_size=delivery.chunk_size):
        recipients[chunk.kind] += len(chunk.recipients)
        calls[chunk.kind] += 1
    return Preview(
        campaign=campaign.campaign,
        account=campaign.account,
        message_type=campaign.message.type,
        audience=asdict(reading.counts),
        recipients={kind.value: recipients[kind] for kind in audience.identify_by},
        calls={kind.value: calls[kind] for kind in audience.identify_by},
        seconds=least_seconds(calls.total(), recipients.total(), delivery),
        unusable_exclusions=tuple(reading.exclusion_problems),
    )


def least_seconds(calls: int, recipients: int, delivery: Delivery) -> float:
    """The least time from the first call to the last at the campaign's rates, the first being free."""
    by_calls = max(0, calls - 1) / delivery.rate.per_second
    limit = delivery.recipients
    by_recipients = max(0, ceil(recipients / limit.count) - 1) * limit.period_seconds if limit else 0.0
    return max(by_calls, by_recipients)
