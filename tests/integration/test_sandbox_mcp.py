"""The sandbox's MCP server, asked by hand: what it checks, what it answers, what it counts."""

from typing import Any

import pytest

from sender.sandbox import Faults
from tests.integration.sandbox_caller import Answer, Caller, calling

HELLO = {"contact_username": "ann", "text": "Hello"}


async def ask(caller: Caller, method: str, params: dict[str, Any] | None = None, session: str = "") -> Answer:
    said = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return await caller.call("POST", "!/mcp", json=said, headers={"Mcp-Session-Id": session} if session else {})


async def opened(caller: Caller) -> str:
    reply = await ask(caller, "initialize", {"protocolVersion": "2025-06-18"})
    assert reply.json["result"]["protocolVersion"] == "2025-06-18"
    return reply.headers["Mcp-Session-Id"]


async def call_tool(caller: Caller, session: str, arguments: dict[str, Any], name: str = "send_message") -> Answer:
    return await ask(caller, "tools/call", {"name": name, "arguments": arguments}, session)


async def test_a_call_of_the_tool_is_a_delivery_like_one_over_rest() -> None:
    async with calling() as caller:
        session = await opened(caller)
        reply = await call_tool(caller, session, HELLO)
        await caller.send()
        stats = caller.sandbox.stats()

    assert reply.json["result"]["structuredContent"]["accepted_count"] == 1
    assert (stats["deliveries"], stats["messages"]["received"]) == ({"username:ann": 2}, 2)


async def test_what_rest_would_refuse_is_a_tools_error_with_rests_status_and_words() -> None:
    async with calling() as caller:
        reply = await call_tool(caller, await opened(caller), {"text": "Hello"})

    assert (reply.status, reply.json["result"]["isError"]) == (200, True)
    assert reply.json["result"]["structuredContent"]["status"] == 422
    assert caller.sandbox.stats()["deliveries_total"] == 0


async def test_without_a_session_that_it_knows_nothing_is_done() -> None:
    async with calling() as caller:
        session = await opened(caller)
        strange = await call_tool(caller, "another", HELLO)
        await caller.call("DELETE", "!/mcp", headers={"Mcp-Session-Id": session})
        ended = await call_tool(caller, session, HELLO)

    assert [reply.status for reply in (strange, ended)] == [404, 404]
    assert caller.sandbox.stats()["deliveries_total"] == 0


async def test_what_it_does_not_know_is_refused_as_json_rpc_says() -> None:
    async with calling() as caller:
        session = await opened(caller)
        codes = [
            (await ask(caller, "resources/list", session=session)).json["error"]["code"],
            (await call_tool(caller, session, {}, name="send_letter")).json["error"]["code"],
        ]
        no_rpc = await caller.call("POST", "!/mcp", json=[1], headers={"Mcp-Session-Id": session})
        stream = await caller.call("GET", "!/mcp")

    assert (codes, no_rpc.status, stream.status) == ([-32601, -32602], 400, 405)


@pytest.mark.parametrize(("fault", "status", "delivered"), [("429", 429, 0), ("500-after", 500, 1), ("html", 200, 0)])
async def test_a_fault_strikes_the_calls_of_the_tool_and_nothing_before(
    fault: str, status: int, delivered: int
) -> None:
    async with calling(faults=Faults(script=(fault,))) as caller:
        reply = await call_tool(caller, await opened(caller), HELLO)

    assert (reply.status, caller.sandbox.stats()["deliveries_total"]) == (status, delivered)
