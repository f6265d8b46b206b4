"""The HTTP side of Inrō: sends requests, brings back replies. The only user of aiohttp's client.

Nothing in here decides or repeats. aiohttp itself repeats a call on a stale connection, but only for idempotent
methods, and POST is none (https://docs.aiohttp.org/en/stable/client_reference.html).
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.connector import Connection
from pydantic import SecretStr

from sender.inro.wire import REPLY_HEADERS, FilePart, NoReply, Reply, Request

CONNECT_SECONDS = 15.0
LOOK_UP_SECONDS = 30.0
UPLOAD_SECONDS = 600.0  # 25 MB at some 50 kB/s
# A server may close a connection that was idle for some seconds at the very moment we write to it.
IDLE_SECONDS = 0.9
BODY_LIMIT = 1 << 20
SECRET_LENGTH = 12


class _Call:
    """What is known of a call at any moment, whatever ends it.

    Whether its request may have begun to leave is told by the connector, never by an exception's class. A call of
    which the connector was not asked at all may have left: nobody knows.
    """

    __slots__ = ("_deadline", "_seconds", "body", "has_begun", "headers", "is_connecting", "started_at", "status")

    def __init__(self, deadline: asyncio.Timeout, seconds: float) -> None:
        self._deadline = deadline
        self._seconds = seconds
        self.has_begun = False
        self.is_connecting = False
        self.started_at = time.monotonic()
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""

    def begin(self) -> None:
        """From now on the request may have left, and its time runs."""
        self.has_begun = True
        self.started_at = time.monotonic()
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._seconds)


_under_way: ContextVar[_Call] = ContextVar("call")


class _Connector(aiohttp.TCPConnector):
    """Tells the call that it has a connection: aiohttp writes right after that, so from there on bytes may have left.

    aiohttp's own trace hooks tell the same, but take a sixth of the time of a whole call.
    """

    async def connect(self, *arguments: Any, **options: Any) -> Connection:
        call = _under_way.get()
        call.is_connecting = True
        connection = await super().connect(*arguments, **options)
        call.begin()
        return connection


class InroClient:
    """One account's connections. Made by `connect`."""

    def __init__(self, session: aiohttp.ClientSession, api_url: str, token: SecretStr, timeout_seconds: float) -> None:
        self._session = session
        self._api_url = api_url
        self._token = token
        self._timeout_seconds = timeout_seconds

    async def send(self, request: Request) -> Reply | NoReply:
        """What came of one `POST /messages`; it is written at most once."""
        headers = {"Idempotency-Key": request.idempotency_key}
        if request.file is None:
            headers["Content-Type"] = "application/json"
            return await self._call("POST", "/messages", self._timeout_seconds, data=request.body, headers=headers)
        with ExitStack() as files:
            form = _form(request.form, request.file, files)
            return await self._call("POST", "/messages", UPLOAD_SECONDS, data=form, headers=headers)

    async def upload(self, file: FilePart) -> Reply | NoReply:
        """What came of `POST /media_files` with the file, streamed from disk."""
        with ExitStack() as files:
            return await self._call("POST", "/media_files", UPLOAD_SECONDS, data=_form((), file, files))

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Reply | NoReply:
        """What came of a GET, such as `/medias`."""
        return await self._call("GET", path, LOOK_UP_SECONDS, params=params or {})

    async def _call(self, method: str, path: str, seconds: float, **options: Any) -> Reply | NoReply:
        deadline = asyncio.timeout(CONNECT_SECONDS + seconds)  # the connector has its own part of that
        call, failure, began = _Call(deadline, seconds), "", True
        _under_way.set(call)
        try:
            async with deadline:
                await self._exchange(method, path, call, options)
        except Exception as error:  # whatever it is, the request may have left, and that is what counts
            # That the address of a proxy is no URL shows before there is a connection.
            began = call.has_begun or not (call.is_connecting or isinstance(error, aiohttp.InvalidURL))
            failure = _explain(error, seconds if began else CONNECT_SECONDS)
        elapsed = time.monotonic() - call.started_at
        if call.status is None:
            return NoReply(began=began, reason=without_token(failure, self._token), seconds=elapsed)
        headers = {name: without_token(value, self._token) for name, value in call.headers.items()}
        body = without_token(call.body.decode("latin-1"), self._token).encode("latin-1")
        return Reply(status=call.status, headers=headers, body=body, complete=not failure, seconds=elapsed)

    async def _exchange(self, method: str, path: str, call: _Call, options: dict[str, Any]) -> None:
        # Not among the session's headers: those aiohttp shows to a proxy as well.
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}", **options.pop("headers", {})}
        async with self._session.request(
            method, self._api_url + path, allow_redirects=False, headers=headers, **options
        ) as response:
            call.status = response.status
            call.headers = {name: response.headers[name] for name in REPLY_HEADERS if name in response.headers}
            while piece := await response.content.readany():
                call.body += piece
                if len(call.body) > BODY_LIMIT:
                    raise aiohttp.ClientPayloadError(f"the reply is larger than {BODY_LIMIT:,} bytes")


@asynccontextmanager
async def connect(*, api_url: str, token: SecretStr, timeout_seconds: float) -> AsyncIterator[InroClient]:
    """A client for as long as the context lasts.

    timeout_seconds   for one message, from the first byte written to the last byte of the reply; uploads have 600 s
    """
    connector = _Connector(limit=0, keepalive_timeout=IDLE_SECONDS)
    headers = {"User-Agent": user_agent()}
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
        proxy=proxy_for(api_url),
        trust_env=False,  # it would read ~/.netrc, too, whose entries collide with our own Authorization header
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield InroClient(session, api_url, token, timeout_seconds)


def without_token(text: str, token: SecretStr) -> str:
    """What an API said, without the token: it ends up in the ledger and in reports."""
    # A token of a few letters is a stand-in's, and may be part of any word.
    secret = token.get_secret_value()
    return text.replace(secret, "[token]") if len(secret) >= SECRET_LENGTH else text


def proxy_for(url: str) -> str | None:
    """The proxy of the environment; none for plain http, which never leaves this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get("https")


def product_version() -> str:
    """This product's own version."""
    return version("inro-campaigns")


def user_agent() -> str:
    """How this program names itself to servers."""
    return f"inro-campaigns/{product_version()}"


def _form(fields: tuple[tuple[str, str], ...], file: FilePart, files: ExitStack) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields:
        form.add_field(name, value)
    stream = files.enter_context(file.path.open("rb"))
    form.add_field(file.field, stream, filename=file.path.name, content_type=file.content_type)
    return form


def _explain(error: Exception, seconds: float) -> str:
    match error:
        case TimeoutError():
            return f"no reply within {seconds:g} s"
        # The texts of these two show the proxy's address with its password.
        case aiohttp.InvalidURL():
            return "the address of the proxy is no URL: expected http://HOST:PORT"
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refuses to connect: HTTP {error.status} {error.message}"
        case aiohttp.ClientConnectorDNSError():
            return f"the host {error.host} is not known here"
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLError() | aiohttp.ClientSSLError():
            return f"the server's TLS certificate or handshake failed: {error}"
        case aiohttp.ClientConnectorError():
            return f"no connection to {error.host}:{error.port}: {error.strerror or error}"
        case aiohttp.ClientOSError() | ConnectionError() | aiohttp.ServerDisconnectedError():
            return f"the connection broke: {error}"
        case aiohttp.ClientPayloadError():
            return f"the reply was cut short: {error}"
        case _:
            return f"{type(error).__name__}: {error}"
