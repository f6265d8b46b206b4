"""Pure: what came of a call of the tool `send_message` -> an Outcome. The same promises as over REST, other wire.

MCP puts three envelopes around the API's answer, HTTP, JSON-RPC and the tool's result, and each can say no. What the
inner one says counts only where the outer one let it through; whoever may have run the tool makes it `unknown`.

| what came back | so | then |
|---|---|---|
| no connection; nothing of the POST was written; the session could not be opened | not received | pending, backoff |
| nothing, or the reply or its event stream broke off, before the result was there | may have run | `unknown` |
| HTTP 425, 429, 503 with `Retry-After` | not processed | pending, wait as told |
| HTTP 404 within a session, or 400 with JSON-RPC -32600 or -32000 | the session is gone (*) | pending, a new one |
| HTTP 404 without a session, 401, 403, 3xx, any other 4xx | token, plan or address | pending, stop |
| HTTP 400, 413, 422 without a JSON-RPC message | refused as in REST | rejected, halve |
| HTTP 408, 409, 5xx; any refusal that holds a `result` | may have run | `unknown` |
| HTTP 2xx that is neither JSON nor an event stream, 202, 204 | says nothing of the tool | `unknown`; a page: stop |
| JSON-RPC -32602 (invalid params) | refused before the tool ran | rejected, halve |
| JSON-RPC -32600, -32601 (no such method); an unknown tool | refused before the tool ran | pending, stop |
| any other JSON-RPC error: -32603 (internal), -32700, a server's own | may have run | `unknown` |
| a result without `isError` | accepted | counts are read where the result holds REST's JSON |
| the same, but its JSON or its first word is an error | contradicts itself | `unknown` |
| a result with `isError` that tells REST's HTTP status | what REST's table says for that status | |
| the same that a server's SDK words as invalid arguments | refused before the tool ran | rejected, halve |
| any other result with `isError` | the tool ran, and failed somewhere | `unknown` |

(*) The protocol's own rule: a server answers 404 to a session that it has ended, and the client begins a new one
(revision 2025-11-25, "Session Management"). Servers on older SDKs say 400 instead (python-sdk, issue 1727).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from sender.inro import wire
from sender.inro.wire import NoReply, Reply
from sender.outcome import ChunkState, Outcome, Then

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, SERVER_ERROR = -32700, -32600, -32601, -32602, -32000
MCP_CONTENT_TYPES = ("application/json", "text/event-stream")
STATUS_KEYS = ("status", "status_code", "statusCode")  # assumed
# The Python and the TypeScript SDK check arguments against the schema before a tool runs, and word it so.
INVALID_ARGUMENTS = re.compile(r"(MCP error -32602|Input validation error|Invalid arguments for tool)\b")
NO_SUCH_TOOL = re.compile(r"(MCP error -32602: )?(Unknown tool\b|Tool \S+ not found\b)")
# At the beginning alone: further on, a status may be that of a part of the work.
TOLD_STATUS = re.compile(
    r"(?:Error[^:]{0,60}: *)?(?:Request failed with )?(?:HTTP|status(?: code)?)[ :=/]*([345]\d\d)\b", re.IGNORECASE
)
ERROR_WORD = re.compile(r"\W*error\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolResult:
    """What the tool gave back: its JSON, if it holds any, its text, and the HTTP reply that brought it."""

    http: Reply
    is_error: bool = False
    structured: Mapping[str, Any] | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RpcError:
    """A JSON-RPC error instead of a result, and the HTTP reply that brought it."""

    http: Reply
    code: int
    message: str
    data: Any = None


Answer = ToolResult | RpcError | Reply | NoReply
"""What came of one JSON-RPC request. A Reply is an HTTP reply that brought no JSON-RPC message of a success."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """The tool's words as REST would have put them."""

    status: int | None
    body: bytes
    document: Mapping[str, Any] = field(default_factory=dict)


def outcome(answer: Answer, addresses: Sequence[int | str], *, in_session: bool) -> Outcome:
    """What became of a call to `addresses`; the table stands above."""
    match answer:
        case NoReply():
            return wire.outcome(answer, addresses)
        case Reply() if 200 <= answer.status < 300:
            then = Then.STOP if wire.is_html(answer) else Then.GO_ON
            return _outcome(answer, ChunkState.UNKNOWN, then, wire.reason(answer))
        case Reply():
            return _refused_by_http(answer, addresses, in_session)
        case RpcError():
            return _refused_by_rpc(answer, addresses)
        case ToolResult():
            return _from_tool(answer, addresses)


def is_session_lost(answer: Answer, *, in_session: bool) -> bool:
    """Whether the server no longer knows the session that the call was made in, and so did nothing."""
    if not in_session or not isinstance(answer, Reply):
        return False
    error = rpc_error(answer)
    code = error.code if error else None
    return answer.status == 404 or (answer.status == 400 and code in (INVALID_REQUEST, SERVER_ERROR))


def opening_outcome(answer: Answer) -> Outcome:
    """What follows when a session could not be opened: no message has left, so nothing is ever in doubt."""
    if isinstance(answer, RpcError) and answer.code == PARSE_ERROR:
        return _outcome(answer.http, ChunkState.PENDING, Then.STOP, "this is no MCP server: its reply is not MCP")
    if isinstance(answer, RpcError):
        words = f"the MCP server refuses the session: {wire.one_line(answer.message)} ({answer.code})"
        then = Then.STOP if answer.code in (INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS) else Then.BACK_OFF
        return _outcome(answer.http, ChunkState.PENDING, then, words)
    if isinstance(answer, ToolResult):
        raise ValueError("no tool is called to open a session")
    asked = wire.probe_outcome(answer)
    if isinstance(answer, NoReply) or not _is_final(answer, asked):
        return asked
    words = f"this is no MCP server: {wire.reason(answer)}" if asked.then is not Then.STOP else asked.reason
    return _outcome(answer, ChunkState.PENDING, Then.STOP, words)


def _is_final(reply: Reply, asked: Outcome) -> bool:
    return asked.chunk is ChunkState.ACCEPTED or asked.then is Then.STOP or 200 <= reply.status < 300


def _refused_by_http(reply: Reply, addresses: Sequence[int | str], in_session: bool) -> Outcome:
    usual = wire.outcome(reply, addresses)
    said = _document(reply.body)
    if "result" in said:  # whatever the status: something ran
        return _outcome(reply, ChunkState.UNKNOWN, Then.GO_ON, usual.reason)
    if is_session_lost(reply, in_session=in_session):
        words = f"the MCP server ended the session: {wire.reason(reply)}"
        return _outcome(reply, ChunkState.PENDING, Then.BACK_OFF, words)
    if reply.status == 404:
        return _outcome(reply, ChunkState.PENDING, Then.STOP, f"no MCP server is there: {wire.reason(reply)}")
    error = rpc_error(reply)
    if usual.chunk is ChunkState.REJECTED and error:
        return _refused_by_rpc(error, addresses)
    return usual


def _refused_by_rpc(error: RpcError, addresses: Sequence[int | str]) -> Outcome:
    words = f"JSON-RPC {error.code}: {wire.one_line(error.message)}"
    told = _said(error.data if isinstance(error.data, dict) else None, "", any_text=False)
    if wire.shows_acceptance(told.document):
        return _outcome(error.http, ChunkState.UNKNOWN, Then.GO_ON, words)
    match error.code:
        case _ if NO_SUCH_TOOL.match(error.message):
            return _outcome(error.http, ChunkState.PENDING, Then.STOP, words)
        case _ if error.code == INVALID_PARAMS:
            return replace(_as_in_rest(422, error.http, told, addresses), status=error.http.status, reason=words)
        case _ if error.code in (INVALID_REQUEST, METHOD_NOT_FOUND):
            return _outcome(error.http, ChunkState.PENDING, Then.STOP, words)
        case _ if told.status is not None:
            return _as_in_rest(told.status, error.http, told, addresses)
        case _:
            return _outcome(error.http, ChunkState.UNKNOWN, Then.GO_ON, words)


def _from_tool(result: ToolResult, addresses: Sequence[int | str]) -> Outcome:
    said = _said(result.structured, result.text, any_text=result.is_error)
    if said.status is not None:
        return _as_in_rest(said.status, result.http, said, addresses)
    words = wire.reason(Reply(status=0, body=said.body)).removeprefix("HTTP 0").removeprefix(": ")
    words = f"send_message failed: {words}" if words else "send_message failed without a word"
    shows_acceptance = wire.shows_acceptance(said.document)
    if result.is_error and not shows_acceptance:
        if NO_SUCH_TOOL.match(result.text):
            return _outcome(result.http, ChunkState.PENDING, Then.STOP, words)
        if INVALID_ARGUMENTS.match(result.text):
            return replace(_as_in_rest(422, result.http, said, addresses), status=result.http.status, reason=words)
    if result.is_error or (_is_error_in_disguise(said.document, result.text) and not shows_acceptance):
        return _outcome(result.http, ChunkState.UNKNOWN, Then.GO_ON, words)
    return _as_in_rest(result.http.status, result.http, said, addresses)


def _as_in_rest(status: int, http: Reply, said: _Said, addresses: Sequence[int | str]) -> Outcome:
    """What REST's table makes of this status and these words."""
    headers = {name: value for name, value in http.headers.items() if name != "content-type"}
    if (wait := said.document.get("retry_after")) is not None:
        headers["retry-after"] = str(wait)
    return wire.outcome(replace(http, status=status, headers=headers, body=said.body), addresses)


def _said(structured: Mapping[str, Any] | None, text: str, *, any_text: bool) -> _Said:
    document = structured or _document(text.encode())
    if document.keys() == {"result"} and isinstance(document["result"], dict):  # as some SDKs wrap what a tool gives
        document = document["result"]
    inner = document.get("error")
    places = (document, inner) if isinstance(inner, dict) else (document,)
    told = [place[key] for place in places for key in STATUS_KEYS if _is_failure(place.get(key))]
    if not told and any_text and (found := TOLD_STATUS.match(text)):
        told = [int(found[1])]
    return _Said(status=told[0] if told else None, body=_dumped(document) or text.encode(), document=document)


def _is_failure(status: object) -> bool:
    return isinstance(status, int) and not isinstance(status, bool) and 300 <= status < 600


def _is_error_in_disguise(document: Mapping[str, Any], text: str) -> bool:
    return bool(document.get("error") or document.get("errors")) or (not document and bool(ERROR_WORD.match(text)))


def rpc_error(reply: Reply) -> RpcError | None:
    """The JSON-RPC error in the body of an HTTP refusal; None when it holds none."""
    error = _document(reply.body).get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or not isinstance(code, int):
        return None
    return RpcError(http=reply, code=code, message=str(error.get("message", "")), data=error.get("data"))


def _outcome(http: Reply, chunk: ChunkState, then: Then, reason: str) -> Outcome:
    return Outcome(
        chunk=chunk,
        then=then,
        reason=reason,
        status=http.status,
        seconds=http.seconds,
        request_id=http.headers.get("x-request-id"),
    )


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _dumped(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document) if document else b""
    except orjson.JSONEncodeError:  # nested beyond reason, or numbers beyond 64 bits
        return b""


def misfit(schema: Mapping[str, Any], calls: Iterable[Mapping[str, Any]]) -> str:
    """Why a tool with this input schema can't be called with these arguments, as half a sentence; "" when it can.

    Names are compared, also those that the schema would let through: a server that ignores what it does not know
    would send something else than was meant.
    """
    parts = [schema, *(part for key in ("allOf", "anyOf", "oneOf") for part in _mappings(schema.get(key)))]
    known = {name for part in parts for name in (part.get("properties") or {})}
    needed = {name for part in (schema, *_mappings(schema.get("allOf"))) for name in (part.get("required") or [])}
    for call in calls:
        if unknown := sorted(call.keys() - known):
            return f"it has no parameter {unknown[0]}; it has {', '.join(sorted(known)) or 'none'}"
        if missing := sorted(needed - call.keys()):
            return f"it demands the parameter {missing[0]}, which a call by {next(iter(call))} does not give"
    return ""


def _mappings(listed: object) -> list[Mapping[str, Any]]:
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
