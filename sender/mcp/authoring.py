"""`check_campaign` and `plan_campaign`: what a campaign would do, before anything is sent."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from campaigns.errors import CampaignError
from campaigns.fingerprint import PlanFingerprint
from campaigns.model import Campaign, ShareMessage
from campaigns.plan import Chunk
from sender import content, transport
from sender.agreed import check_size, ledger_fingerprint
from sender.errors import InputError
from sender.ledger import Ledger, Run
from sender.look import existing_run, report_now
from sender.mcp.results import Checked, CheckedFile, Planned
from sender.mcp.scope import Scope, told
from sender.naming import run_name
from sender.outcome import RunState
from sender.preview import Preview, preview
from sender.rejects import Rejects
from sender.report import spelled
from sender.settings import check_run_name

SHOWN_REJECTS = 20
SHOWN_RECIPIENTS = 5
BEGUN = "This run has begun: its recipients are those that were planned then, whatever the CSV holds now."
OVER = "Nothing is left to send in this run; another `run` name would send to everybody again."


def named_run(campaign: Campaign, run: str | None) -> str:
    """The run that is meant. Raises InputError for a name that no run can have."""
    return run_name(campaign, run=check_run_name(run) if run else None, occurrence=None)


@dataclass(frozen=True)
class Authoring:
    """The tools."""

    scope: Scope

    @told
    async def check_campaign(self, file: str = "") -> Checked:
        """Check a campaign file, its CSV, exclusion lists and media: everything that can be known without sending.

        Without a file, all campaign files of the folders that this server was given are checked: the way to find out
        which there are. A path is absolute, or relative to one of these folders.
        """
        names = [file] if file else [str(path) for path in self.scope.roots.listing()]
        return Checked(files=[await asyncio.to_thread(self._check, name) for name in names])

    @told
    async def plan_campaign(self, file: str, run: str | None = None) -> Planned:
        """Show what sending a campaign would do, without sending: recipients, message, calls, time, rejected rows.

        The result has the `plan_fingerprint` and the number of `recipients` that `send_campaign` needs. Show a person
        the message, the number and the notes, and ask for consent, before you send. `run` names the run, which is the
        campaign's own name when left out: another name is another run, whose recipients get the message again.
        """
        campaign = await asyncio.to_thread(self.scope.roots.load, file)
        name = named_run(campaign, run)
        async with AsyncExitStack() as stack:
            try:
                opened = existing_run(self.scope.settings.ledger, None)
                ledger, _ = await stack.enter_async_context(opened)
            except InputError:  # there is no run yet
                return await asyncio.to_thread(self._new, campaign, name, [])
            runs = [each for each in await ledger.runs() if each.state is not RunState.PLANNING]
            if begun := next((each for each in runs if each.name == name), None):
                return await self._of_run(campaign, ledger, begun)
            others = [each.name for each in runs if each.campaign == campaign.campaign]
            return await asyncio.to_thread(self._new, campaign, name, others)

    def _check(self, name: str) -> CheckedFile:
        try:
            campaign = self.scope.roots.load(name)
            found = _Reading(self.scope).read(campaign)
        except CampaignError as error:
            return CheckedFile(file=name, ok=False, problems=[str(problem) for problem in error.problems])
        except InputError as error:
            return CheckedFile(file=name, ok=False, problems=[str(error)])
        file, invalid = str(campaign.file), found.audience["invalid"]
        return CheckedFile(file=file, ok=True, problems=[], recipients=found.planned, rejected_rows=invalid)

    def _new(self, campaign: Campaign, run: str, others: list[str]) -> Planned:
        reading = _Reading(self.scope)
        found = reading.read(campaign)
        check_size(campaign, found.planned)
        message = content.fingerprint(campaign, content.message_file(campaign))
        names = {"run": run, "campaign": campaign.campaign, "account": campaign.account}
        unusable = len(found.unusable_exclusions)
        lists = [f"{spelled(unusable, 'row')} of the exclusion lists exclude nobody: check them."] if unusable else []
        return Planned(
            file=str(campaign.file),
            **names,
            run_state=None,
            pending=found.planned,
            recipients=found.planned,
            plan_fingerprint=reading.people.hexdigest(**names, message=message, audience=found.audience_fingerprint),
            message=_message(campaign),
            first_recipients=reading.first,
            audience=dict(found.audience),
            calls=sum(found.calls.values()),
            seconds_at_rate=round(found.seconds, 3),
            rejected_rows=[f"{row.place}: {row.reason}" for row in reading.rejects.first],
            notes=[*_again(others), *lists, *_notes(campaign)],
        )

    async def _of_run(self, campaign: Campaign, ledger: Ledger, run: Run) -> Planned:
        if content.fingerprint(campaign, content.message_file(campaign)) != run.message_fingerprint:
            raise InputError(
                f"the run {run.name} began with another message: put that back to finish it, or give `run` another "
                "name, whose recipients all get the message"
            )
        self.scope.check_size(run.plan.planned)
        report, _ = await report_now(self.scope.settings.ledger, ledger, run.name)
        return Planned(
            file=str(campaign.file),
            campaign=run.campaign,
            account=run.account,
            run=run.name,
            run_state=report.state,
            pending=report.recipients["pending"],
            recipients=run.plan.planned,
            plan_fingerprint=await ledger_fingerprint(ledger, run, run.plan.audience_fingerprint),
            message=_message(campaign),
            first_recipients=[],
            audience=dict(report.audience),
            calls=None,
            seconds_at_rate=None,
            rejected_rows=[],
            notes=[BEGUN if report.recipients["pending"] else OVER, *_notes(campaign)],
        )


class _Reading:
    """One reading of an audience: how large it may be, and what is kept of it."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._count = 0
        self.people = PlanFingerprint()
        self.first = list[str]()
        self.rejects = Rejects(None, keep=SHOWN_REJECTS)

    def read(self, campaign: Campaign) -> Preview:
        """What the campaign amounts to. Raises CampaignError, and InputError for more than the server allows."""
        return preview(campaign, on_rejected=self.rejects.add, on_chunk=self._add)

    def _add(self, chunk: Chunk) -> None:
        self._count += len(chunk.recipients)
        self._scope.check_size(self._count)
        self.people.add(chunk.kind, chunk.recipients)
        more = chunk.recipients[: SHOWN_RECIPIENTS - len(self.first)]
        self.first += [str(recipient.address(chunk.kind)) for recipient in more]


def _again(others: list[str]) -> list[str]:
    named = ", ".join(others[:5])
    return [f"This campaign has had runs before ({named}): who got its message then gets one again."] if others else []


def _message(campaign: Campaign) -> dict[str, Any]:
    return campaign.message.model_dump(mode="json", exclude_none=True)


def _notes(campaign: Campaign) -> list[str]:
    """What the numbers do not tell."""
    notes = transport.warnings(campaign)
    if isinstance(campaign.message, ShareMessage) and campaign.message.post:
        notes.append(f"Which post `{campaign.message.post}` is, is looked up when sending begins; media_id fixes it.")
    if campaign.schedule:
        notes.append("The campaign has a schedule: `send_campaign` sends it now.")
    if campaign.window:
        notes.append("The campaign has a window: outside of its hours a sender waits, except in a sandbox.")
    if campaign.notify:
        notes.append(f"When the run ends, its numbers are posted to {campaign.notify.url}")
    return notes
