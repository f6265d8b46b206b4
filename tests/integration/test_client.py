"""The real HTTP client against servers that fail at each stage of a call: what it knows then, and what it leaks."""

import asyncio
import gzip
import resource
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr
from yarl import URL

from sender.inro import client as client_module
from sender.inro.client import InroClient, _explain, connect
from sender.inro.wire import FilePart, NoReply, Reply, Request
from tests.integration.raw_server import OK, Connection, Handler, answering, serving

TOKEN = "inro-live-9f8e7d6c5b4a"
REQUEST = Request(idempotency_key="key-1", body=b'{"contact_username":"ann","text":"Hi"}')
LARGE = Request(idempotency_key="key-1", body=b"x" * 1_000_000)


@asynccontextmanager
async def client_of(url: str, timeout_seconds: float = 5.0) -> AsyncIterator[InroClient]:
    async with connect(api_url=url, token=SecretStr(TOKEN), timeout_seconds=timeout_seconds) as client:
        yield client


async def sent_to(handler: Handler, request: Request = REQUEST, timeout_seconds: float = 5.0) -> Reply | NoReply:
    async with serving(handler) as server, client_of(server.url, timeout_seconds) as client:
        return await client.send(request)


# Before the request


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x03\x00\x02\x02\x28", b""])
async def test_tls_that_fails_was_not_reached(garbage: bytes) -> None:
    async def handle(connection: Connection) -> None:
        connection.requests.append(await connection.reader.read(5))
        connection.writer.write(garbage)
        await connection.writer.drain()

    async with serving(handle) as server, client_of(f"https://127.0.0.1:{server.port}/v1") as client:
        answer = await client.send(REQUEST)

    assert isinstance(answer, NoReply)
    assert not answer.began
    assert answer.reason
    assert [hello[0] for hello in server.requests] == [0x16]  # a ClientHello and not a byte of HTTP


async def test_a_tls_handshake_that_hangs_was_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.1)

    async def handle(connection: Connection) -> None:
        await connection.reader.read()

    async with serving(handle) as server, client_of(f"https://127.0.0.1:{server.port}/v1") as client:
        answer = await client.send(REQUEST)

    assert isinstance(answer, NoReply)
    assert (answer.began, answer.reason) == (False, "no reply within 0.1 s")


# After it began


async def test_a_call_whose_connection_nobody_told_of_may_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with another aiohttp that came to its connections in another way."""
    monkeypatch.setattr(client_module._Connector, "connect", aiohttp.TCPConnector.connect)
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.1)

    async def hang(connection: Connection) -> None:
        await connection.request()
        await connection.reader.read()

    async def close(connection: Connection) -> None:
        await connection.request()

    for handler in (hang, close):
        answer = await sent_to(handler, timeout_seconds=0.1)

        assert isinstance(answer, NoReply)
        assert answer.began


async def test_a_server_that_does_not_read_a_file_is_given_up_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "UPLOAD_SECONDS", 0.3)
    file = tmp_path / "spring.mp4"
    file.write_bytes(b"v" * 20_000_000)

    async def handle(connection: Connection) -> None:
        await connection.head()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        await asyncio.Event().wait()

    part = FilePart(field="video", path=file, content_type="video/mp4")
    answer = await sent_to(handle, Request(idempotency_key="k", file=part))

    assert isinstance(answer, NoReply)
    assert (answer.began, answer.reason) == (True, "no reply within 0.3 s")


# A reply that is cut short is still a reply

HEAD = b"HTTP/1.1 202 Accepted\r\nX-Request-Id: req_9\r\n"
SQUEEZED = gzip.compress(b'{"status":"pending"}' * 9)


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (HEAD + b'Content-Length: 100\r\n\r\n{"accepted_count": 3, "not_f', b'{"accepted_count": 3, "not_f'),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot a zip", None),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n" + SQUEEZED[:20], None),
    ],
)
async def test_a_202_that_breaks_off_in_its_body_is_a_reply_that_is_not_complete(
    reply: bytes, body: bytes | None
) -> None:
    answer = await sent_to(answering(reply))

    assert isinstance(answer, Reply)
    assert (answer.status, answer.complete) == (202, False)
    assert answer.headers["x-request-id"] == "req_9"
    if body is not None:
        assert answer.body == body


async def test_a_202_whose_body_hangs_is_a_reply_that_is_not_complete() -> None:
    async def handle(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")
        await connection.reader.read()

    answer = await sent_to(handle, timeout_seconds=0.2)

    assert isinstance(answer, Reply)
    assert (answer.status, answer.body, answer.complete) == (202, b"{", False)


async def test_a_reply_over_the_limit_is_not_read_to_its_end() -> None:
    async def handle(connection: Connection) -> None:
        await connection.request()
        connection.writer.write(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            connection.writer.write(b"x" * 100_000)
            await connection.writer.drain()

    answer = await sent_to(handle)

    assert isinstance(answer, Reply)
    assert (answer.status, answer.complete) == (202, False)
    assert client_module.BODY_LIMIT < len(answer.body) < 2 * client_module.BODY_LIMIT


async def test_a_zip_bomb_is_not_unpacked_to_its_end() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=6)
    reply = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb

    answer = await sent_to(answering(reply))

    assert isinstance(answer, Reply)
    assert not answer.complete
    assert len(answer.body) < 8 * client_module.BODY_LIMIT


async def test_a_whole_reply_brings_its_status_body_and_the_headers_that_count() -> None:
    reply = (
        b"HTTP/1.1 429 Slow Down\r\nRETRY-AFTER: 7\r\nDate: Fri, 06 Nov 2026 12:00:00 GMT\r\nX-Request-ID: req_9\r\n"
        b"Set-Cookie: a=b\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nslow"
    )

    answer = await sent_to(answering(reply))

    assert isinstance(answer, Reply)
    assert (answer.status, answer.body, answer.complete) == (429, b"slow", True)
    assert answer.headers == {
        "content-type": "text/plain",
        "retry-after": "7",
        "date": "Fri, 06 Nov 2026 12:00:00 GMT",
        "x-request-id": "req_9",
    }


# What goes out


async def test_a_message_goes_out_as_it_was_built() -> None:
    async with serving(answering(OK)) as server, client_of(server.url) as client:
        await client.send(REQUEST)

    [head] = server.requests
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /api/v1/messages HTTP/1.1"
    assert f"Authorization: Bearer {TOKEN}" in lines
    assert "Idempotency-Key: key-1" in lines
    assert "Content-Type: application/json" in lines
    assert any(line.startswith("User-Agent: inro-campaigns/") for line in lines)


# The token


async def test_a_token_that_the_server_repeats_in_its_body_is_replaced() -> None:
    async def handle(connection: Connection) -> None:
        head = await connection.request()
        connection.writer.write(b"HTTP/1.1 401 No\r\nContent-Length: %d\r\n\r\n" % len(head) + head)

    answer = await sent_to(handle)

    assert isinstance(answer, Reply)
    assert b"Bearer [token]" in answer.body
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(
    "reply",
    [
        f"HTTP/1.1 401 No\r\nX-Request-Id: {TOKEN}\r\nContent-Length: 0\r\n\r\n",
        f"HTTP/1.1 401 Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n",
        f"Authorization: Bearer {TOKEN}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\n{TOKEN}\r\n\r\n",
    ],
    ids=["header", "status line", "no HTTP", "bad header"],
)
async def test_a_token_that_the_server_repeats_elsewhere_is_nowhere_in_the_answer(reply: str) -> None:
    answer = await sent_to(answering(reply.encode()))

    assert TOKEN not in repr(answer)


async def test_what_went_wrong_is_said_on_one_printable_line() -> None:
    answer = await sent_to(answering(b"\x1b[31mno \xff HTTP\r\nat all\r\n\r\n"))

    assert isinstance(answer, NoReply)
    assert answer.reason.isprintable()


# Connections


def test_the_limit_of_idleness_is_below_a_second() -> None:
    assert 0 < client_module.IDLE_SECONDS < 1


async def test_https_goes_through_the_proxy_of_the_environment_and_one_that_refuses_was_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(refusal)) as proxy:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://me:s3cret@127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "")
        async with client_of("https://api.nowhere.invalid/v1") as client:
            answer = await client.send(REQUEST)

    assert isinstance(answer, NoReply)
    assert not answer.began
    assert answer.reason == "the proxy refuses to connect: HTTP 407 Proxy Authentication Required"
    assert proxy.requests[0].startswith(b"CONNECT api.nowhere.invalid:443 ")
    assert TOKEN.encode() not in b"".join(proxy.requests)


@pytest.mark.parametrize("address", ["http://me:s3cret@", "me:s3cret@proxy:1", "http://me:s3cret@proxy:99999"])
async def test_a_proxy_whose_address_is_no_url_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, address)
    async with client_of("https://api.nowhere.invalid/v1") as client:
        answer = await client.send(REQUEST)

    assert isinstance(answer, NoReply)
    assert (answer.began, answer.reason) == (False, "the address of the proxy is no URL: expected http://HOST:PORT")


# What may be raised

INFO = RequestInfo(URL("http://x"), "POST", CIMultiDictProxy(CIMultiDict()), URL("http://x"))
KEY = ConnectionKey("api.example.com", 443, True, True, None, None, None)
UNREACHABLE = OSError(113, "No route to host")
ARGUMENTS: dict[type[Exception], tuple[Any, ...]] = {
    aiohttp.ClientConnectorCertificateError: (KEY, ssl.SSLCertVerificationError("self-signed")),
    aiohttp.ClientHttpProxyError: (INFO, ()),
    aiohttp.ContentTypeError: (INFO, ()),
    aiohttp.TooManyRedirects: (INFO, ()),
    aiohttp.WSServerHandshakeError: (INFO, ()),
    aiohttp.WebSocketError: (1002, "it went wrong"),
    aiohttp.ClientResponseError: (INFO, ()),
    aiohttp.ServerFingerprintMismatch: (b"a", b"b", "api.example.com", 443),
}
EXCEPTIONS = sorted(
    {found for found in vars(aiohttp).values() if isinstance(found, type) and issubclass(found, Exception)},
    key=lambda found: found.__name__,
)


def an(kind: type[Exception]) -> Exception:
    """An exception of that kind, as aiohttp makes them."""
    if issubclass(kind, aiohttp.ClientConnectorError) and kind not in ARGUMENTS:
        return kind(KEY, UNREACHABLE)
    return kind(*ARGUMENTS.get(kind, ("it went wrong",)))


@pytest.mark.parametrize("kind", [*EXCEPTIONS, TimeoutError, ssl.SSLError, ConnectionResetError, OSError, ValueError])
def test_every_exception_has_a_sentence(kind: type[Exception]) -> None:
    words = _explain(an(kind), 30.0)

    assert words
    assert not words.endswith(": ")


def test_there_are_exceptions_to_explain() -> None:
    assert len(EXCEPTIONS) > 20


# Uploads


async def test_an_upload_is_streamed_whole_and_costs_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "spring.mp4"
    with file.open("wb") as content:
        for _ in range(25):
            content.write(b"v" * 1_000_000)
    received = 0

    async def handle(connection: Connection) -> None:
        nonlocal received
        head = await connection.head()
        assert head.startswith(b"POST /api/v1/media_files ")
        tail = b""
        while not tail.endswith(b"--\r\n"):
            piece = await connection.reader.read(65536)
            received += piece.count(b"v")
            tail = (tail + piece)[-8:]
        connection.writer.write(OK)

    async with serving(handle) as server, client_of(server.url) as client:
        tracemalloc.start()
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            answer = await client.upload(FilePart(field="file", path=file, content_type="video/mp4"))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident

    assert isinstance(answer, Reply)
    assert 25_000_000 <= received < 25_000_100
    assert peak < 8_000_000
    assert grown < 20_000  # kilobytes


async def test_a_message_with_a_file_is_a_form_with_its_fields_first_and_the_files_name_and_type(
    tmp_path: Path,
) -> None:
    file = tmp_path / "naïve one.jpg"
    file.write_bytes(b"jpeg")
    form = (("contact_usernames[]", "ann"), ("contact_usernames[]", "bob"), ("message_type", "image"))
    bodies = []

    async def handle(connection: Connection) -> None:
        await connection.head()
        bodies.append(await connection.reader.readuntil(b"--\r\n"))
        connection.writer.write(OK)

    part = FilePart(field="image", path=file, content_type="image/jpeg")
    answer = await sent_to(handle, Request(idempotency_key="k", form=form, file=part))

    assert isinstance(answer, Reply)
    [body] = bodies
    assert body.count(b'name="contact_usernames[]"') == 2
    assert body.index(b"ann") < body.index(b"bob") < body.index(b'name="message_type"') < body.index(b'name="image"')
    assert b"Content-Type: image/jpeg" in body
    assert b"\r\n\r\njpeg\r\n" in body


async def test_a_file_that_is_gone_was_not_sent(tmp_path: Path) -> None:
    part = FilePart(field="image", path=tmp_path / "gone.jpg", content_type="image/jpeg")

    async with serving(answering(OK)) as server, client_of(server.url) as client:
        with pytest.raises(FileNotFoundError):
            await client.send(Request(idempotency_key="k", file=part))

    assert server.connections == 0
