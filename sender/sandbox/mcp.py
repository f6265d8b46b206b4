"""The MCP server: the same messages to the same contacts, counted with those of the REST API.

Streamable HTTP by hand, so that no mistake of an SDK is made on both sides: one JSON-RPC message in each POST, its
reply as JSON, a session named by a header. What goes wrong on purpose goes wrong with the HTTP reply, as in REST;
what the API itself refuses is a tool's result with `isError` that carries REST's status and body.
"""

import json
import uuid
from typing import Any

from aiohttp import web

from sender.sandbox import jsonrpc
from sender.sandbox.api import accept_message
from sender.sandbox.body import Body
from sender.sandbox.gate import BODY, MCP
from sender.sandbox.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, SEND_MESSAGE, Rpc
from sender.sandbox.messages import MESSAGE_TYPES
from sender.sandbox.refusal import Refusal
from sender.sandbox.world import WORLD, World

PROTOCOL_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
SESSION = "Mcp-Session-Id"


async def post_rpc(request: web.Request) -> web.StreamResponse:
    """One JSON-RPC message: the handshake, the list of tools, or a tool's call."""
    rpc = jsonrpc.read_rpc(request[BODY])
    world = request.app[WORLD]
    if rpc.method == "initialize":
        return _initialized(world, rpc)
    if request.headers.get(SESSION) not in world.mcp_sessions:
        return jsonrpc.error(rpc, INVALID_REQUEST, "Session not found", status=404)
    if rpc.id is None:
        return web.Response(status=202)
    match rpc.method:
        case "ping":
            return jsonrpc.result(rpc, {})
        case "tools/list":
            return jsonrpc.result(rpc, {"tools": [send_message_tool(world.options.text_field)]})
        case "tools/call":
            return _called(request, rpc)
        case _:
            return jsonrpc.error(rpc, METHOD_NOT_FOUND, f"Method not found: {rpc.method}")


def _initialized(world: World, rpc: Rpc) -> web.Response:
    asked = rpc.params.get("protocolVersion")
    session = uuid.uuid4().hex
    world.mcp_sessions.add(session)
    said: dict[str, Any] = {
        "protocolVersion": asked if asked in PROTOCOL_VERSIONS else PROTOCOL_VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "inro-sandbox", "version": "1"},
    }
    return jsonrpc.result(rpc, said, headers={SESSION: session})


def _called(request: web.Request, rpc: Rpc) -> web.Response:
    if rpc.params.get("name") != SEND_MESSAGE:
        return jsonrpc.error(rpc, INVALID_PARAMS, f"Unknown tool: {rpc.params.get('name')}")
    arguments = rpc.params.get("arguments", {})
    try:
        reply = accept_message(
            request, Body(content_type="application/json", raw_json=json.dumps(arguments).encode("utf-8"))
        )
    except Refusal as refusal:
        return jsonrpc.result(rpc, _tool_result({"status": refusal.status, **_document(refusal.response())}, bad=True))
    return jsonrpc.result(rpc, _tool_result(_document(reply)))


def _document(reply: web.Response) -> dict[str, Any]:
    if reply.content_type == "application/json" and reply.text:
        return dict(json.loads(reply.text))
    return {"text": reply.text} if reply.text else {}


def _tool_result(said: dict[str, Any], *, bad: bool = False) -> dict[str, Any]:
    content = [{"type": "text", "text": said["text"] if said.keys() == {"text"} else json.dumps(said)}] if said else []
    structured = {"structuredContent": said} if said and said.keys() != {"text"} else {}
    return {"content": content, "isError": bad, **structured}


async def end_session(request: web.Request) -> web.StreamResponse:
    """The client needs its session no more."""
    request.app[WORLD].mcp_sessions.discard(request.headers.get(SESSION, ""))
    return web.Response(status=204)


async def no_stream(request: web.Request) -> web.StreamResponse:
    """This server says nothing by itself."""
    raise Refusal(405, "Method Not Allowed", headers={"Allow": "POST, DELETE"})


def send_message_tool(text_field: str) -> dict[str, Any]:
    """The tool as `tools/list` describes it."""
    word, words = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    properties = {
        "contact_id": {"type": "integer"},
        "contact_ids": {"type": "array", "items": {"type": "integer"}},
        "contact_username": word,
        "contact_usernames": words,
        "contact_email": word,
        "contact_emails": words,
        "message_type": {"type": "string", "enum": list(MESSAGE_TYPES)},
        text_field: word,
        "image": word,
        "video": word,
        "audio": word,
        "media_id": {"type": ["string", "integer"]},
    }
    return {
        "name": SEND_MESSAGE,
        "description": "Send a message to one contact or to up to 1,000.",
        "inputSchema": {"type": "object", "properties": properties, "additionalProperties": False},
    }


ROUTES = [web.post(MCP, post_rpc), web.delete(MCP, end_session), web.get(MCP, no_stream)]
