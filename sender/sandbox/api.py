"""The calls of the API, each a short handler."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sender.sandbox import people
from sender.sandbox.body import Body
from sender.sandbox.deliveries import Receipt
from sender.sandbox.gate import BASE, BODY, ENTRY, HALF
from sender.sandbox.library import OWN_MEDIA, POSTS
from sender.sandbox.messages import read_message
from sender.sandbox.options import ReplyStyle, holds
from sender.sandbox.refusal import Refusal, unprocessable
from sender.sandbox.world import WORLD, World

MAX_PER_PAGE = 100
TASK_SECONDS = 1.0


async def post_message(request: web.Request) -> web.StreamResponse:
    """Accept a message for one contact or a list."""
    return accept_message(request, request[BODY])


def accept_message(request: web.Request, body: Body) -> web.Response:
    """The reply to the message in this body, which is counted; Refusal when it makes no sense."""
    world, entry = request.app[WORLD], request[ENTRY]
    message = read_message(body, text_field=world.options.text_field, own_media=OWN_MEDIA)
    entry.message = message
    if any(holds(world.options.poison, message.kind, each) for each in message.recipients):
        raise Refusal(422, "The message cannot be sent to these contacts")
    receipt = world.deliveries.accept(message, world.clock(), half=request[HALF])
    return _reply(receipt, world.options.reply)


def _reply(receipt: Receipt, style: ReplyStyle) -> web.Response:
    if style == "empty":
        return web.Response(status=204)
    if style == "text":
        return web.Response(text="OK")
    task = _task(receipt, "pending")
    if style == "no-names":
        del task["not_found"]
    return web.json_response({"batch_task_id": task.pop("id"), **task}, status=202)


def _task(receipt: Receipt, status: str) -> dict[str, Any]:
    return {
        "id": receipt.batch_task_id,
        "status": status,
        "accepted_count": receipt.accepted_count,
        "not_found_count": len(receipt.not_found),
        "not_found": [{receipt.kind: int(each) if receipt.kind == "id" else each} for each in receipt.not_found],
    }


async def list_tasks(request: web.Request) -> web.StreamResponse:
    """The batch tasks, newest first."""
    world = request.app[WORLD]
    return _page(request, "batch_tasks", list(reversed(world.deliveries.receipts)), _task_as_it_is(world))


async def get_task(request: web.Request) -> web.StreamResponse:
    """One batch task; 404 when there is none, or it is too old to be remembered."""
    world, number = request.app[WORLD], request.match_info["number"]
    for receipt in world.deliveries.receipts:
        if str(receipt.batch_task_id) == number:
            return web.json_response(_task_as_it_is(world)(receipt))
    raise Refusal(404, f"No batch task {number}")


def _task_as_it_is(world: World) -> Callable[[Receipt], dict[str, Any]]:
    done_before = world.clock() - TASK_SECONDS

    def task(receipt: Receipt) -> dict[str, Any]:
        status = "completed" if receipt.accepted_at <= done_before else "pending"
        return {**_task(receipt, status), "created_at": receipt.created_at}

    return task


async def list_medias(request: web.Request) -> web.StreamResponse:
    """The account's own posts and reels, newest first."""
    return _page(request, "medias", POSTS)


async def post_media_file(request: web.Request) -> web.StreamResponse:
    """Keep a file: uploaded, or named by a URL."""
    return web.json_response(asdict(request.app[WORLD].library.add(request[BODY])), status=201)


async def list_media_files(request: web.Request) -> web.StreamResponse:
    """The kept files, newest first."""
    files = request.app[WORLD].library.listing(request.query.get("media_type"))
    return _page(request, "media_files", files, asdict)


async def get_media_file(request: web.Request) -> web.StreamResponse:
    """One kept file."""
    return web.json_response(asdict(request.app[WORLD].library.get(request.match_info["number"])))


async def get_contact(request: web.Request) -> web.StreamResponse:
    """The contact with that id, username or e-mail; 404 when nobody is found."""
    given = [(kind, request.query[kind]) for kind in ("id", "username", "email") if request.query.get(kind)]
    if len(given) != 1:
        raise unprocessable("username", "Exactly one of username, id, email is needed")
    [(kind, identifier)] = given
    if kind == "id" and not (identifier.isascii() and identifier.isdigit()):
        raise unprocessable("id", "id must be a positive integer")
    if request.app[WORLD].deliveries.is_unknown(kind, identifier):
        raise Refusal(404, "No such contact")
    return web.json_response(people.contact(kind, identifier))


async def list_contacts(request: web.Request) -> web.StreamResponse:
    """The contacts whose name, username or e-mail contains `search`."""
    return _page(request, "contacts", people.search(request.query.get("search", "")))


def _page(
    request: web.Request, name: str, items: Sequence[Any], shown: Callable[[Any], Any] = lambda item: item
) -> web.Response:
    page, per_page = _number(request, "page", 1), min(_number(request, "per_page", 25), MAX_PER_PAGE)
    part = items[(page - 1) * per_page : page * per_page]
    return web.json_response(
        {name: [shown(item) for item in part], "page": page, "per_page": per_page, "total": len(items)}
    )


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise unprocessable(name, f"{name} must be a positive integer")
    return int(text)


ROUTES = [
    web.post(f"{BASE}/messages", post_message),
    web.get(f"{BASE}/batch_tasks", list_tasks),
    web.get(f"{BASE}/batch_tasks/{{number}}", get_task),
    web.get(f"{BASE}/medias", list_medias),
    web.post(f"{BASE}/media_files", post_media_file),
    web.get(f"{BASE}/media_files", list_media_files),
    web.get(f"{BASE}/media_files/{{number}}", get_media_file),
    web.get(f"{BASE}/contact", get_contact),
    web.get(f"{BASE}/contacts", list_contacts),
]
