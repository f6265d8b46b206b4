"""The envelopes of MCP: one JSON-RPC message in a body, and what is answered to it.

Method names and error codes are those of the Model Context Protocol, revision 2025-11-25, and of JSON-RPC 2.0.
"""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sender.sandbox.body import Body, parse_json
from sender.sandbox.refusal import Refusal

SEND_MESSAGE = "send_message"
INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32600, -32601, -32602


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """One JSON-RPC message of a client."""

    method: str
    """What it asks for."""
    params: dict[str, Any]
    """With which parameters."""
    id: str | int | None
    """What the reply has to be named; None for a notification, which has no reply."""


def read_rpc(body: Body) -> Rpc:
    """The message in a body; Refusal 400 when it is none."""
    said = parse_json(body.raw_json) if body.raw_json else None
    params = said.get("params", {}) if isinstance(said, dict) else None
    if not isinstance(said, dict) or said.get("jsonrpc") != "2.0" or not isinstance(params, dict):
        raise Refusal(400, "The body must be one JSON-RPC 2.0 message")
    return Rpc(method=str(said.get("method", "")), params=params, id=said.get("id"))


def sends_message(body: Body) -> bool:
    """Whether it calls the tool that sends a message."""
    try:
        rpc = read_rpc(body)
    except Refusal:
        return False
    return rpc.method == "tools/call" and rpc.params.get("name") == SEND_MESSAGE


def result(rpc: Rpc, value: dict[str, Any], *, headers: dict[str, str] | None = None) -> web.Response:
    """The reply with what was asked for."""
    return web.json_response({"jsonrpc": "2.0", "id": rpc.id, "result": value}, headers=headers)


def error(rpc: Rpc | None, code: int, words: str, *, status: int = 200) -> web.Response:
    """The reply that says no before anything was done."""
    said = {"code": code, "message": words}
    return web.json_response({"jsonrpc": "2.0", "id": rpc and rpc.id, "error": said}, status=status)
