"""REST or MCP: the messenger that a run sends with. MCP's SDK takes a second to load, and is loaded for MCP alone."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from campaigns.media import MediaFile
from campaigns.model import Campaign, IdentifierKind, MediaMessage, Transport
from sender.errors import InputError, SendingStopped
from sender.inro.client import InroClient
from sender.inro.messenger import InroMessenger
from sender.inro.wire import Content
from sender.outcome import Then
from sender.ports import Messenger
from sender.settings import Settings

if TYPE_CHECKING:
    from sender.inro.mcp import McpClient


SDK = ("mcp", "mcp_types", "httpx2")  # an older one has but the first


def warnings(campaign: Campaign) -> list[str]:
    """What may keep this campaign from being sent over its transport, although its file is well."""
    if campaign.delivery.transport is Transport.REST:
        return []
    try:
        check_installed(campaign.delivery.transport)
    except InputError as error:
        return [str(error)]
    message = campaign.message
    if not isinstance(message, MediaMessage) or message.is_url:
        return []
    name = Path(message.source).name
    return [
        f"MCP takes media by public URL alone: `send` uploads {name} over REST first, and sends nothing if Inrō then "
        "gives no URL for it"
    ]


def check_installed(transport: Transport) -> None:
    """Raises InputError when this transport needs a package that is not installed."""
    if transport is Transport.MCP and not all(find_spec(name) for name in SDK):
        raise InputError("transport mcp needs the MCP SDK: pip install 'inro-campaigns[mcp]'; nothing was sent")


@asynccontextmanager
async def open_messenger(
    transport: Transport,
    *,
    settings: Settings,
    client: InroClient,
    content: Content,
    key: str,
    file: MediaFile | None,
    timeout_seconds: float,
    kinds: Iterable[IdentifierKind],
) -> AsyncIterator[Messenger]:
    """What the pool sends with. Raises SendingStopped when MCP can't send this content by these kinds of identifier."""
    if transport is Transport.REST:
        yield InroMessenger(client=client, content=content, key=key, file=file)
        return
    async with mcp_client(settings, content, timeout_seconds, kinds) as mcp:
        from sender.inro.mcp import McpMessenger

        opened = await mcp.open()
        if opened.then is Then.STOP:  # anything else may pass, and is sat out like any other failure
            raise SendingStopped(opened.reason)
        yield McpMessenger(client=mcp, content=content, key=key)


@asynccontextmanager
async def mcp_client(
    settings: Settings, content: Content, timeout_seconds: float, kinds: Iterable[IdentifierKind]
) -> AsyncIterator["McpClient"]:
    """A client of the MCP server. Raises SendingStopped for a file that would have to go along with every call."""
    if content.file:
        raise SendingStopped(
            f"MCP takes media by public URL alone, and for {content.file.path.name} there is none: Inrō's upload gave "
            "no URL, or `upload: each` asks for none. Send it over REST (--transport rest), or name a URL in the file"
        )
    from sender.inro.mcp import connect_mcp

    async with connect_mcp(
        url=settings.mcp_url,
        token=settings.require_token(),
        timeout_seconds=timeout_seconds,
        content=content,
        kinds=kinds,
    ) as client:
        yield client
