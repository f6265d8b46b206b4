"""The way of every API request: recorded, admitted or not, spoilt or not, answered."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from sender.sandbox.body import Body, read_body
from sender.sandbox.jsonrpc import sends_message
from sender.sandbox.mishaps import Mishap
from sender.sandbox.recorder import Entry
from sender.sandbox.refusal import Refusal
from sender.sandbox.spoiling import spoil, vanish
from sender.sandbox.world import WORLD, World

BASE = "/api/v1"
MCP = "/mcp"
ENTRY = web.RequestKey("entry", Entry)
BODY = web.RequestKey("body", Body)
HALF = web.RequestKey("half", bool)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer an API request and write down what happened to it; other paths pass untouched."""
    is_mcp = request.path == MCP
    if not is_mcp and not request.path.startswith(f"{BASE}/"):
        return await handler(request)
    world = request.app[WORLD]
    try:
        # All MCP requests look alike from outside; what one is stands in its body.
        body = await read_body(request) if is_mcp else Body()
    except ConnectionError:
        return vanish(request)
    entry = world.recorder.begin(
        request,
        request.path.removeprefix(BASE),
        world.clock(),
        authorized=world.knows(request.headers.get("Authorization")),
        is_message=sends_message(body) if is_mcp else None,
    )
    request[BODY] = body
    request[ENTRY] = entry
    world.tally.arrive(entry)
    try:
        return await _answer(world, request, handler)
    except ConnectionError:
        # A client that goes away in the middle is no error here: whoever tests a crash does just that.
        return vanish(request)
    finally:
        world.tally.leave(entry)


async def _answer(world: World, request: web.Request, handler: Handler) -> web.StreamResponse:
    entry = request[ENTRY]
    refusal = _admission(world, entry)
    mishap = None if refusal else world.dice.throw(scripted=entry.is_message)
    if world.dice.faults.down or (mishap and mishap.early):
        entry.mishap = mishap.name if mishap and mishap.early else "down"
        return vanish(request)
    latency_seconds = world.dice.latency_seconds()
    if entry.path != MCP:
        request[BODY] = await read_body(request)
    world.recorder.add_body(entry, request[BODY])
    await _pause(world, latency_seconds / 2)
    response = await _outcome(world, request, handler, refusal, mishap)
    await _pause(world, latency_seconds / 2)
    if not response.prepared:
        response.headers["X-Request-Id"] = f"sandbox-{entry.number}"
    return response


def _admission(world: World, entry: Entry) -> Refusal | None:
    if not entry.authorization["valid"]:
        return Refusal(401, "The bearer token is missing or wrong")
    if world.options.plan == "free":
        return Refusal(403, "The API needs a Pro or Trial plan")
    if entry.is_message:
        world.dice.count_call()
    if world.dice.token_expired:
        return Refusal(401, "The bearer token is no longer valid")
    wait_seconds = world.limiter.take(entry.arrived_at) if world.limiter else None
    if wait_seconds is None:
        return None
    headers = world.retry_headers(max(wait_seconds, 1), world.options.retry_after)
    return Refusal(429, "Too many requests", headers=headers)


async def _outcome(
    world: World, request: web.Request, handler: Handler, refusal: Refusal | None, mishap: Mishap | None
) -> web.StreamResponse:
    entry = request[ENTRY]
    response: web.StreamResponse | None = None
    if refusal is None and (mishap is None or mishap.accepts):
        request[HALF] = mishap is not None and mishap.half
        response = await _handled(request, handler)
    elif refusal is not None:
        response = refusal.response()
    # A call that was refused is refused: only what was accepted can be spoilt after it.
    if mishap is None or (response is not None and response.status >= 400):
        assert response is not None  # noqa: S101
        entry.status = response.status
        return response
    entry.mishap = mishap.name
    return await spoil(world, request, entry, mishap, response)


async def _handled(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if problem := request[BODY].problem:
            raise problem
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return Refusal(error.status, error.reason, headers=headers).response()


async def _pause(world: World, seconds: float) -> None:
    if not seconds:
        return
    # A sandbox that closes does not wait for a slow reply.
    sleeping = asyncio.ensure_future(world.sleep(seconds))
    closing = asyncio.ensure_future(world.closing.wait())
    try:
        await asyncio.wait({sleeping, closing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeping.cancel()
        closing.cancel()
