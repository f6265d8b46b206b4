"""The HTTP below MCP's SDK: watched, bounded in time, and never giving it a reason to send anything twice.

The SDK (mcp 2.3) tells a caller little of what happened to a request, lets one broken reply end all the others, and
follows redirects within a server. So it is handed this transport, which breaks nothing and follows nothing: whatever
fails becomes a reply that the SDK takes for an error, and what truly happened stands in the Exchange.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from sender.inro.client import BODY_LIMIT, CONNECT_SECONDS
from sender.inro.wire import REPLY_HEADERS, NoReply, Reply

SESSION_ID, RESUMED_AFTER = "mcp-session-id", "last-event-id"
SDK_HEADERS = ("content-type", SESSION_ID)
# What the network does before a request: connecting, TLS, and a proxy's tunnel.
BEFORE_THE_REQUEST = ("connection.", "proxy.")


class NothingSent(Exception):
    """A request was kept from leaving."""


class Exchange:
    """One JSON-RPC request on its way, and what is known of it at any moment, whatever ends it.

    `seconds` are counted from its first byte; before that it has CONNECT_SECONDS. Over, it lets nothing leave any more,
    so that what was called "not begun" stays so; and with `posts_once` it lets one POST leave and no other.
    """

    def __init__(
        self,
        seconds: float,
        *,
        connect_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        posts_once: bool = False,
    ) -> None:
        self.headers = headers or {}
        self.session_id: str | None = None
        self._seconds = seconds
        self._connect_seconds = CONNECT_SECONDS if connect_seconds is None else connect_seconds
        self._posts_once = posts_once
        self._started = asyncio.get_running_loop().time()
        self._deadline = self._started + self._connect_seconds
        self._clocks: list[asyncio.Timeout] = []
        self._began_at: float | None = None
        self._is_over = False
        self.was_handed_over = False
        self._is_seen = False
        self._is_tunnel = False
        self._status: int | None = None
        self._reply_headers: dict[str, str] = {}
        self._is_complete = False
        self.body = bytearray()
        self.failure = ""

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """Raises TimeoutError when the time of this exchange is up, which begins anew with its first byte."""
        async with asyncio.timeout_at(self._deadline) as clock:
            self._clocks.append(clock)
            try:
                yield
            finally:
                self._clocks.remove(clock)

    def admit(self, request: httpx2.Request) -> None:
        """Raises NothingSent for a request that may not leave."""
        if self._is_over or (self._posts_once and self.was_handed_over and request.method == "POST"):
            raise NothingSent
        self.was_handed_over = True
        self.session_id = request.headers.get(SESSION_ID)

    async def traced(self, event: str, info: Mapping[str, Any]) -> None:
        """What the connection says of itself, right before it does it. Raises NothingSent once this is over.

        Whatever is not known to come before the request counts as its beginning, so that new names do no harm.
        """
        self._is_seen = True
        if (request := info.get("request")) is not None:
            self._is_tunnel = request.method == b"CONNECT"
        if event.startswith(BEFORE_THE_REQUEST) or self._is_tunnel:
            return
        if self._began_at is None:
            if self._is_over:
                raise NothingSent
            self._began_at = asyncio.get_running_loop().time()
            self._deadline = self._began_at + self._seconds
            for clock in self._clocks:
                if not clock.expired():
                    clock.reschedule(self._deadline)

    def replied(self, response: httpx2.Response) -> None:
        """A reply's head has come."""
        self._status = response.status_code
        self._reply_headers = {name: response.headers[name] for name in REPLY_HEADERS if name in response.headers}

    def completed(self) -> None:
        """The reply came to its end."""
        self._is_complete = True

    def end(self) -> None:
        """From here on nothing leaves."""
        self._is_over = True

    @property
    def began(self) -> bool:
        """Whether any of the request may have left."""
        return self._began_at is not None or (self.was_handed_over and not self._is_seen)

    @property
    def seconds(self) -> float:
        """Since the first byte, or since the start."""
        return asyncio.get_running_loop().time() - (self._began_at or self._started)

    def reply(self) -> Reply | None:
        """The HTTP reply as far as it came; None when not even its status did."""
        if self._status is None:
            return None
        return Reply(
            status=self._status,
            headers=self._reply_headers,
            body=bytes(self.body),
            complete=self._is_complete,
            seconds=self.seconds,
        )

    def no_reply(self, reason: str = "") -> NoReply:
        """That nothing came which says what was done."""
        return NoReply(began=self.began, reason=reason or self.failure, seconds=self.seconds)

    def explain(self, error: BaseException) -> str:
        """What went wrong, in half a sentence."""
        match error:
            case TimeoutError():
                return f"no reply within {self._seconds if self.began else self._connect_seconds:g} s"
            case httpx2.ConnectError():
                return f"no connection to the MCP server: {error}"
            case httpx2.ProxyError():
                return f"the proxy refuses: {error}"
            case httpx2.TransportError():
                return f"the connection broke: {error}"
            case _:
                return f"{type(error).__name__}: {error}"


CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
"""The exchange of whoever asks the SDK for something. The SDK carries it along to the HTTP request that it makes."""


class WatchedTransport(httpx2.AsyncBaseTransport):
    """The network as the SDK sees it. A request of which no exchange knows does not leave."""

    def __init__(self, network: httpx2.AsyncBaseTransport) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The reply, or in place of every failure a bare 500; raises nothing but a cancellation."""
        exchange = CURRENT.get()
        # Nothing is awaited from the server but replies: the standing stream for its own messages is not opened.
        if exchange is None or (request.method == "GET" and RESUMED_AFTER not in request.headers):
            return httpx2.Response(500)
        try:
            exchange.admit(request)
        except NothingSent:
            return httpx2.Response(500)
        try:
            request.headers.update(exchange.headers)
            request.extensions = {**request.extensions, "trace": exchange.traced}
            async with exchange.in_time():
                response = await self._network.handle_async_request(request)
        except Exception as error:  # whatever it is, the request may have left, and that is what counts
            exchange.failure = exchange.explain(error)
            return httpx2.Response(500)
        stream = _WatchedStream(response.stream, exchange)
        # A refusal to resume a broken reply says nothing of the call that it was a reply to.
        is_resumed = request.method == "GET"
        if not is_resumed:
            exchange.replied(response)
        if 200 <= response.status_code < 300:
            # No cookies, and no encoding: asked for none, a server that packs its reply all the same is not believed.
            headers = {name: response.headers[name] for name in SDK_HEADERS if name in response.headers}
            return httpx2.Response(response.status_code, headers=headers, stream=stream)
        try:
            async for piece in stream:
                exchange.body += b"" if is_resumed else piece
        finally:
            await stream.aclose()
        return httpx2.Response(500)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._network.aclose()


class _WatchedStream(httpx2.AsyncByteStream):
    """A reply's body, which ends where it breaks off."""

    def __init__(self, stream: object, exchange: Exchange) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 – an asynchronous transport gives no other
        self._stream = stream
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        exchange, received = self._exchange, 0
        try:
            pieces = aiter(self._stream)
            while True:
                async with exchange.in_time():
                    piece = await anext(pieces, None)
                if piece is None:
                    exchange.completed()
                    return
                received += len(piece)
                if received > BODY_LIMIT:
                    raise httpx2.ReadError(f"the reply is larger than {BODY_LIMIT:,} bytes")
                yield piece
        except Exception as error:
            exchange.failure = exchange.explain(error)

    async def aclose(self) -> None:
        await self._stream.aclose()
