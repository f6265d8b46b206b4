"""What an agent can read without calling a tool: the schema of campaign files, the runs, and how to go about it."""

import json
from dataclasses import dataclass

from mcp.server.mcpserver.exceptions import ResourceNotFoundError

from campaigns.schema import campaign_schema
from sender.errors import InputError
from sender.look import all_reports, run_report
from sender.mcp.scope import Scope

INSTRUCTIONS = """\
Sends Instagram direct messages through the Inrō API: campaigns to many, and single messages. To write to one contact, \
call send_test with a message. To write to many: check_campaign, plan_campaign, show a person the plan, send_test to \
one contact, and with the person's consent send_campaign with the plan's fingerprint and number of recipients. Say \
"accepted", never "delivered": whether Instagram delivers is not known. Campaign files: {folders}. At most \
{max_recipients:,} recipients in a campaign.{sandbox}"""
SANDBOX = " This server sends to a sandbox on this machine: nobody gets anything."

STEPS = """\
I want to send a campaign of Instagram direct messages: {idea}

Go about it in this order, and wait for my answer where it says so.
1. Read the resource campaign://schema. Ask me for what is missing: the CSV of recipients, who must be left out, the \
message, and whether a post, an image or a video goes with it (list_medias shows my posts and reels).
2. Write the campaign file, or tell me its text if you can't write files, into one of: {folders}
3. Call check_campaign, and mend what it finds.
4. Call send_test with this file to {test_contact}. Say that it was accepted, not that it was delivered, and wait \
until I say that it looks right on the phone.
5. Call plan_campaign. Show me the message, the number of recipients, the rejected rows and the notes. Wait until I \
agree to exactly this number.
6. Call send_campaign with the plan's fingerprint and that number. If it refuses, as something has changed: back to 5.
7. Watch with run_status until the run is over, and tell me the numbers of run_report: accepted, not found, rejected, \
unknown. Never send again to those who are unknown: I decide about them.
"""


@dataclass(frozen=True)
class Resources:
    """The resources and the prompt."""

    scope: Scope

    def instructions(self) -> str:
        """What every agent is told at the start."""
        return INSTRUCTIONS.format(
            folders=self._folders(),
            max_recipients=self.scope.max_recipients,
            sandbox=SANDBOX if self.scope.sandbox_url else "",
        )

    def schema(self) -> str:
        """The JSON Schema of a campaign file."""
        return _json(campaign_schema())

    async def runs(self) -> str:
        """All runs, the newest first, with their numbers."""
        return _json({"runs": [report.as_json() for report in await all_reports(self.scope.settings.ledger)]})

    async def run(self, run: str) -> str:
        """One run with its numbers."""
        try:
            report, _ = await run_report(self.scope.settings.ledger, run)
        except InputError as error:
            raise ResourceNotFoundError(str(error)) from error
        return _json(report.as_json())

    def new_campaign(self, idea: str, test_contact: str = "a contact that I name") -> str:
        """From an idea to a test message to a plan to a sent campaign, step by step, with a person's consent."""
        return STEPS.format(idea=idea, test_contact=test_contact, folders=self._folders())

    def _folders(self) -> str:
        return ", ".join(map(str, self.scope.roots.folders))


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)
