"""`run_status`, `run_report`, `list_medias` and `find_contact`: the tools that only look."""

from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from pydantic import Field

from sender.errors import InputError
from sender.look import recipient_lines, run_report
from sender.mcp.results import Contacts, FoundContact, Media, Medias, RunDetails, RunNow, RunReport
from sender.mcp.scope import Scope, told
from sender.media_library import open_account
from sender.trial import read_contact
from sender.watch import moments

MOST_FOUND = 20

RecipientState = Literal[
    "accepted", "not_found", "rejected", "unknown", "assumed_sent", "cancelled", "pending", "sending"
]
Limit = Annotated[int, Field(ge=1, le=1000)]


@dataclass(frozen=True)
class Looking:
    """The tools."""

    scope: Scope

    @told
    async def run_status(self, run: str | None = None) -> RunNow:
        """Where a run stands at this moment: numbers, rate, time left, a pause, the last failures.

        Without `run` it is the one that is being sent, or else the newest.
        """
        async with aclosing(moments(self.scope.settings.ledger, run)) as seen:
            async for moment in seen:
                return RunNow.model_validate(moment.as_json())
        raise InputError("the ledger tells nothing of this run")

    @told
    async def run_report(self, run: str, states: list[RecipientState] | None = None, limit: Limit = 100) -> RunDetails:
        """What happened in a run, and with `states` what became of the recipients in them, with the API's reasons.

        The states are those of the sums: ["rejected", "unknown", "not_found"] are who did not get the message for
        sure. `limit` is the most recipients that are listed.
        """
        report, sender = await run_report(self.scope.settings.ledger, run)
        lines: list[str] = []
        if states:
            async with aclosing(recipient_lines(self.scope.settings.ledger, run, states)) as found:
                async for line in found:
                    lines.append(line)
                    if len(lines) > limit + 1:  # the header, and one that shows that there are more
                        break
        return RunDetails(
            report=RunReport.model_validate(report.as_json()),
            is_being_sent=sender is not None,
            recipients_csv="".join(lines[: limit + 1]).encode("utf-8", "backslashreplace").decode(),
            is_cut=len(lines) > limit + 1,
        )

    @told
    async def list_medias(self, kind: Literal["all", "reels"] = "all", limit: Limit = 25) -> Medias:
        """The account's own posts and reels, with the ids that a `share` message names."""
        found: list[Media] = []
        async with open_account(self.scope.settings) as account:
            async for post in account.posts():
                if kind == "reels" and not post.is_meant_by("latest-reel"):
                    continue
                if len(found) == limit:
                    return Medias(medias=found, is_cut=True)
                found.append(Media(**asdict(post)))
        return Medias(medias=found, is_cut=False)

    @told
    async def find_contact(self, who: str) -> Contacts:
        """Find a contact by @name, e-mail address or id, or by words such as a first name.

        `send_test` takes the username of what is found. A contact whose status is `optout` wants no messages: do not
        write to them.
        """
        async with open_account(self.scope.settings) as account:
            try:
                kind, address = read_contact(who)
                exact = await account.contact(kind, address)
            except InputError:  # words that are no identifier
                exact = None
            if exact:
                return Contacts(contacts=[FoundContact(**asdict(exact))], is_exact=True)
            found: list[FoundContact] = []
            async for contact in account.contacts(who.strip().removeprefix("@")):
                found.append(FoundContact(**asdict(contact)))
                if len(found) == MOST_FOUND:
                    break
        return Contacts(contacts=found, is_exact=False)
