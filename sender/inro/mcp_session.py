"""A session with the MCP server, from its handshake to its farewell, and the questions that are asked in it."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from mcp import ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import ClientMessageMetadata
from pydantic import BaseModel

from sender.inro import mcp_wire
from sender.inro.client import LOOK_UP_SECONDS, product_version
from sender.inro.mcp_http import CURRENT, Exchange
from sender.inro.mcp_wire import Answer, RpcError
from sender.inro.wire import Reply
from sender.outcome import ChunkState, Outcome, Then

TOOL = "send_message"  # documented
FAREWELL_SECONDS = 2.0
MAX_PAGES = 100

R = TypeVar("R", bound=BaseModel)


class Session:
    """One session. `keep` is a task of its own: the SDK has to leave its contexts in the task that entered them."""

    def __init__(self, http: httpx2.AsyncClient, url: str, calls: Iterable[Mapping[str, Any]]) -> None:
        self._http = http
        self._url = url
        self._calls = tuple(calls)
        self._opened: asyncio.Future[ClientSession | Outcome] = asyncio.get_running_loop().create_future()
        self._closing = asyncio.Event()
        self._under_way = 0
        self._is_unwanted = False
        self.has_ended = False

    async def opened(self) -> ClientSession | Outcome:
        """The session once it is open and its tool fits the calls to make; or what kept it from that, all pending."""
        return await asyncio.shield(self._opened)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the session from ending."""
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            if self._is_unwanted:
                self.end_when_idle()

    def end_when_idle(self) -> None:
        """Ends the session as soon as nothing is under way in it."""
        self._is_unwanted = True
        if not self._under_way:
            self._closing.set()

    async def keep(self) -> None:
        """Opens the session and keeps it until it is to end."""
        exchange = Exchange(LOOK_UP_SECONDS)
        CURRENT.set(exchange)
        who = types.Implementation(name="inro-campaigns", version=product_version())
        try:
            async with (
                streamable_http_client(self._url, http_client=self._http) as (read, write),
                ClientSession(read, write, client_info=who) as session,
            ):
                self._opened.set_result(await self._open(session, exchange))
                await self._closing.wait()
                CURRENT.set(Exchange(FAREWELL_SECONDS, connect_seconds=FAREWELL_SECONDS))
        except Exception as error:  # a fault of the SDK may end a session, never the run
            if not self._opened.done():
                self._opened.set_result(mcp_wire.opening_outcome(_failed(error, exchange)))
        finally:
            self.has_ended = True

    async def _open(self, session: ClientSession, exchange: Exchange) -> ClientSession | Outcome:
        try:
            async with exchange.in_time():
                await session.initialize()
        except Exception as error:
            return mcp_wire.opening_outcome(_failed(error, exchange))
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = types.ListToolsRequest(params=types.PaginatedRequestParams(cursor=cursor))
            listed = await ask(session, request, types.ListToolsResult, Exchange(LOOK_UP_SECONDS))
            if not isinstance(listed, types.ListToolsResult):
                return mcp_wire.opening_outcome(listed)
            for tool in listed.tools:
                if tool.name == TOOL:
                    why = mcp_wire.misfit(tool.input_schema, self._calls)
                    words = f"the tool {TOOL} of {self._url} is not as expected: {why}"
                    return _stop(words) if why else session
            if (cursor := listed.next_cursor) is None:
                break
        return _stop(f"the MCP server at {self._url} has no tool {TOOL}")


async def ask(
    session: ClientSession, request: types.Request[Any, Any], result: type[R], exchange: Exchange
) -> R | Answer:
    """The result of one JSON-RPC request, or what came instead of it."""
    before = CURRENT.set(exchange)
    try:
        # A client that can resume sends no "cancelled" after a call that it gives up on. That notice would wait in the
        # same queue as the other calls, and a server that hangs would hold them all up.
        hints = ClientMessageMetadata(on_resumption_token_update=_noted)
        async with exchange.in_time():
            return await session.send_request(request, result, metadata=hints)
    except Exception as error:
        return _failed(error, exchange)
    finally:
        exchange.end()
        CURRENT.reset(before)


async def _noted(_token: str) -> None:
    """Resuming is the SDK's own affair."""


def _failed(error: Exception, exchange: Exchange) -> Answer:
    """What the exchange knows, and of the SDK's error only what a server must have said."""
    reply = exchange.reply()
    if reply is None:
        return exchange.no_reply(exchange.failure or exchange.explain(error))
    if not 200 <= reply.status < 300 or reply.status == 202 or not _is_mcp(reply):
        return reply
    if isinstance(error, MCPError) and not exchange.failure:
        return RpcError(http=reply, code=error.code, message=error.message, data=error.data)
    if isinstance(error, MCPError | TimeoutError):
        return exchange.no_reply(exchange.failure or exchange.explain(error))
    # Not the SDK's own words: they may repeat what it could not read, and names with it.
    return replace(reply, body=b"a reply that is no MCP of a version known here")


def _is_mcp(reply: Reply) -> bool:
    return reply.headers.get("content-type", "").lower().startswith(mcp_wire.MCP_CONTENT_TYPES)


def _stop(reason: str) -> Outcome:
    return Outcome(chunk=ChunkState.PENDING, then=Then.STOP, reason=reason)
