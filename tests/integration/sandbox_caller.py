"""A bare client for the sandbox's own tests: it knows nothing of the sender."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp

from sender.sandbox import Sandbox

TOKEN = "made-up-token-4711"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str
    json: Any


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A sandbox and a session that holds its token."""

    sandbox: Sandbox
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """One call below the API's base URL, or of the console for paths that begin with `!`."""
        origin = self.sandbox.origin if path.startswith("!") else self.sandbox.url
        async with self.session.request(
            method, origin + path.removeprefix("!"), allow_redirects=False, **options
        ) as reply:
            text = await reply.text()
            is_json = reply.content_type == "application/json"
            return Answer(
                status=reply.status,
                headers=reply.headers,
                text=text,
                json=await reply.json() if is_json else None,
            )

    async def get(self, path: str, **query: str) -> Answer:
        """A GET with a query."""
        return await self.call("GET", path, params=query)

    async def send(self, **fields: Any) -> Answer:
        """POST /messages with JSON: a greeting to @ann where the fields say nothing else."""
        return await self.call("POST", "/messages", json={"contact_username": "ann", "text": "Hello"} | fields)

    async def send_exactly(self, **fields: Any) -> Answer:
        """POST /messages with these fields as JSON and no others."""
        return await self.call("POST", "/messages", json=fields)


@asynccontextmanager
async def calling(token: str = TOKEN, **options: Any) -> AsyncIterator[Caller]:
    """A running sandbox, and a session with this token."""
    async with Sandbox(token=TOKEN, **options) as sandbox:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            yield Caller(sandbox=sandbox, session=session)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def form(*parts: tuple[str, str | bytes], name: str = "photo.jpg", kind: str = "image/jpeg") -> aiohttp.FormData:
    """A multipart body: text parts, and bytes as a file."""
    data = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for field, value in parts:
        if isinstance(value, bytes):
            data.add_field(field, BytesIO(value), filename=name, content_type=kind)
        else:
            data.add_field(field, value)
    return data
