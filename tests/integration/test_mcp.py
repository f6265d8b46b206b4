"""What only MCP has: sessions, streams that may be resumed, a tool that has to fit, an SDK that is not trusted."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import httpx2
import orjson
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from campaigns.model import Transport
from sender.errors import SendingStopped
from sender.inro.mcp_http import CURRENT, Exchange, WatchedTransport
from sender.outcome import ChunkState, Then
from sender.sandbox import Faults, Sandbox
from tests.integration.raw_server import Connection, Handler, answering, serving
from tests.integration.ways import (
    THREE,
    TOKEN,
    accepting,
    calls_to,
    chunk_of,
    handshake_reply,
    http_reply,
    messenger_of,
    rpc_reply,
    send,
    sent_to,
)

MCP = Transport.MCP
ACCEPTED, PENDING, UNKNOWN = ChunkState.ACCEPTED, ChunkState.PENDING, ChunkState.UNKNOWN
THREE_OTHERS = chunk_of(3, "other")
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(request: bytes, *, number: str = "", result: Mapping[str, object] | None = None) -> bytes:
    """The result of a call as a server-sent event."""
    call = orjson.loads(request.partition(b"\r\n\r\n")[2])
    document = {"jsonrpc": "2.0", "id": call["id"], "result": {"content": []} if result is None else result}
    name = f"id: {number}\n" if number else ""
    return f"{name}event: message\ndata: {orjson.dumps(document).decode()}\n\n".encode()


def replying(make: Callable[[bytes], bytes]) -> Handler:
    """Answers each call with what `make` makes of it, and closes."""

    async def handle(connection: Connection) -> None:
        connection.writer.write(make(await connection.request()))

    return handle


# Event streams


async def test_a_result_that_comes_as_an_event_is_read() -> None:
    said = {"content": [{"type": "text", "text": '{"accepted_count": 1, "batch_task_id": "b7"}'}]}

    outcome = await sent_to(MCP, replying(lambda request: STREAM + event(request, result=said)))

    assert (outcome.chunk, outcome.batch_task_id) == (ACCEPTED, "b7")


@pytest.mark.parametrize("length", [0, 1, 30, -1])
async def test_an_event_stream_that_ends_before_the_result_may_have_been_received(length: int) -> None:
    outcome = await sent_to(MCP, replying(lambda request: STREAM + event(request)[:length]))

    assert (outcome.chunk, outcome.then) == (UNKNOWN, Then.GO_ON)


def resumable(resumed: Callable[[bytes], bytes], calls: list[bytes]) -> Handler:
    """A stream that breaks off after its first event; what is asked to go on with it is answered with `resumed`."""

    async def handle(connection: Connection) -> None:
        while head := await connection.head():
            if head.startswith(b"GET "):
                assert b"last-event-id: 7\r\n" in head.lower()
                connection.writer.write(resumed(calls[0]))
                return
            body = await connection.body(head)
            if b"idempotency-key:" in head.lower():
                calls.append(head + body)
                connection.writer.write(STREAM + b"id: 7\nretry: 10\ndata:\n\n")
                return
            connection.writer.write(handshake_reply(orjson.loads(body)))

    return handle


@pytest.mark.parametrize(
    ("resumed", "expected", "timeout_seconds"),
    [
        (lambda call: STREAM + event(call), ACCEPTED, 20.0),
        (lambda call: STREAM, UNKNOWN, 0.2),  # which the SDK would go on with for ever
        (lambda call: http_reply("404 Not Found"), UNKNOWN, 20.0),
        (lambda call: http_reply("401 Unauthorized"), UNKNOWN, 20.0),
        (lambda call: http_reply("429 Slow Down"), UNKNOWN, 20.0),
    ],
)
async def test_a_stream_that_is_resumed_tells_the_result_and_never_sends_the_call_again(
    resumed: Callable[[bytes], bytes], expected: ChunkState, timeout_seconds: float
) -> None:
    calls: list[bytes] = []

    async with (
        serving(resumable(resumed, calls)) as server,
        messenger_of(MCP, server.origin, timeout_seconds=timeout_seconds) as messenger,
    ):
        outcome = await send(messenger)

    assert (outcome.chunk, len(calls)) == (expected, 1)


async def test_what_a_server_asks_in_the_middle_of_a_call_goes_unanswered_and_does_no_harm() -> None:
    question = b'data: {"jsonrpc":"2.0","id":99,"method":"ping"}\n\n'

    outcome = await sent_to(MCP, replying(lambda request: STREAM + question + event(request)))

    assert outcome.chunk is ACCEPTED


# Sessions


async def test_a_session_that_the_server_forgot_is_replaced_and_the_call_was_not_received() -> None:
    async with (
        Sandbox(token=TOKEN, faults=Faults(script=("404",))) as sandbox,
        messenger_of(MCP, sandbox.origin) as messenger,
    ):
        outcomes = [await send(messenger), await send(messenger)]
        opened = sum(1 for request in sandbox.requests() if (request["json"] or {}).get("method") == "initialize")

    assert [(outcome.chunk, outcome.then) for outcome in outcomes] == [
        (PENDING, Then.BACK_OFF),
        (ACCEPTED, Then.GO_ON),
    ]
    assert outcomes[0].reason.startswith("the MCP server ended the session: HTTP 404")
    assert (sandbox.stats()["deliveries_total"], opened) == (1, 2)


async def test_a_call_under_way_in_a_lost_session_is_let_finish() -> None:
    lost = asyncio.Event()

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        if b"person1" in request:
            connection.writer.write(http_reply("404 Not Found"))
            return
        if b"other" not in request:
            await lost.wait()
        connection.writer.write(accepting(MCP, request))

    async with serving(calls_to(MCP, handle)) as server, messenger_of(MCP, server.origin) as messenger:
        slow = asyncio.create_task(send(messenger, chunk_of(1)))
        second = await send(messenger, chunk_of(2))
        third = await send(messenger, THREE_OTHERS)
        lost.set()
        first = await slow

    assert [outcome.chunk for outcome in (first, second, third)] == [ACCEPTED, PENDING, ACCEPTED]


async def test_without_a_session_404_is_a_wrong_address() -> None:
    handler = calls_to(MCP, answering(http_reply("404 Not Found")), session="")

    async with serving(handler) as server, messenger_of(MCP, server.origin) as messenger:
        outcome = await send(messenger)

    assert (outcome.chunk, outcome.then) == (PENDING, Then.STOP)


async def test_a_session_that_can_not_be_opened_anew_leaves_the_call_pending_and_waits_as_told() -> None:
    async with Sandbox(token=TOKEN) as sandbox, messenger_of(MCP, sandbox.origin) as messenger:
        sandbox.faults = Faults(script=("404",))
        await send(messenger)
        sandbox.faults = Faults(rate_429=1, everywhere=True, retry_after_seconds=3)
        refused = await send(messenger)
        sandbox.faults = Faults()
        outcome = await send(messenger)

    assert (refused.chunk, refused.then, refused.retry_after_seconds) == (PENDING, Then.WAIT, 3)
    assert (outcome.chunk, sandbox.stats()["most_to_one"]) == (ACCEPTED, 1)


async def opening(handler: Handler) -> str:
    """Why nothing can be sent to this server."""
    async with serving(handler) as server:
        with pytest.raises(SendingStopped) as stopped:
            async with messenger_of(MCP, server.origin):
                pass
    return str(stopped.value)


async def test_a_tool_that_does_not_fit_stops_before_anything_is_sent() -> None:
    why = await opening(calls_to(MCP, answering(b""), parameters=("contact_username", "contact_usernames", "text")))

    assert why.endswith(
        "/mcp is not as expected: it has no parameter message_type; it has contact_username, contact_usernames, text"
    )


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (http_reply("401 No", b'{"error": "bad token"}'), "HTTP 401: bad token"),
        (http_reply("404 Not Found"), "this is no MCP server: HTTP 404"),
        (http_reply("307 Moved", Location="/elsewhere"), "HTTP 307"),
        (http_reply("200 OK", b"<html>", **{"Content-Type": "text/html"}), "this is no MCP server: HTTP 200"),
        (
            http_reply("200 OK", b"{}", **{"Content-Type": "application/json"}),
            "this is no MCP server: its reply is not MCP",
        ),
    ],
)
async def test_what_is_no_mcp_server_of_this_token_stops_before_anything_is_sent(reply: bytes, why: str) -> None:
    assert why in await opening(answering(reply))


@pytest.mark.parametrize("reply", [b"", http_reply("500 Oh"), http_reply("429 Slow Down")])
async def test_what_may_pass_is_sat_out(reply: bytes) -> None:
    async with serving(answering(reply)) as server, messenger_of(MCP, server.origin) as messenger:
        outcome = await send(messenger)

    assert outcome.chunk is PENDING
    assert outcome.then in (Then.BACK_OFF, Then.WAIT)


@pytest.mark.parametrize("result", [{"protocolVersion": "1999-01-01"}, {"tools": 7}])
async def test_another_mcp_than_this_one_stops_before_anything_is_sent(result: dict[str, object]) -> None:
    async def handle(connection: Connection) -> None:
        while request := await connection.request():
            said = orjson.loads(request.partition(b"\r\n\r\n")[2])
            well = handshake_reply(said)
            spoilt = {"capabilities": {}, "serverInfo": {"name": "x", "version": "1"}, **result}
            is_spoilt = said["method"] == ("tools/list" if "tools" in result else "initialize")
            connection.writer.write(rpc_reply(said, spoilt) if is_spoilt else well)

    assert "no MCP of a version known here" in await opening(handle)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "gopher://127.0.0.1:9", "http://[::1"])
async def test_a_proxy_that_can_not_be_used_stops_without_being_repeated(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")

    with pytest.raises(SendingStopped, match="is none that MCP can go through"):
        async with messenger_of(MCP, "https://api.nowhere.invalid"):
            pass


# An SDK that is not trusted


async def test_nothing_but_the_calls_and_their_session_goes_over_the_wire() -> None:
    async with Sandbox(token=TOKEN) as sandbox:
        async with messenger_of(MCP, sandbox.origin, timeout_seconds=0.2) as messenger:
            sandbox.faults = Faults(script=("hang",))
            await send(messenger)
            await send(messenger, THREE)
        heard = [(request["method"], (request["json"] or {}).get("method")) for request in sandbox.requests()]

    assert heard == [
        ("POST", "initialize"),
        ("POST", "notifications/initialized"),
        ("POST", "tools/list"),
        ("POST", "tools/call"),
        ("POST", "tools/call"),
        ("DELETE", None),
    ]


class Counting(httpx2.AsyncBaseTransport):
    """A network that only counts, after whatever is to happen first."""

    def __init__(self, first: Callable[[httpx2.Request], Awaitable[None]]) -> None:
        self.first = first
        self.sent = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await self.first(request)
        self.sent += 1
        return httpx2.Response(200)


async def connected(request: httpx2.Request) -> None:
    await request.extensions["trace"]("connection.connect_tcp.complete", {})


async def began(request: httpx2.Request) -> None:
    await connected(request)
    await request.extensions["trace"]("http11.send_request_headers.started", {"request": request})


async def posted(exchange: Exchange | None, network: Counting, times: int = 1) -> None:
    token = CURRENT.set(exchange)
    for _ in range(times):
        await WatchedTransport(network).handle_async_request(httpx2.Request("POST", "http://127.0.0.1/mcp"))
    CURRENT.reset(token)


async def test_a_request_of_which_nobody_knows_does_not_leave() -> None:
    network = Counting(began)

    await posted(None, network)

    assert network.sent == 0


async def test_a_second_post_of_one_call_does_not_leave() -> None:
    network, exchange = Counting(began), Exchange(1.0, posts_once=True)

    await posted(exchange, network, times=2)

    assert (network.sent, exchange.began) == (1, True)


async def test_a_call_that_was_given_up_while_it_connected_does_not_leave_afterwards() -> None:
    async def given_up(request: httpx2.Request) -> None:
        await connected(request)
        exchange.end()
        await began(request)

    network, exchange = Counting(given_up), Exchange(1.0, posts_once=True)

    await posted(exchange, network)

    assert (network.sent, exchange.began) == (0, False)


async def test_events_that_are_not_known_count_as_the_beginning_and_so_does_their_absence() -> None:
    async def renamed(request: httpx2.Request) -> None:
        await request.extensions["trace"]("wire.written", {})
        raise httpx2.ReadError("reset")

    async def silent(request: httpx2.Request) -> None:
        raise httpx2.ReadError("reset")

    async def unconnected(request: httpx2.Request) -> None:
        await request.extensions["trace"]("connection.connect_tcp.started", {})
        raise httpx2.ConnectError("refused")

    known = []
    for network in (Counting(renamed), Counting(silent), Counting(unconnected)):
        exchange = Exchange(1.0, posts_once=True)
        await posted(exchange, network)
        known.append(exchange.no_reply().began)

    assert known == [True, True, False]


async def test_a_crash_of_the_sdk_ends_a_session_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(token=TOKEN) as sandbox, messenger_of(MCP, sandbox.origin) as messenger:
        handle = WatchedTransport.handle_async_request

        async def broken(self: WatchedTransport, request: httpx2.Request) -> httpx2.Response:
            await handle(self, request)
            raise RuntimeError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(WatchedTransport, "handle_async_request", broken)
            first = await send(messenger)
        # The next one may come before the session has ended.
        later = [await send(messenger, THREE_OTHERS) for _ in range(2)]

    assert first.chunk is UNKNOWN
    assert [outcome.chunk for outcome in later] in ([PENDING, ACCEPTED], [ACCEPTED, ACCEPTED])


async def test_what_the_sdk_logs_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    broken = b'data: {"jsonrpc": "person0"}\n\n'

    outcome = await sent_to(MCP, replying(lambda request: STREAM + broken))

    assert outcome.chunk is UNKNOWN
    assert [record for record in caplog.records if record.name.startswith(("mcp", "client", "http"))] == []


@pytest.mark.parametrize("result", [{}, {"content": 7}, {"resultType": "input_required"}, {"content": [{"type": "x"}]}])
async def test_a_result_that_is_none_may_have_been_received(result: dict[str, object]) -> None:
    outcome = await sent_to(MCP, replying(lambda request: STREAM + event(request, result=result)))

    assert outcome.chunk is UNKNOWN
    assert "person0" not in outcome.reason


# The sandbox speaks MCP as the official client does


async def test_the_official_client_finds_the_tool_and_sends() -> None:
    async with (
        Sandbox(token=TOKEN) as sandbox,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
    ):
        async with (
            streamable_http_client(sandbox.mcp_url, http_client=http) as (read, write),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            await session.send_ping()
            tools = (await session.list_tools()).tools
            sent = await session.call_tool("send_message", {"contact_username": "ann", "text": "Hi"})
            refused = await session.call_tool("send_message", {"contact_username": "ann"})
        stats = sandbox.stats()

    assert [tool.name for tool in tools] == ["send_message"]
    assert (sent.is_error, refused.is_error) == (False, True)
    assert sent.structured_content is not None
    assert sent.structured_content["accepted_count"] == 1
    assert (stats["deliveries"], stats["messages"]["received"]) == ({"username:ann": 1}, 2)
