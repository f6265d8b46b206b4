"""What a request carries, read as a stream: of an upload its size and hash are kept, not its bytes."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http import HttpProcessingError

from sender.sandbox.refusal import Refusal, unprocessable

MAX_JSON_BYTES = 1 << 20
MAX_MULTIPART_BYTES = 32 << 20
_MAX_TEXT_PART_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that came in a multipart body."""

    filename: str
    """Its name, as the client gave it."""
    content_type: str
    """Its declared type; `application/octet-stream` when there is none."""
    size: int
    """Its length in bytes."""
    sha256: str
    """The hash of its bytes, in hex."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A body as it arrived, before anybody asks whether it makes sense."""

    content_type: str = ""
    """The media type, without parameters."""
    raw_json: bytes = b""
    """The JSON, unparsed."""
    parts: tuple[tuple[str, str | Upload], ...] = ()
    """The parts of a form, in order."""
    problem: Refusal | None = None
    """Why the body cannot be read at all: 400, 413 or 415."""

    @property
    def is_form(self) -> bool:
        """Whether numbers arrive as text, as in forms they do."""
        return self.content_type != "application/json"

    @property
    def uploads(self) -> list[Upload]:
        """The files among the parts."""
        return [value for _, value in self.parts if isinstance(value, Upload)]

    def fields(self) -> dict[str, Any]:
        """The fields by name; `name[]` parts become a list. Refusal: no object, or a field twice."""
        if self.is_form:
            return _form_fields(self.parts)
        document = parse_json(self.raw_json)
        if not isinstance(document, dict):
            raise Refusal(422, "The body must be a JSON object")
        return document


def parse_json(raw: bytes) -> Any:
    """The JSON document; Refusal 400 when it is malformed, repeats a key, or holds NaN or Infinity."""
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"Malformed JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _form_fields(parts: Iterable[tuple[str, str | Upload]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in parts:
        plain = name.removesuffix("[]")
        if name.endswith("[]") and isinstance(fields.setdefault(plain, []), list):
            fields[plain].append(value)
        elif plain in fields:
            raise unprocessable(plain, f"{plain} is given more than once")
        else:
            fields[plain] = value
    return fields


async def read_body(request: web.Request) -> Body:
    """Everything the request carries; what is wrong with it stands in `problem`, nothing is raised for it."""
    content_type = request.content_type if "Content-Type" in request.headers else ""
    if not request.body_exists and not content_type:
        return Body()
    try:
        if content_type == "application/json":
            raw = await _bytes(request, MAX_JSON_BYTES)
            return _json_body(raw)
        if content_type == "application/x-www-form-urlencoded":
            raw = await _bytes(request, MAX_JSON_BYTES)
            return Body(content_type=content_type, parts=_urlencoded(raw))
        if content_type == "multipart/form-data":
            return Body(content_type=content_type, parts=await _multipart(request))
        problem = Refusal(415, f"Content-Type {content_type or 'missing'} is not supported")
    except Refusal as refusal:
        problem = refusal
    return Body(content_type=content_type, problem=problem)


def _json_body(raw: bytes) -> Body:
    try:
        parse_json(raw)
    except Refusal as problem:
        return Body(content_type="application/json", raw_json=raw, problem=problem)
    return Body(content_type="application/json", raw_json=raw)


def _urlencoded(raw: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise Refusal(400, f"Malformed form: {error}") from error


async def _bytes(request: web.Request, limit: int) -> bytes:
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    received = bytearray()
    async for chunk in request.content.iter_any():
        received += chunk
        if len(received) > limit:
            raise _too_large(limit)
    return bytes(received)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The body is larger than {limit} bytes")


async def _multipart(request: web.Request) -> tuple[tuple[str, str | Upload], ...]:
    if (request.content_length or 0) > MAX_MULTIPART_BYTES:
        raise _too_large(MAX_MULTIPART_BYTES)
    parts: list[tuple[str, str | Upload]] = []
    room = MAX_MULTIPART_BYTES
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Refusal(400, "Malformed multipart body: a part without a name")
            value, size = await _part(part, room)
            parts.append((part.name, value))
            room -= size
    except (ValueError, AssertionError, HttpProcessingError) as error:
        raise Refusal(400, f"Malformed multipart body: {error}") from error
    return tuple(parts)


async def _part(part: BodyPartReader, room: int) -> tuple[str | Upload, int]:
    digest, text, size = hashlib.sha256(), bytearray(), 0
    is_text = part.filename is None
    limit = min(room, _MAX_TEXT_PART_BYTES) if is_text else room
    while chunk := await part.read_chunk(1 << 16):
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if is_text:
            text += chunk
        else:
            digest.update(chunk)
    if part.filename is None:
        return text.decode("utf-8"), size
    content_type = part.headers.get("Content-Type", "application/octet-stream").partition(";")[0].strip()
    upload = Upload(filename=part.filename, content_type=content_type, size=size, sha256=digest.hexdigest())
    return upload, size
