"""Inrō's MCP server as a way to send: the tool `send_message`, through the official SDK, over streamable HTTP.

Nothing in here decides or repeats; `mcp_wire` says what an answer means.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx2
import mcp_types as types
import orjson
from pydantic import SecretStr

from campaigns.model import IdentifierKind
from sender.errors import SendingStopped, first_error
from sender.inro import mcp_wire, wire
from sender.inro.client import IDLE_SECONDS, product_version, proxy_for, without_token
from sender.inro.mcp_http import Exchange, WatchedTransport
from sender.inro.mcp_session import TOOL, Session, ask
from sender.inro.mcp_wire import ToolResult
from sender.inro.wire import Content, Reply, Request
from sender.ledger import StoredChunk
from sender.outcome import ChunkState, Outcome

SDK_LOGGERS = ("mcp", "client", "httpx2", "httpcore2")


class McpClient:
    """One account's connection to the MCP server. Made by `connect_mcp`."""

    def __init__(
        self,
        new_session: Callable[[], Session],
        token: SecretStr,
        timeout_seconds: float,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._new_session = new_session
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._tasks = tasks
        self._session: Session | None = None

    async def send(self, request: Request) -> Outcome:
        """What became of one call of the tool; it is written at most once."""
        session = self._live()
        with session.in_use():
            opened = await session.opened()
            if isinstance(opened, Outcome):
                self._give_up(session)
                return self._clean(opened)
            headers = {"Idempotency-Key": request.idempotency_key}
            exchange = Exchange(self._timeout_seconds, headers=headers, posts_once=True)
            parameters = types.CallToolRequestParams(name=TOOL, arguments=orjson.loads(request.body))
            call = types.CallToolRequest(params=parameters)
            said = await ask(opened, call, types.CallToolResult, exchange)
        answer = _tool_result(said, exchange) if isinstance(said, types.CallToolResult) else said
        in_session = exchange.session_id is not None
        is_broken = not exchange.was_handed_over  # the SDK never came to make a request of it
        if is_broken or session.has_ended or mcp_wire.is_session_lost(answer, in_session=in_session):
            self._give_up(session)
        return self._clean(mcp_wire.outcome(answer, request.addresses, in_session=in_session))

    async def open(self) -> Outcome:
        """Whether the server opens a new session and has the tool as it is needed; no message is sent."""
        if self._session:
            self._give_up(self._session)
        session = self._live()
        opened = await session.opened()
        if isinstance(opened, Outcome):
            self._give_up(session)
            return self._clean(opened)
        return Outcome(chunk=ChunkState.ACCEPTED)

    def close(self) -> None:
        """Ends the session, politely and within seconds."""
        if self._session:
            self._give_up(self._session)

    def _live(self) -> Session:
        if self._session is None:
            self._session = self._new_session()
            self._tasks.create_task(self._session.keep())
        return self._session

    def _give_up(self, session: Session) -> None:
        """The next call opens a new one; what is under way in this one goes on to its end."""
        session.end_when_idle()
        if self._session is session:
            self._session = None

    def _clean(self, outcome: Outcome) -> Outcome:
        """Without the token, which a server may well repeat."""
        reason = without_token(outcome.reason, self._token)
        request_id = outcome.request_id and without_token(outcome.request_id, self._token)
        task_id = outcome.batch_task_id and without_token(outcome.batch_task_id, self._token)
        return replace(outcome, reason=reason, request_id=request_id, batch_task_id=task_id)


@dataclass(frozen=True, kw_only=True)
class McpMessenger:
    """Sends one message to many chunks, as the pool's port asks for.

    client    the account's connection
    content   the message as the tool takes it; it names a URL where it has media
    key       the run's random key, with which its idempotency keys begin
    """

    client: McpClient
    content: Content
    key: str

    def request(self, chunk: StoredChunk) -> Request:
        """The call that sends this chunk; its JSON becomes the tool's arguments."""
        return wire.message_request(chunk.kind, chunk.addresses, self.content, idempotency_key=f"{self.key}-{chunk.id}")

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        """What became of the call."""
        return await self.client.send(request)

    async def probe(self) -> Outcome:
        """Whether the server opens a session, which changes nothing."""
        return await self.client.open()


@asynccontextmanager
async def connect_mcp(
    *, url: str, token: SecretStr, timeout_seconds: float, content: Content, kinds: Iterable[IdentifierKind]
) -> AsyncIterator[McpClient]:
    """A client for as long as the context lasts.

    timeout_seconds   for one call, from the first byte written to the last byte of the reply
    content, kinds    what will be sent, and by which identifiers: the tool is checked against them
    """
    _quiet_the_sdk()
    headers = {
        "Authorization": f"Bearer {token.get_secret_value()}",
        "User-Agent": f"inro-campaigns/{product_version()}",
        "Accept-Encoding": "identity",
    }
    try:
        async with (
            httpx2.AsyncClient(
                transport=WatchedTransport(_network(url)),
                headers=headers,
                timeout=None,
                trust_env=False,
                follow_redirects=False,
            ) as http,
            asyncio.TaskGroup() as tasks,
        ):
            client = McpClient(partial(Session, http, url, _examples(content, kinds)), token, timeout_seconds, tasks)
            try:
                yield client
            finally:
                client.close()
    except BaseExceptionGroup as group:  # what the body raised, which is nobody's to wrap
        raise first_error(group) from group


def _network(url: str) -> httpx2.AsyncHTTPTransport:
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=IDLE_SECONDS)
    # The same trust as REST's; plain http, which never leaves this machine, is spared the loading of it.
    trust = ssl.create_default_context() if url.startswith("https:") else False
    try:
        return httpx2.AsyncHTTPTransport(verify=trust, trust_env=False, proxy=proxy_for(url), limits=limits)
    except (ImportError, ValueError, httpx2.InvalidURL) as error:  # whose words may hold the proxy's password
        raise SendingStopped("the proxy in the environment's https_proxy is none that MCP can go through") from error


def _examples(content: Content, kinds: Iterable[IdentifierKind]) -> list[Mapping[str, Any]]:
    """Calls as they will be made: to one contact and to several, by each kind of identifier."""
    made = (wire.message_request(kind, who, content, idempotency_key="") for kind in kinds for who in ([1], [1, 2]))
    return [orjson.loads(request.body) for request in made]


def _tool_result(result: types.CallToolResult, exchange: Exchange) -> ToolResult:
    texts = (block.text for block in result.content if isinstance(block, types.TextContent))
    return ToolResult(
        http=exchange.reply() or Reply(status=200),
        is_error=bool(result.is_error),
        structured=result.structured_content if isinstance(result.structured_content, dict) else None,
        text="\n".join(texts),
    )


def _quiet_the_sdk() -> None:
    # It logs what it could not read, with people's names, and tracebacks.
    for name in SDK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
