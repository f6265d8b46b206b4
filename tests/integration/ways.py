"""Both ways to call the API, behind the port that the pool uses, and servers that are told what to do with a call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from campaigns.model import IdentifierKind, Transport
from sender.inro.client import connect
from sender.inro.wire import Content
from sender.ledger import StoredChunk
from sender.ledger.packing import pack
from sender.outcome import ChunkState, Outcome
from sender.ports import Messenger
from sender.settings import Settings
from sender.transport import open_messenger
from tests.integration.plans import people
from tests.integration.raw_server import Connection, Handler, serving

TOKEN = "inro-live-9f8e7d6c5b4a"
SETTINGS = Settings(
    api_url="",
    mcp_url="",
    origin="",
    token=SecretStr(TOKEN),
    ledger=Path("nowhere"),
    ledger_is_default=False,
    text_field="text",
    is_ci=False,
)
PARAMETERS = ("contact_username", "contact_usernames", "message_type", "text")
HELLO = Content(fields={"message_type": "text", "text": "Hello"})
LONG = Content(fields={"message_type": "text", "text": "x" * 1_000_000})


def chunk_of(count: int, name: str = "person") -> StoredChunk:
    return StoredChunk(
        id=1,
        run_id=1,
        first=0,
        kind=IdentifierKind.USERNAME,
        size=count,
        state=ChunkState.SENDING,
        packed=pack(people(0, count, name)),
    )


ONE, THREE = chunk_of(1), chunk_of(3)


@asynccontextmanager
async def messenger_of(
    transport: Transport, origin: str, *, content: Content = HELLO, timeout_seconds: float = 20.0, token: str = TOKEN
) -> AsyncIterator[Messenger]:
    """The messenger as a run gets it."""
    settings = replace(SETTINGS, api_url=f"{origin}/api/v1", mcp_url=f"{origin}/mcp", token=SecretStr(token))
    async with (
        connect(api_url=settings.api_url, token=SecretStr(token), timeout_seconds=timeout_seconds) as client,
        open_messenger(
            transport,
            settings=settings,
            client=client,
            content=content,
            key="key",
            file=None,
            timeout_seconds=timeout_seconds,
            kinds=[IdentifierKind.USERNAME],
        ) as messenger,
    ):
        yield messenger


async def send(messenger: Messenger, chunk: StoredChunk = ONE) -> Outcome:
    return await messenger.send(chunk, messenger.request(chunk))


async def sent_to(
    transport: Transport, handler: Handler, *, content: Content = HELLO, timeout_seconds: float = 20.0
) -> Outcome:
    """What becomes of one call that this handler is given."""
    async with (
        serving(calls_to(transport, handler)) as server,
        messenger_of(transport, server.origin, content=content, timeout_seconds=timeout_seconds) as messenger,
    ):
        return await send(messenger)


def calls_to(transport: Transport, handler: Handler, **handshake: Any) -> Handler:
    """A server whose messages go to the handler; MCP's handshake is answered, and not among its requests."""
    if transport is Transport.REST:
        return handler

    async def handle(connection: Connection) -> None:
        while head := await connection.head():
            if b"idempotency-key:" in head.lower():
                connection.put_back(head)
                await handler(connection)
                return
            connection.requests.remove(head)
            body = await connection.body(head)
            connection.writer.write(handshake_reply(orjson.loads(body) if body else {}, **handshake))

    return handle


def handshake_reply(said: dict[str, Any], *, parameters: tuple[str, ...] = PARAMETERS, session: str = "s1") -> bytes:
    """What a well server answers before the first call, and to a farewell."""
    match said.get("method"):
        case "initialize":
            result: dict[str, Any] = {
                "protocolVersion": said["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "test", "version": "1"},
            }
            return rpc_reply(said, result, **({"Mcp-Session-Id": session} if session else {}))
        case "tools/list":
            schema = {"type": "object", "properties": {name: {} for name in parameters}}
            return rpc_reply(said, {"tools": [{"name": "send_message", "inputSchema": schema}]})
        case _:
            return http_reply("202 Accepted")


def rpc_reply(said: dict[str, Any], result: dict[str, Any], **headers: str) -> bytes:
    """A JSON-RPC result in a reply of its own."""
    document = {"jsonrpc": "2.0", "id": said["id"], "result": result}
    return http_reply("200 OK", orjson.dumps(document), **{"Content-Type": "application/json", **headers})


def http_reply(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP reply."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def accepting(transport: Transport, request: bytes, said: dict[str, Any] | None = None) -> bytes:
    """The reply that takes a call on, with these words."""
    if transport is Transport.REST:
        return http_reply("202 Accepted", orjson.dumps(said or {}), **{"Content-Type": "application/json"})
    call = orjson.loads(request.partition(b"\r\n\r\n")[2])
    return rpc_reply(call, {"content": [], **({"structuredContent": said} if said else {})})
