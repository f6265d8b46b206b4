"""Pure: a chunk -> the request that sends it; a reply, or its absence -> an Outcome.

What the API expects and answers is collected in this file. Where Inrō documents nothing, that is said beside it.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import orjson

from campaigns.model import IdentifierKind
from sender.addresses import Addresses
from sender.inro.quotas import QUOTA_HEADERS, quotas
from sender.outcome import ChunkState, Outcome, Quota, Then

# One contact -> singular field, several -> plural (documented).
SINGULAR = {
    IdentifierKind.ID: "contact_id",
    IdentifierKind.USERNAME: "contact_username",
    IdentifierKind.EMAIL: "contact_email",
}
PLURAL = {kind: f"{name}s" for kind, name in SINGULAR.items()}
REFUSAL_LISTS = ("invalid", "rejected", "not_found", "errors")  # assumed
REASON_LIMIT = 300
REPLY_HEADERS = ("content-type", "retry-after", "date", "x-request-id", "location", *QUOTA_HEADERS)


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """A file that goes along as a multipart part: the field's name, the file, its media type."""

    field: str
    path: Path
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """The message as the API takes it: its plain fields, and the file for one that is uploaded with every call."""

    fields: Mapping[str, str]
    file: FilePart | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One `POST /messages`: a JSON body, or a form with a file. Built once, sent as it is at every try."""

    idempotency_key: str
    addresses: Sequence[int | str] = field(default=(), compare=False)
    body: bytes = b""
    form: tuple[tuple[str, str], ...] = ()
    file: FilePart | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back: status, headers in lower case, as much of the body as arrived, and whether that is all."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NoReply:
    """A call without a reply: whether any of the request may have left, and what went wrong."""

    began: bool
    reason: str
    seconds: float = 0.0


def message_request(
    kind: IdentifierKind, addresses: Sequence[int | str], content: Content, *, idempotency_key: str
) -> Request:
    """The request that sends `content` to `addresses`, all of one kind; one address uses the singular field."""
    if content.file is None:
        who = {SINGULAR[kind]: addresses[0]} if len(addresses) == 1 else {PLURAL[kind]: addresses}
        body = orjson.dumps({**who, **content.fields}, default=_as_listed)
        return Request(idempotency_key=idempotency_key, addresses=addresses, body=body)
    # Lists in a form as repeated `name[]` parts: assumed, as Rails reads them.
    name = SINGULAR[kind] if len(addresses) == 1 else f"{PLURAL[kind]}[]"
    form = (*((name, str(address)) for address in addresses), *content.fields.items())
    return Request(idempotency_key=idempotency_key, addresses=addresses, form=form, file=content.file)


def _as_listed(addresses: Addresses) -> orjson.Fragment:
    return orjson.Fragment(addresses.json)


def random_key() -> str:
    """An idempotency key for a call outside any run."""
    return secrets.token_hex(16)


def outcome(answer: Reply | NoReply, addresses: Sequence[int | str]) -> Outcome:
    """What became of a call to `addresses`; the table stands in the design under "never twice, never silently lost"."""
    if isinstance(answer, NoReply):
        if answer.began:
            return Outcome(chunk=ChunkState.UNKNOWN, reason=answer.reason, seconds=answer.seconds)
        return Outcome(chunk=ChunkState.PENDING, then=Then.BACK_OFF, reason=answer.reason, seconds=answer.seconds)
    said = _parse(answer.body)
    chunk, then = _verdict(answer, said)
    refused = _refused(said, addresses) if chunk is ChunkState.REJECTED else ()
    not_found, not_found_count = _not_found(said, addresses) if chunk is ChunkState.ACCEPTED else ((), 0)
    return Outcome(
        chunk=chunk,
        then=then,
        reason="" if chunk is ChunkState.ACCEPTED else reason(answer),
        status=answer.status,
        not_found=not_found,
        not_found_count=not_found_count,
        refused=refused,
        retry_after_seconds=retry_after_seconds(answer.headers) if then is Then.WAIT else None,
        seconds=answer.seconds,
        request_id=answer.headers.get("x-request-id"),
        batch_task_id=_text(said.get("batch_task_id")),
        quotas=_quotas(answer.headers),
    )


def _quotas(headers: Mapping[str, str]) -> tuple[Quota, ...]:
    if headers.keys().isdisjoint(QUOTA_HEADERS):
        return ()  # as in most replies, and to look into them takes a while
    return quotas(headers, http_date(headers.get("date", "")))


def probe_outcome(answer: Reply | NoReply) -> Outcome:
    """What a harmless GET tells of the API: `accepted` when it answers, else how to go on asking."""
    if isinstance(answer, NoReply):
        return Outcome(chunk=ChunkState.PENDING, then=Then.BACK_OFF, reason=answer.reason)
    told = retry_after_seconds(answer.headers)
    then = Then.BACK_OFF
    if answer.status in (425, 429) or (answer.status == 503 and told is not None):
        then = Then.WAIT
    elif answer.status in (401, 403) or 300 <= answer.status < 400:
        then = Then.STOP
    elif answer.status < 500 and not is_html(answer):
        return Outcome(chunk=ChunkState.ACCEPTED, status=answer.status)
    return Outcome(
        chunk=ChunkState.PENDING,
        then=then,
        reason=reason(answer),
        status=answer.status,
        retry_after_seconds=told if then is Then.WAIT else None,
    )


def _verdict(reply: Reply, said: Mapping[str, Any]) -> tuple[ChunkState, Then]:
    status = reply.status
    if 200 <= status < 300:
        # A page is not the API's answer: a proxy or a login form stands between, and nobody knows what it did.
        return (ChunkState.UNKNOWN, Then.STOP) if is_html(reply) else (ChunkState.ACCEPTED, Then.GO_ON)
    state, then = _refusal(status, reply.headers)
    # A refusal that was cut short may have gone on to name those it accepted.
    is_doubtful = shows_acceptance(said) or (state is ChunkState.REJECTED and not reply.complete)
    return (ChunkState.UNKNOWN if is_doubtful else state), then


def _refusal(status: int, headers: Mapping[str, str]) -> tuple[ChunkState, Then]:
    told_when = retry_after_seconds(headers) is not None
    match status:
        case 425 | 429:
            return ChunkState.PENDING, Then.WAIT
        case 503 if told_when:
            return ChunkState.PENDING, Then.WAIT
        case 400 | 404 | 413 | 422:
            return ChunkState.REJECTED, Then.GO_ON
        case 408 | 409:
            return ChunkState.UNKNOWN, Then.GO_ON
        case _ if 300 <= status < 500:
            return ChunkState.PENDING, Then.STOP
        case _:
            return ChunkState.UNKNOWN, Then.GO_ON


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long `Retry-After` asks to wait, never negative; None when it is absent or unreadable.

    A date is measured against the reply's own `Date`, so that a wrong clock here changes nothing (RFC 9110, 10.2.3).
    """
    told = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", told, re.ASCII):
        return float(told)
    until, now = http_date(told), http_date(headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def http_date(text: str) -> datetime | None:
    """The moment that a header names; None when it names none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse(body: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def is_html(reply: Reply) -> bool:
    """Whether a reply is a page for people, and so comes from something else than the API."""
    if reply.complete and not reply.body.strip():
        return False  # no page, whatever the header says: frameworks label empty replies so
    content_type = reply.headers.get("content-type", "").lower()
    return content_type.startswith(("text/html", "application/xhtml")) or reply.body.lstrip()[:1] == b"<"


def shows_acceptance(said: Mapping[str, Any]) -> bool:
    """Whether the API says that it has taken on any of it."""
    # Whatever is no plain zero counts as a sign: a wrong "unknown" costs a look, a wrong resend a second message.
    return bool(said.get("batch_task_id")) or said.get("accepted_count") not in (None, 0, "", "0", [], {})


def _not_found(said: Mapping[str, Any], addresses: Sequence[int | str]) -> tuple[tuple[str, ...], int]:
    """Those named as matching no contact (the call's own addresses only), and how many they are, named or not."""
    names = _names(said.get("not_found"))
    ours = set(map(str, addresses)) if names else set[str]()
    named = tuple(dict.fromkeys(name for name in names if name in ours))
    told, accepted = _count(said.get("not_found_count")), _count(said.get("accepted_count"))
    if told is None and accepted is not None:
        told = len(addresses) - accepted
    return named, min(max(told or 0, len(named)), len(addresses))


def _refused(said: Mapping[str, Any], addresses: Sequence[int | str]) -> tuple[str, ...]:
    """The call's own addresses that a refusal names; where and how is not documented, so they are looked for."""
    ours = {str(address) for address in addresses}
    named = (name for key in REFUSAL_LISTS for name in _names(said.get(key)))
    return tuple(dict.fromkeys(name for name in named if name in ours))


def _names(listed: object) -> list[str]:
    """`[{"username": "ann"}, …]` (seen with contacts) or plain values, in the normal form of our own addresses."""
    if not isinstance(listed, list):
        return []
    values = [value for entry in listed for value in (_identifiers(entry) if isinstance(entry, dict) else (entry,))]
    return [str(value).strip().removeprefix("@").lower() for value in values if _is_identifier(value)]


def _identifiers(entry: Mapping[str, Any]) -> list[object]:
    return [entry[name] for name in (*SINGULAR, *SINGULAR.values()) if name in entry]


def _is_identifier(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def reason(reply: Reply) -> str:
    """The status and the API's own words, printable and short."""
    words = _words(_parse(reply.body)) or ("an HTML page" if is_html(reply) else reply.body.decode("utf-8", "replace"))
    shortened = one_line(words)
    return f"HTTP {reply.status}: {shortened}" if shortened else f"HTTP {reply.status}"


def one_line(words: str) -> str:
    """The words without what can't be printed, short."""
    printable = "".join(character if character.isprintable() else " " for character in words)
    return " ".join(printable.split())[:REASON_LIMIT]


def _words(said: Mapping[str, Any]) -> str:
    for name in ("error", "message", "errors", "detail"):
        if value := said.get(name):
            return value if isinstance(value, str) else _as_text(value)
    return ""


def _as_text(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # nested beyond reason
        return ""


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
