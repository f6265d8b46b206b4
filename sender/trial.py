"""`campaign test`: the real message to one contact, outside any run and outside its promises."""

import re
from collections.abc import Callable, Mapping

from campaigns.audience.identifiers import MalformedIdentifier, normal_email, normal_id, normal_username
from campaigns.model import Campaign, IdentifierKind, Transport
from sender import content, logs
from sender.content import ContentMaker
from sender.errors import InputError
from sender.inro import wire
from sender.inro.account import Account
from sender.inro.client import connect
from sender.ledger import open_ledger
from sender.outcome import Outcome
from sender.retry import Policy
from sender.settings import Settings
from sender.transport import check_installed, mcp_client

NORMAL_FORMS: Mapping[IdentifierKind, Callable[[str], int | str | None]] = {
    IdentifierKind.ID: normal_id,
    IdentifierKind.USERNAME: normal_username,
    IdentifierKind.EMAIL: normal_email,
}

Contact = tuple[IdentifierKind, int | str]


def read_contact(text: str) -> Contact:
    """The contact that `@name`, a profile URL, an e-mail address or an id means. Raises InputError."""
    if re.fullmatch(r"\s*[0-9]+\s*", text):
        kind = IdentifierKind.ID
    elif "@" in text.strip()[1:] and "/" not in text:
        kind = IdentifierKind.EMAIL
    else:
        kind = IdentifierKind.USERNAME
    try:
        address = NORMAL_FORMS[kind](text)
    except MalformedIdentifier as error:
        raise InputError(f"--to: {error}") from error
    if address is None:
        raise InputError("--to: found nothing; accepted is @name, an e-mail address or an id")
    return kind, address


async def send_test(
    campaign: Campaign, settings: Settings, contact: Contact, transport: Transport | None = None
) -> Outcome:
    """What became of the campaign's message to one contact, through the single-contact call.

    Raises CampaignError, InputError, SendingStopped and LedgerError; the ledger only remembers an upload.
    """
    token = settings.require_token()
    transport = transport or campaign.delivery.transport
    check_installed(transport)
    settings = settings.over(transport)
    file = content.message_file(campaign)
    kind, address = contact
    async with (
        open_ledger(settings.ledger) as ledger,
        connect(api_url=settings.api_url, token=token, timeout_seconds=campaign.delivery.timeout_seconds) as client,
    ):
        maker = ContentMaker(
            account=Account(client, Policy(max_wait_seconds=campaign.delivery.max_wait_seconds)),
            ledger=ledger,
            account_id=await ledger.account_id(settings.origin, campaign.account),
            text_field=settings.text_field,
            log=logs.get_logger(campaign=campaign.campaign),
        )
        made = await maker.make(campaign, file)
        # No idempotency key of a run: a second test is meant to arrive a second time.
        request = wire.message_request(kind, [address], made, idempotency_key=wire.random_key())
        if transport is Transport.REST:
            return wire.outcome(await client.send(request), [address])
        async with mcp_client(settings, made, campaign.delivery.timeout_seconds, [kind]) as mcp:
            return await mcp.send(request)
