"""Every API request as data, to be compared field by field; of the token only whether it was right."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sender.sandbox.body import Body, Upload, parse_json
from sender.sandbox.messages import Message
from sender.sandbox.refusal import Refusal


@dataclass(kw_only=True)
class Entry:
    """One request, filled in as it is handled."""

    number: int
    """Counts from 1."""
    method: str
    """GET, POST, …"""
    path: str
    """The path below the API's base, without the query."""
    query: list[tuple[str, str]]
    """The query's pairs, in order."""
    header_names: list[str]
    """The names of the headers, as sent."""
    idempotency_key: str | None
    """The value of that header."""
    authorization: dict[str, bool]
    """Whether a token was present, and whether it was valid."""
    arrived_at: float
    """When its headers had come, by the sandbox's clock."""
    body: Body = field(default_factory=Body)
    """What it carried; empty when it was not read."""
    status: int | None = None
    """What was answered; None when nothing was, or not yet."""
    mishap: str | None = None
    """What went wrong on purpose."""
    message: Message | None = None
    """The message, once it has been understood."""
    is_message: bool = False
    """Whether this is a POST /messages, or calls MCP's tool that does the same."""

    def as_data(self) -> dict[str, Any]:
        """The entry as JSON-ready data."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.header_names,
            "idempotency_key": self.idempotency_key,
            "authorization": self.authorization,
            "content_type": self.body.content_type,
            "json": _document(self.body.raw_json),
            "parts": [[name, _part(value)] for name, value in self.body.parts],
            "arrived_at": self.arrived_at,
            "status": self.status,
            "fault": self.mishap,
        }


def _document(raw: bytes) -> Any:
    try:
        return parse_json(raw) if raw else None
    except Refusal:
        return {"malformed": raw[:200].decode("utf-8", "replace")}


def _part(value: str | Upload) -> Any:
    if isinstance(value, str):
        return value
    return {
        "filename": value.filename,
        "content_type": value.content_type,
        "size": value.size,
        "sha256": value.sha256,
    }


class Recorder:
    """The last `keep` requests. JSON stays as it came: 10,000 calls of a thousand names fill some 200 MB."""

    def __init__(self, keep: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=keep)
        self.seen = 0
        self.recent_messages: deque[Entry] = deque(maxlen=14)
        self.recent_uploads: deque[Upload] = deque(maxlen=6)

    def begin(
        self, request: web.Request, path: str, now: float, *, authorized: bool, is_message: bool | None = None
    ) -> Entry:
        """A new entry for a request whose headers have come; `is_message` where its address does not tell."""
        self.seen += 1
        entry = Entry(
            number=self.seen,
            method=request.method,
            path=path,
            query=list(request.query.items()),
            header_names=list(request.headers),
            idempotency_key=request.headers.get("Idempotency-Key"),
            authorization={"present": "Authorization" in request.headers, "valid": authorized},
            arrived_at=now,
            is_message=(request.method, path) == ("POST", "/messages") if is_message is None else is_message,
        )
        self._entries.append(entry)
        if entry.is_message:
            self.recent_messages.appendleft(entry)
        return entry

    def add_body(self, entry: Entry, body: Body) -> None:
        """What the request turned out to carry."""
        entry.body = body
        self.recent_uploads.extendleft(body.uploads)

    def since(self, number: int) -> list[dict[str, Any]]:
        """The requests after that number, oldest first."""
        return [entry.as_data() for entry in self._entries if entry.number > number]
