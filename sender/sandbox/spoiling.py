"""How a call is spoilt once it is known how: on the wire, where it hurts."""

import json
import socket
import struct

from aiohttp import web

from sender.sandbox.mishaps import Manner, Mishap
from sender.sandbox.recorder import Entry
from sender.sandbox.refusal import Refusal
from sender.sandbox.world import World

_PORTAL = "<!doctype html><title>Welcome</title><h1>Welcome to the hotel's network</h1><p>Please sign in.</p>"


async def spoil(
    world: World, request: web.Request, entry: Entry, mishap: Mishap, response: web.StreamResponse | None
) -> web.StreamResponse:
    """Carry out the mishap; `response` is the reply to spoil when the call was accepted, else None."""
    if mishap.manner is Manner.HANG:
        await world.closing.wait()
    if mishap.manner in (Manner.HANG, Manner.RESET):
        return vanish(request)
    if mishap.manner is Manner.CUT and isinstance(response, web.Response):
        entry.status = response.status
        return await _cut(request, response)
    if mishap.manner is Manner.HTML:
        reply = web.Response(text=_PORTAL, content_type="text/html")
    elif mishap.manner is Manner.REDIRECT:
        reply = web.Response(status=302, headers={"Location": "/api/v1/moved"})
    else:
        reply = _failure(world, mishap, response)
    entry.status = reply.status
    return reply


def _failure(world: World, mishap: Mishap, response: web.StreamResponse | None) -> web.Response:
    headers = world.retry_headers(world.dice.faults.retry_after_seconds, mishap.retry_after)
    told = _document(response) if mishap.half else {}
    return Refusal(mishap.status, f"The sandbox was told to answer {mishap.status}", headers=headers, **told).response()


def _document(response: web.StreamResponse | None) -> dict[str, object]:
    if isinstance(response, web.Response) and response.content_type == "application/json" and response.text:
        return dict(json.loads(response.text))
    return {}


def vanish(request: web.Request) -> web.Response:
    """Reset the connection at once; the response is for the framework alone, nothing of it is sent."""
    if request.transport is not None and not request.transport.is_closing():
        sock = request.transport.get_extra_info("socket")
        # Lingering for no time turns the close into a reset, RST rather than FIN.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _cut(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    broken = web.StreamResponse(status=response.status, headers=response.headers)
    broken.content_length = max(len(body), 2)
    await broken.prepare(request)
    await broken.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return broken
