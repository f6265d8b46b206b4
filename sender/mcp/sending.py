"""`send_test` and `send_campaign`: the tools that write to people."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field, WithJsonSchema

from campaigns.fingerprint import LENGTH
from campaigns.schema import campaign_schema
from sender.errors import InputError
from sender.ledger.lock import holder
from sender.look import run_report
from sender.mcp.authoring import named_run
from sender.mcp.process import HELD, REFUSED, Sender, log_file, start_sender
from sender.mcp.results import RunReport, Sent, SentMessage
from sender.mcp.scope import Scope, told
from sender.outcome import ChunkState, Outcome, RunState
from sender.report import Report, spelled
from sender.trial import read_contact, send_test

POLL_SECONDS = 0.1
LOOK_SECONDS = 1.0
MOST_SECONDS = 600
OUTSIDE = "This stands outside every run and its promise: a second call would send it a second time."
SINGLE_NOTES = {
    ChunkState.ACCEPTED: (
        "Inrō took the message on; only active contacts receive it, and whether Instagram delivers is not known. "
        f"{OUTSIDE}"
    ),
    ChunkState.UNKNOWN: f"It may or may not have been received: ask a person before you send it again. {OUTSIDE}",
}
NOT_SENT = "It was not sent."

OnReport = Callable[[Report], Awaitable[None]]


def _message_schema() -> dict[str, Any]:
    """The schema of a campaign file's `message` section, complete in itself."""
    schema: Any = campaign_schema()
    definitions = schema["$defs"]
    kinds = [definitions[name] for name in sorted(definitions) if name.endswith("Message")]
    return {"anyOf": [{"type": "object", "anyOf": kinds}, {"type": "null"}], "default": None}


InlineMessage = Annotated[
    dict[str, Any] | None,
    WithJsonSchema(_message_schema()),
]
Fingerprint = Annotated[str, Field(pattern=f"^[0-9a-f]{{{LENGTH}}}$")]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=0, le=MOST_SECONDS)]


@dataclass(frozen=True)
class Sending:
    """The tools."""

    scope: Scope
    senders: list[Sender] = field(default_factory=list)

    @told
    async def send_test(self, to: str, message: InlineMessage = None, file: str | None = None) -> SentMessage:
        """Send one message to one contact now: a test of a campaign's message, or a message of its own.

        `to` is @name, an e-mail address or a contact's id. Give either `file`, a campaign file whose message is meant,
        or `message`, as a campaign file would have it: {"type": "text", "text": "Hello"}, {"type": "video", "video":
        "https://…/reel.mp4"} (likewise image and audio; a path of a file in the server's folders is uploaded), or
        {"type": "share", "post": "latest-reel"} (or "latest", a permalink, or "media_id"). Nothing keeps a second call
        from sending a second message: never repeat it to be sure. To write to many, use a campaign.
        """
        if (message is None) == (file is None):
            raise InputError("give either `message` or `file`: the message itself, or the campaign file that has it")
        contact = read_contact(to)
        if message is not None:
            campaign = self.scope.roots.message(message)
        else:
            campaign = await asyncio.to_thread(self.scope.roots.load, file or "")
        self.scope.settings.require_token()
        self.scope.count_single()
        outcome = await send_test(campaign, self.scope.settings, contact)
        return _sent_message(outcome, to=str(contact[1]), kind=contact[0])

    @told
    async def send_campaign(
        self,
        file: str,
        plan_fingerprint: Fingerprint,
        recipients: Count,
        ctx: Context[Any, Any],
        run: str | None = None,
        wait_seconds: Seconds = 30,
    ) -> Sent:
        """Send a planned campaign to all of its recipients, or go on with it where it stopped.

        `plan_fingerprint` and `recipients` are what `plan_campaign` returned for this `file` and `run`: when the
        message, the recipients or their order have changed since, nothing is sent. A person should have seen that plan
        and agreed to it. Nobody gets the message of one run twice, however often this is called. The sending is a
        process of its own: this call waits for it for `wait_seconds` with progress notifications, and returns; the run
        goes on without you. For a run that is being sent already, this call only watches it.
        """
        campaign = await asyncio.to_thread(self.scope.roots.load, file)
        name = named_run(campaign, run)
        self.scope.check_size(recipients)
        ledger = self.scope.settings.ledger
        sender = None
        if holder(ledger, name) is None:
            self.scope.settings.require_token()
            sender = self._start(
                campaign.file, run=name, ledger=ledger, expect=recipients, fingerprint=plan_fingerprint
            )
        return await self._follow(name, sender, wait_seconds, _progress(ctx))

    def _start(self, file: Path, **agreed: Any) -> Sender:
        # Looking at those that have ended lets the system forget them.
        self.senders[:] = [each for each in self.senders if each.exit_code is None]
        self.senders.append(start_sender(file, sandbox_url=self.scope.sandbox_url, **agreed))
        return self.senders[-1]

    async def _follow(self, run: str, sender: Sender | None, seconds: float, on_report: OnReport) -> Sent:
        """Waits until nobody sends the run any more, or the time is up. Raises ToolError when the sender refused."""
        ledger, until, look_at = self.scope.settings.ledger, time.monotonic() + seconds, 0.0
        while True:
            if sender and sender.exit_code == HELD:
                sender = None  # another one was first: its run is watched
            is_sent = sender.exit_code is None if sender else holder(ledger, run) is not None
            if not is_sent or time.monotonic() >= until:
                break
            if time.monotonic() >= look_at and (report := await self._report(run)):
                look_at = time.monotonic() + LOOK_SECONDS
                await on_report(report)
            await asyncio.sleep(POLL_SECONDS)
        if sender and sender.exit_code in REFUSED:
            raise ToolError(sender.said() or f"the sender ended with code {sender.exit_code}; its log is {sender.log}")
        report = await self._report(run)
        if report:
            await on_report(report)
        return _sent(run, report, log=str(log_file(ledger, run)), started_now=sender is not None, is_sent=is_sent)

    async def _report(self, run: str) -> Report | None:
        try:
            return (await run_report(self.scope.settings.ledger, run))[0]
        except InputError:  # its plan is not sealed yet
            return None


def _progress(ctx: Context[Any, Any]) -> OnReport:
    told_of = -1

    async def tell(report: Report) -> None:
        nonlocal told_of
        planned = report.recipients["planned"]
        if report.decided <= told_of:  # progress that does not increase is none, says the protocol
            return
        told_of = report.decided
        message = (
            f"{report.decided:,} of {spelled(planned, 'recipient')} decided, {report.recipients['accepted']:,} accepted"
        )
        await ctx.report_progress(report.decided, planned, message)

    return tell


def _sent(run: str, report: Report | None, *, log: str, started_now: bool, is_sent: bool) -> Sent:
    return Sent(
        run=run,
        state=str(report.state) if report else "planning",
        started_now=started_now,
        is_being_sent=is_sent,
        report=RunReport.model_validate(report.as_json()) if report else None,
        log=log,
        note=_note(report, is_sent=is_sent),
    )


def _note(report: Report | None, *, is_sent: bool) -> str:
    if is_sent and report and report.state is RunState.PAUSED:
        return "The run is paused; resume_run lifts that."
    if is_sent:
        return "The run is being sent by a process of its own, and goes on: look again with run_status."
    if report is None:
        return "Nobody sends this run, and its plan was never made: nothing was sent."
    said = [
        f"Inrō accepted {spelled(report.recipients['accepted'], 'message')}; whether Instagram delivers is not known."
    ]
    if report.state is RunState.STOPPED:
        said.append(f"It has stopped, and a person should look before it goes on: {report.reason}")
    elif report.recipients["pending"]:
        said.append("Not all are sent: calling this again goes on where it stopped.")
    if report.recipients["unknown"]:
        said.append("Those `unknown` may have got it, and are never sent to again by themselves: a person decides.")
    return " ".join(said)


def _sent_message(outcome: Outcome, *, to: str, kind: str) -> SentMessage:
    is_missing = bool(outcome.not_found_count)
    return SentMessage(
        to=to,
        kind=kind,
        accepted=outcome.chunk is ChunkState.ACCEPTED and not is_missing,
        outcome="not_found" if is_missing else outcome.chunk,
        not_found=is_missing,
        status=outcome.status,
        reason=outcome.reason,
        note="There is no such contact: nothing was sent." if is_missing else SINGLE_NOTES.get(outcome.chunk, NOT_SENT),
    )
