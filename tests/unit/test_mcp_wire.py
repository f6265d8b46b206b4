"""What an MCP server answers -> what became of the call: the table in `mcp_wire`, line by line."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.inro import mcp_wire
from sender.inro.mcp_wire import Answer, RpcError, ToolResult, misfit, opening_outcome
from sender.inro.wire import NoReply, Reply
from sender.outcome import ChunkState, Outcome, Then

ACCEPTED, PENDING, REJECTED, UNKNOWN = (
    ChunkState.ACCEPTED,
    ChunkState.PENDING,
    ChunkState.REJECTED,
    ChunkState.UNKNOWN,
)
ADDRESSES: list[int | str] = ["ann", "bob", "cem"]
HTTP = Reply(status=200, headers={"content-type": "application/json", "x-request-id": "r1"}, seconds=0.5)


def outcome(answer: Answer, *, in_session: bool = True) -> Outcome:
    return mcp_wire.outcome(answer, ADDRESSES, in_session=in_session)


def tool(said: dict[str, Any] | str | None = None, *, is_error: bool = False, as_text: bool = False) -> ToolResult:
    if isinstance(said, str):
        return ToolResult(http=HTTP, is_error=is_error, text=said)
    if as_text:
        return ToolResult(http=HTTP, is_error=is_error, text=orjson.dumps(said).decode())
    return ToolResult(http=HTTP, is_error=is_error, structured=said)


def rpc(code: int, message: str = "so it is", data: object = None) -> RpcError:
    return RpcError(http=HTTP, code=code, message=message, data=data)


def refusal(status: int, code: int | None = None, **body: object) -> Reply:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": "so it is"}} if code else body
    return Reply(status=status, body=orjson.dumps(error))


# The tool's result


@pytest.mark.parametrize("said", [None, "", "OK", "The message is on its way.", {"status": "pending"}, {"status": 202}])
def test_a_result_without_an_error_is_accepted_whatever_it_says(said: dict[str, Any] | str | None) -> None:
    found = outcome(tool(said))

    assert (found.chunk, found.then, found.reason) == (ACCEPTED, Then.GO_ON, "")
    assert (found.status, found.seconds, found.request_id) == (200, 0.5, "r1")


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("is_wrapped", [False, True])
def test_the_json_of_rest_is_read_where_a_result_holds_it(as_text: bool, is_wrapped: bool) -> None:
    said = {"batch_task_id": 7, "accepted_count": 2, "not_found_count": 1, "not_found": [{"username": "Bob"}]}

    found = outcome(tool({"result": said} if is_wrapped else said, as_text=as_text))

    assert (found.chunk, found.batch_task_id) == (ACCEPTED, "7")
    assert (found.not_found, found.not_found_count) == (("bob",), 1)


@pytest.mark.parametrize("said", [{"error": "no"}, {"errors": ["no"]}, "Error: no", "error calling the API"])
def test_a_result_that_contradicts_itself_is_unknown(said: dict[str, Any] | str) -> None:
    found = outcome(tool(said))

    assert (found.chunk, found.then) == (UNKNOWN, Then.GO_ON)
    assert found.reason.startswith("send_message failed: ")


@pytest.mark.parametrize(
    ("said", "chunk", "then"),
    [
        ({"status": 422, "error": "no"}, REJECTED, Then.GO_ON),
        ({"error": {"status_code": 404, "message": "no"}}, REJECTED, Then.GO_ON),
        ("Request failed with HTTP 400: no", REJECTED, Then.GO_ON),
        ({"status": 401, "error": "no"}, PENDING, Then.STOP),
        ({"statusCode": 403}, PENDING, Then.STOP),
        ({"status": 429, "retry_after": 9}, PENDING, Then.WAIT),
        ("status code 429", PENDING, Then.WAIT),
        ({"status": 500}, UNKNOWN, Then.GO_ON),
        ({"status": 422, "accepted_count": 1}, UNKNOWN, Then.GO_ON),
        ({"error": "no"}, UNKNOWN, Then.GO_ON),
        ({"status": True}, UNKNOWN, Then.GO_ON),
        ("Unknown tool: send_message", PENDING, Then.STOP),
        ("MCP error -32602: Tool send_message not found", PENDING, Then.STOP),
        ("Error executing tool send_message: HTTP 422", REJECTED, Then.GO_ON),
        ("it did not work for 422 people", UNKNOWN, Then.GO_ON),
        ("300 of them are sent, then came HTTP 422", UNKNOWN, Then.GO_ON),
        ("", UNKNOWN, Then.GO_ON),
    ],
)
def test_a_tools_error_means_what_the_status_that_it_tells_means_and_else_is_unknown(
    said: dict[str, Any] | str, chunk: ChunkState, then: Then
) -> None:
    found = outcome(tool(said, is_error=True))

    assert (found.chunk, found.then) == (chunk, then)
    assert found.reason
    assert found.retry_after_seconds == (9 if isinstance(said, dict) and "retry_after" in said else None)


def test_a_refusal_names_its_cause() -> None:
    found = outcome(tool({"status": 422, "error": "no", "invalid": [{"username": "@Cem"}, "zoe"]}, is_error=True))

    assert (found.chunk, found.refused, found.reason) == (REJECTED, ("cem",), "HTTP 422: no")


@pytest.mark.parametrize(
    "words", ["Input validation error: 'text' is required", "MCP error -32602: Invalid arguments for tool send_message"]
)
def test_arguments_that_an_sdk_refused_before_the_tool_ran_are_rejected(words: str) -> None:
    assert outcome(tool(words, is_error=True)).chunk is REJECTED
    assert outcome(tool(f"the API said: {words}", is_error=True)).chunk is UNKNOWN


# JSON-RPC errors


@pytest.mark.parametrize(
    ("code", "chunk", "then"),
    [
        (-32602, REJECTED, Then.GO_ON),
        (-32601, PENDING, Then.STOP),
        (-32600, PENDING, Then.STOP),
        (-32603, UNKNOWN, Then.GO_ON),
        (-32700, UNKNOWN, Then.GO_ON),
        (-32000, UNKNOWN, Then.GO_ON),
        (-32042, UNKNOWN, Then.GO_ON),
        (1, UNKNOWN, Then.GO_ON),
    ],
)
def test_a_json_rpc_error_is_a_refusal_only_where_the_tool_can_not_have_run(
    code: int, chunk: ChunkState, then: Then
) -> None:
    found = outcome(rpc(code))

    assert (found.chunk, found.then) == (chunk, then)
    assert (found.status, found.reason) == (200, f"JSON-RPC {code}: so it is")


def test_a_tool_that_is_gone_stops_everything() -> None:
    assert outcome(rpc(-32602, "Unknown tool: send_message")).then is Then.STOP


def test_a_json_rpc_error_that_tells_of_acceptance_is_unknown_and_one_that_tells_a_status_means_that() -> None:
    assert outcome(rpc(-32602, data={"accepted_count": 1})).chunk is UNKNOWN
    assert outcome(rpc(-32000, data={"status": 429})).then is Then.WAIT
    assert outcome(rpc(-32602, data={"invalid": ["ann"]})).refused == ("ann",)


# HTTP


@pytest.mark.parametrize(
    ("reply", "in_session", "chunk", "then"),
    [
        (refusal(404), True, PENDING, Then.BACK_OFF),
        (refusal(404), False, PENDING, Then.STOP),
        (refusal(400, -32600), True, PENDING, Then.BACK_OFF),
        (refusal(400, -32000), True, PENDING, Then.BACK_OFF),
        (refusal(400, -32600), False, PENDING, Then.STOP),
        (refusal(400, -32602), True, REJECTED, Then.GO_ON),
        (refusal(400, -32603), True, UNKNOWN, Then.GO_ON),
        (refusal(400, error="no"), True, REJECTED, Then.GO_ON),
        (refusal(500, -32602), True, UNKNOWN, Then.GO_ON),
        (refusal(422, result={}), True, UNKNOWN, Then.GO_ON),
        (refusal(404, result={}), True, UNKNOWN, Then.GO_ON),
        (Reply(status=422, body=b'{"err', complete=False), True, UNKNOWN, Then.GO_ON),
        (Reply(status=202), True, UNKNOWN, Then.GO_ON),
        (Reply(status=204), True, UNKNOWN, Then.GO_ON),
        (Reply(status=200, body=b"<html>"), True, UNKNOWN, Then.STOP),
        (NoReply(began=True, reason="reset"), True, UNKNOWN, Then.GO_ON),
        (NoReply(began=False, reason="refused"), True, PENDING, Then.BACK_OFF),
    ],
)
def test_an_http_reply_without_a_result_means_what_the_table_says(
    reply: Answer, in_session: bool, chunk: ChunkState, then: Then
) -> None:
    found = outcome(reply, in_session=in_session)

    assert (found.chunk, found.then) == (chunk, then)
    assert found.reason


statuses = st.integers(200, 599)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=5,
)
documents = st.dictionaries(
    st.sampled_from(["error", "status", "result", "accepted_count", "not_found", "retry_after", "invalid"]), json_values
)
https = st.builds(Reply, status=statuses, body=st.binary(max_size=40) | documents.map(str).map(str.encode))
answers = st.one_of(
    st.builds(ToolResult, http=https, is_error=st.booleans(), structured=st.none() | documents, text=st.text()),
    st.builds(RpcError, http=https, code=st.integers(-33000, 10), message=st.text(), data=json_values | documents),
    https,
    st.builds(NoReply, began=st.booleans(), reason=st.text()),
)


@settings(max_examples=60)
@given(answers, st.booleans())
def test_whatever_comes_back_is_understood_and_told_on_one_line(answer: Answer, in_session: bool) -> None:
    found = outcome(answer, in_session=in_session)

    assert found.chunk in (ACCEPTED, PENDING, REJECTED, UNKNOWN)
    assert found.chunk is not ACCEPTED or (isinstance(answer, ToolResult) and not answer.is_error)
    assert isinstance(answer, NoReply) or found.reason.isprintable()
    assert isinstance(answer, ToolResult) or opening_outcome(answer).chunk is PENDING


@settings(max_examples=60)
@given(answers, st.booleans(), st.sampled_from([1, "2", [1]]))
def test_what_tells_of_acceptance_is_never_sent_again(answer: Answer, in_session: bool, count: object) -> None:
    said = {"accepted_count": count}
    match answer:
        case ToolResult():
            answer = ToolResult(http=answer.http, is_error=answer.is_error, structured={**said, "status": 422})
        case RpcError():
            answer = RpcError(http=answer.http, code=answer.code, message="", data=said)
        case Reply():
            answer = Reply(status=200 + answer.status % 100, body=orjson.dumps(said))
        case NoReply():
            return

    assert outcome(answer, in_session=in_session).chunk in (ACCEPTED, UNKNOWN)


# The session and its tool


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        (NoReply(began=True, reason="reset"), Then.BACK_OFF),
        (Reply(status=429), Then.WAIT),
        (Reply(status=500), Then.BACK_OFF),
        (Reply(status=401), Then.STOP),
        (Reply(status=404), Then.STOP),
        (Reply(status=302), Then.STOP),
        (Reply(status=200, body=b"<html>"), Then.STOP),
        (rpc(-32601), Then.STOP),
        (rpc(-32700), Then.STOP),
        (rpc(-32603), Then.BACK_OFF),
    ],
)
def test_a_session_that_does_not_open_never_puts_anything_in_doubt(answer: Answer, then: Then) -> None:
    found = opening_outcome(answer)

    assert (found.chunk, found.then) == (PENDING, then)
    assert found.reason


CALLS: list[dict[str, object]] = [
    {"contact_username": "ann", "text": "Hi"},
    {"contact_usernames": ["ann"], "text": "Hi"},
]
TAKEN: dict[str, object] = {"contact_username": {}, "contact_usernames": {}, "text": {}}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"properties": TAKEN}, ""),
        ({"properties": TAKEN | {"other": {}}, "required": ["text"]}, ""),
        ({"properties": {"text": {}}, "oneOf": [{"properties": {name: {}}, "required": [name]} for name in TAKEN]}, ""),
        ({"properties": {"text": {}}}, "it has no parameter contact_username; it has text"),
        ({"additionalProperties": True}, "it has no parameter contact_username; it has none"),
        (
            {"properties": TAKEN | {"account": {}}, "required": ["account"]},
            "it demands the parameter account, which a call by contact_username does not give",
        ),
    ],
)
def test_a_tool_is_checked_against_the_calls_to_make(schema: dict[str, Any], why: str) -> None:
    assert misfit(schema, CALLS) == why
