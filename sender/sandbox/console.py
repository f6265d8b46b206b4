"""The calls that steer and question the sandbox itself; they need no token and are not recorded."""

import json
from dataclasses import asdict

from aiohttp import web

from sender.sandbox.faults import Faults
from sender.sandbox.gate import BASE
from sender.sandbox.page import CONTENT_SECURITY_POLICY, render
from sender.sandbox.world import WORLD


async def get_stats(request: web.Request) -> web.Response:
    """All counters."""
    return web.json_response(request.app[WORLD].stats())


async def get_requests(request: web.Request) -> web.Response:
    """The recorded requests after number `since`, and how many there were in all."""
    recorder = request.app[WORLD].recorder
    since = request.query.get("since", "0")
    if not (since.isascii() and since.isdigit()):
        return web.json_response({"error": "since must be a number"}, status=422)
    return web.json_response({"requests": recorder.since(int(since)), "seen": recorder.seen})


async def get_faults(request: web.Request) -> web.Response:
    """What is set to go wrong."""
    return web.json_response({"faults": asdict(request.app[WORLD].dice.faults)})


async def post_faults(request: web.Request) -> web.Response:
    """Replace all faults by those of a JSON object, `{}` for none; 422 names what does not fit."""
    try:
        settings = json.loads(await request.read())
        if not isinstance(settings, dict):
            raise ValueError("a JSON object is needed")
        request.app[WORLD].dice.faults = Faults.parse(settings)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=422)
    return await get_faults(request)


async def reset(request: web.Request) -> web.Response:
    """Forget everything received; options and faults stay, and the script begins afresh."""
    request.app[WORLD].reset()
    return web.json_response({"reset": True})


async def get_page(request: web.Request) -> web.Response:
    """What has been received, for people."""
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
    return web.Response(
        body=render(request.app[WORLD], f"{request.url.origin()}{BASE}"),
        content_type="text/html",
        charset="utf-8",
        headers=headers,
    )


ROUTES = [
    web.get("/", get_page),
    web.get("/sandbox/stats", get_stats),
    web.get("/sandbox/requests", get_requests),
    web.get("/sandbox/faults", get_faults),
    web.post("/sandbox/faults", post_faults),
    web.post("/sandbox/reset", reset),
    web.delete("/sandbox", reset),
]
