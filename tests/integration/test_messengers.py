"""What both ways to call the API have to know of a call, whatever happens to it: one contract, over REST and MCP."""

import asyncio

import pytest

from campaigns.model import Transport
from sender.inro import client as client_module
from sender.inro import mcp as mcp_module
from sender.outcome import ChunkState, Outcome, Then
from sender.sandbox import Faults, Sandbox
from tests.integration.raw_server import Connection, Handler, answering, serving
from tests.integration.ways import (
    HELLO,
    LONG,
    THREE,
    TOKEN,
    accepting,
    calls_to,
    chunk_of,
    http_reply,
    messenger_of,
    send,
    sent_to,
)

MCP = Transport.MCP
ACCEPTED, PENDING, REJECTED, UNKNOWN = (
    ChunkState.ACCEPTED,
    ChunkState.PENDING,
    ChunkState.REJECTED,
    ChunkState.UNKNOWN,
)

pytestmark = pytest.mark.parametrize("transport", Transport)


def kept_open(transport: Transport) -> Handler:
    """Takes on one call after the other."""

    async def handle(connection: Connection) -> None:
        while request := await connection.request():
            connection.writer.write(accepting(transport, request))

    return handle


# Before the request


async def test_a_host_that_is_not_known_was_not_reached(transport: Transport) -> None:
    async with messenger_of(transport, "https://api.nowhere.invalid") as messenger:
        outcome = await send(messenger)

    assert (outcome.chunk, outcome.then) == (PENDING, Then.BACK_OFF)
    assert outcome.reason


async def test_a_server_that_went_away_between_two_calls_was_not_reached(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client_module, mcp_module):
        monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    async with serving(calls_to(transport, kept_open(transport))) as server:
        leaving = messenger_of(transport, server.origin)
        messenger = await leaving.__aenter__()
        first = await send(messenger)
    second = await send(messenger)
    await leaving.__aexit__(None, None, None)

    assert first.chunk is ACCEPTED
    assert (second.chunk, second.then) == (PENDING, Then.BACK_OFF)
    assert second.reason.startswith("no connection to ")


# After it began


async def close_at_once(connection: Connection) -> None:
    connection.abort()


async def close_after_the_headers(connection: Connection) -> None:
    await connection.head()
    connection.abort()


async def close_while_the_body_comes(connection: Connection) -> None:
    await connection.head()
    await connection.reader.readexactly(1000)
    connection.abort()


async def close_after_the_request(connection: Connection) -> None:
    await connection.request()


@pytest.mark.parametrize(
    ("handler", "content"),
    [
        (close_at_once, HELLO),
        (close_at_once, LONG),
        (close_after_the_headers, HELLO),
        (close_after_the_headers, LONG),
        (close_while_the_body_comes, LONG),
        (close_after_the_request, HELLO),
        (close_after_the_request, LONG),
        (answering(b""), HELLO),
        (answering(b"HTTP/1.1 20"), HELLO),
        (answering(b"HTTP/1.1 202 Accepted\r\nContent-Ty"), HELLO),
        (answering(b"what?\r\n\r\n"), HELLO),
        (answering(b"\x1b[31mno \xff HTTP\r\nat all\r\n\r\n"), HELLO),
        (answering(b"HTTP/1.1 202 Accepted\r\nContent-Length: x\r\n\r\n"), HELLO),
        (answering(b"HTTP/1.1 202 Accepted\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"), HELLO),
    ],
)
async def test_whatever_breaks_after_connecting_may_have_been_received(
    transport: Transport, handler: Handler, content: object
) -> None:
    outcome = await sent_to(transport, handler, content=LONG if content is LONG else HELLO)

    assert (outcome.chunk, outcome.then) == (UNKNOWN, Then.GO_ON)
    assert outcome.reason
    assert outcome.reason.isprintable()


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 202 Acc", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_server_that_hangs_is_given_up_after_the_timeout_and_may_have_received_it(
    transport: Transport, reply: bytes
) -> None:
    async def handle(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(reply)
        await connection.reader.read()

    outcome = await sent_to(transport, handle, timeout_seconds=0.2)

    assert (outcome.chunk, outcome.reason) == (UNKNOWN, "no reply within 0.2 s")
    assert 0.15 < outcome.seconds < 20


async def test_a_call_that_breaks_leaves_those_beside_it_alone(transport: Transport) -> None:
    both = asyncio.Event()
    calls = 0

    async def handle(connection: Connection) -> None:
        nonlocal calls
        request = await connection.request()
        calls += 1
        if calls == 1:
            await both.wait()
            connection.writer.write(accepting(transport, request, {"accepted_count": 1}))
        else:
            connection.abort()
            both.set()

    async with (
        serving(calls_to(transport, handle)) as server,
        messenger_of(transport, server.origin) as messenger,
    ):
        outcomes = await asyncio.gather(send(messenger), send(messenger))

    assert sorted(outcome.chunk for outcome in outcomes) == [ACCEPTED, UNKNOWN]


# What the reply says


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        ("301 Moved", {"Location": "https://elsewhere.example"}, (PENDING, Then.STOP)),
        ("401 Unauthorized", {}, (PENDING, Then.STOP)),
        ("403 Forbidden", {}, (PENDING, Then.STOP)),
        ("405 Method Not Allowed", {}, (PENDING, Then.STOP)),
        ("400 Bad Request", {}, (REJECTED, Then.GO_ON)),
        ("413 Too Large", {}, (REJECTED, Then.GO_ON)),
        ("422 Unprocessable", {}, (REJECTED, Then.GO_ON)),
        ("408 Timeout", {}, (UNKNOWN, Then.GO_ON)),
        ("409 Conflict", {}, (UNKNOWN, Then.GO_ON)),
        ("425 Too Early", {}, (PENDING, Then.WAIT)),
        ("429 Slow Down", {}, (PENDING, Then.WAIT)),
        ("500 Oh", {}, (UNKNOWN, Then.GO_ON)),
        ("503 Busy", {"Retry-After": "7"}, (PENDING, Then.WAIT)),
        ("503 Busy", {}, (UNKNOWN, Then.GO_ON)),
        ("504 Timeout", {}, (UNKNOWN, Then.GO_ON)),
    ],
)
async def test_an_http_refusal_means_what_the_table_says(
    transport: Transport, status: str, headers: dict[str, str], expected: tuple[ChunkState, Then]
) -> None:
    outcome = await sent_to(transport, answering(http_reply(status, b'{"error": "so it is"}', **headers)))

    assert (outcome.chunk, outcome.then) == expected
    assert (outcome.status, outcome.reason) == (int(status[:3]), f"HTTP {status[:3]}: so it is")
    assert outcome.retry_after_seconds == (7 if headers.get("Retry-After") else None)


async def test_who_was_not_found_is_named_and_counted(transport: Transport) -> None:
    said = {"accepted_count": 2, "not_found": [{"username": "person1"}], "batch_task_id": 9}

    async def handle(connection: Connection) -> None:
        connection.writer.write(accepting(transport, await connection.request(), said))

    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        outcome = await send(messenger, THREE)

    assert outcome.chunk is ACCEPTED
    assert (outcome.not_found, outcome.not_found_count, outcome.batch_task_id) == (("person1",), 1, "9")


async def test_a_web_page_is_not_the_api_and_stops_everything(transport: Transport) -> None:
    page = http_reply("200 OK", b"<html>Welcome", **{"Content-Type": "text/html"})

    outcome = await sent_to(transport, answering(page))

    assert (outcome.chunk, outcome.then) == (UNKNOWN, Then.STOP)


# What goes out


async def test_a_redirect_is_not_followed_and_neither_token_nor_message_go_elsewhere(transport: Transport) -> None:
    async with serving(answering(b"")) as other:
        there = http_reply("307 Moved", Location=f"{other.origin}/mcp")
        here = http_reply("307 Moved", Location="/mcp")
        outcomes = [await sent_to(transport, answering(reply)) for reply in (there, here)]

    assert [(outcome.chunk, outcome.then) for outcome in outcomes] == [(PENDING, Then.STOP)] * 2
    assert other.connections == 0


async def test_no_cookie_comes_back(transport: Transport) -> None:
    async def handle(connection: Connection) -> None:
        while request := await connection.request():
            reply = accepting(transport, request)
            connection.writer.write(reply.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n", 1))

    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        for _ in range(2):
            await send(messenger)

    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("status", ["200 OK", "422 No", "500 Oh"])
async def test_a_token_that_the_server_repeats_is_nowhere_in_the_outcome(transport: Transport, status: str) -> None:
    async def handle(connection: Connection) -> None:
        head = await connection.request()
        connection.writer.write(http_reply(status, head, **{"X-Request-Id": TOKEN}))

    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        outcome = await send(messenger)

    assert f"Authorization: Bearer {TOKEN}".lower().encode() in server.requests[0].lower()
    assert TOKEN not in repr(outcome)


# Connections


@pytest.mark.parametrize(("idle_seconds", "is_reused"), [(30.0, True), (0.0, False)])
async def test_a_connection_is_reused_only_while_it_was_idle_for_less_than_the_limit(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, idle_seconds: float, is_reused: bool
) -> None:
    for module in (client_module, mcp_module):
        monkeypatch.setattr(module, "IDLE_SECONDS", idle_seconds)
    async with (
        serving(calls_to(transport, kept_open(transport))) as server,
        messenger_of(transport, server.origin) as messenger,
    ):
        await send(messenger)
        before = server.connections
        await asyncio.sleep(0.01)
        await send(messenger)
        after = server.connections

    assert after == before + (0 if is_reused else 1)
    assert len(server.requests) == 2


async def test_a_message_on_a_connection_that_dies_is_not_sent_a_second_time(transport: Transport) -> None:
    async def handle(connection: Connection) -> None:
        connection.writer.write(accepting(transport, await connection.request()))
        await connection.head()
        connection.abort()

    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        outcomes = [await send(messenger), await send(messenger)]

    assert [outcome.chunk for outcome in outcomes] == [ACCEPTED, UNKNOWN]
    assert len(server.requests) == 2


async def test_many_calls_go_out_at_once(transport: Transport) -> None:
    everyone = asyncio.Event()

    async def handle(connection: Connection) -> None:
        request = await connection.request()
        if len(server.requests) == 90:
            everyone.set()
        await everyone.wait()
        connection.writer.write(accepting(transport, request))

    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        outcomes = await asyncio.gather(*(send(messenger) for _ in range(90)))

    assert {outcome.chunk for outcome in outcomes} == {ACCEPTED}


async def test_proxies_of_the_environment_are_ignored_for_plain_http(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(b"")) as proxy, serving(calls_to(transport, kept_open(transport))) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with messenger_of(transport, server.origin) as messenger:
            outcome = await send(messenger)

    assert (outcome.chunk, proxy.connections) == (ACCEPTED, 0)


async def test_https_goes_through_the_proxy_of_the_environment_and_one_that_refuses_was_not_reached(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(answering(http_reply("407 Proxy Authentication Required"))) as proxy:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        async with messenger_of(transport, "https://api.nowhere.invalid") as messenger:
            outcome = await send(messenger)

    assert (outcome.chunk, outcome.then) == (PENDING, Then.BACK_OFF)
    assert proxy.requests[0].startswith(b"CONNECT api.nowhere.invalid:443 ")
    assert TOKEN.encode() not in b"".join(proxy.requests)


# The sandbox's faults


REST_AND_MCP: dict[str, tuple[ChunkState, Then]] = {
    "ok": (ACCEPTED, Then.GO_ON),
    "429": (PENDING, Then.WAIT),
    "429-date": (PENDING, Then.WAIT),
    "429-bare": (PENDING, Then.WAIT),
    "503": (PENDING, Then.WAIT),
    "503-bare": (UNKNOWN, Then.GO_ON),
    "500-before": (UNKNOWN, Then.GO_ON),
    "500-after": (UNKNOWN, Then.GO_ON),
    "422-partial": (UNKNOWN, Then.GO_ON),
    "reset-before": (UNKNOWN, Then.GO_ON),
    "reset-after": (UNKNOWN, Then.GO_ON),
    "hang": (UNKNOWN, Then.GO_ON),
    "html": (UNKNOWN, Then.STOP),
    "redirect": (PENDING, Then.STOP),
    # Over REST the status is the acceptance; over MCP only the result is, and that was cut off.
    "cut": (ACCEPTED, Then.GO_ON),
}


@pytest.mark.parametrize("fault", REST_AND_MCP)
async def test_a_fault_never_makes_a_call_that_was_taken_on_look_as_if_it_were_not(
    transport: Transport, fault: str
) -> None:
    timeout_seconds = 0.2 if fault == "hang" else 20.0
    async with Sandbox(token=TOKEN, faults=Faults(script=(fault,))) as sandbox:
        async with messenger_of(transport, sandbox.origin, timeout_seconds=timeout_seconds) as messenger:
            outcome = await send(messenger, chunk_of(2, fault))
        delivered = sandbox.stats()["deliveries_total"]

    expected = (UNKNOWN, Then.GO_ON) if (fault, transport) == ("cut", MCP) else REST_AND_MCP[fault]
    assert (outcome.chunk, outcome.then) == expected
    assert delivered == 0 or outcome.chunk in (ACCEPTED, UNKNOWN)


async def test_a_refusal_of_the_api_itself_halves_and_never_stops(transport: Transport) -> None:
    async with (
        Sandbox(token=TOKEN, poison=["person1"]) as sandbox,
        messenger_of(transport, sandbox.origin) as messenger,
    ):
        outcome = await send(messenger, THREE)

    assert (outcome.chunk, outcome.then, outcome.status) == (REJECTED, Then.GO_ON, 422)
    assert outcome.reason == "HTTP 422: The message cannot be sent to these contacts"


async def test_a_probe_tells_a_well_api_from_an_ill_one(transport: Transport) -> None:
    async with Sandbox(token=TOKEN) as sandbox, messenger_of(transport, sandbox.origin) as messenger:
        well = await messenger.probe()
        sandbox.faults = Faults(down=True)
        ill = await messenger.probe()
        sandbox.faults = Faults()
        after = await send(messenger)

    assert [outcome.chunk for outcome in (well, ill, after)] == [ACCEPTED, PENDING, ACCEPTED]
    assert ill.then is Then.BACK_OFF


async def test_a_call_that_is_cancelled_is_over_at_once(transport: Transport) -> None:
    async def handle(connection: Connection) -> None:
        await connection.request()
        received.set()
        await connection.reader.read()

    received = asyncio.Event()
    async with serving(calls_to(transport, handle)) as server, messenger_of(transport, server.origin) as messenger:
        call: asyncio.Task[Outcome] = asyncio.create_task(send(messenger))
        await received.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    assert len(server.requests) == 1
