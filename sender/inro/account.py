"""What an account has at Inrō, posts, files, contacts and batch tasks: calls that may be repeated without harm.

Documented are the calls; the fields of their replies are assumed, and all named in this file.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import orjson

from sender.errors import SendingStopped
from sender.inro import wire
from sender.inro.client import InroClient
from sender.inro.wire import FilePart, NoReply, Reply
from sender.retry import Policy, backoff_seconds

TRIES = 4
PAGE_SIZE = 100
MAX_PAGES = 100
REELS = ("REELS", "REEL")


@dataclass(frozen=True, kw_only=True)
class Post:
    """One of the account's own posts or reels."""

    media_id: str
    media_type: str = ""
    caption: str = ""
    permalink: str = ""
    timestamp: str = ""

    def is_meant_by(self, wanted: str) -> bool:
        """Whether a permalink means this post, or whether it may be what `latest` or `latest-reel` means."""
        if wanted == "latest":
            return True
        if wanted == "latest-reel":
            return self.media_type.upper() in REELS or "/reel/" in self.permalink
        return _shortcode(self.permalink) == _shortcode(wanted)


@dataclass(frozen=True, kw_only=True)
class LibraryFile:
    """One file in Inrō's media library."""

    id: str
    media_type: str = ""
    url: str | None = None
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class BatchTask:
    """Work that the API took on with one call."""

    id: str
    status: str = ""
    created_at: str = ""
    accepted_count: int = 0
    not_found_count: int = 0


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One of the account's contacts; whose status is `optout` wants no messages."""

    id: str
    username: str = ""
    email: str = ""
    name: str = ""
    status: str = ""


class Account:
    """What one account has at Inrō. Every method raises SendingStopped when the API does not give it."""

    def __init__(self, client: InroClient, policy: Policy) -> None:
        self._client = client
        self._policy = policy

    async def posts(self) -> AsyncIterator[Post]:
        """The account's posts and reels, the newest first as far as the API tells their times."""
        async for said in self._pages("/medias", "medias", {}):
            media_id = said.get("media_id") or said.get("id")
            if media_id:
                yield Post(media_id=str(media_id), **_texts(said, "media_type", "caption", "permalink", "timestamp"))

    async def files(self, media_type: str | None = None) -> AsyncIterator[LibraryFile]:
        """The files of the media library, of one type or of all."""
        async for said in self._pages("/media_files", "media_files", {"media_type": media_type} if media_type else {}):
            yield _library_file(said)

    async def batch_tasks(self) -> AsyncIterator[BatchTask]:
        """The account's batch tasks, in the API's order."""
        async for said in self._pages("/batch_tasks", "batch_tasks", {}):
            yield _batch_task(said)

    async def batch_task(self, task_id: str) -> BatchTask:
        """One batch task as it is now."""
        reply = await self._ask(
            partial(self._client.get, f"/batch_tasks/{quote(task_id, safe='')}"), "GET /batch_tasks"
        )
        said = _object(reply.body)
        return _batch_task(said["batch_task"] if isinstance(said.get("batch_task"), dict) else said)

    async def contact(self, kind: str, address: int | str) -> Contact | None:
        """The contact with that id, username or email; None when there is none."""
        call = partial(self._client.get, "/contact", {kind: address})
        said = _object((await self._ask(call, "GET /contact", passes=404)).body)
        found = said["contact"] if isinstance(said.get("contact"), dict) else said
        return _contact(found) if found.get("id") or found.get("username") else None

    async def contacts(self, words: str) -> AsyncIterator[Contact]:
        """The contacts that the API finds for these words."""
        async for said in self._pages("/contacts", "contacts", {"search": words}):
            yield _contact(said)

    async def upload(self, part: FilePart) -> LibraryFile:
        """The file as the library now has it; its `url` is None when the reply gives none."""
        try:
            reply = await self._ask(partial(self._client.upload, part), f"the upload of {part.path.name}")
        except OSError as error:
            raise SendingStopped(f"{part.path} can't be read any more: {error.strerror}") from error
        said = _object(reply.body)
        return _library_file(said.get("media_file") if isinstance(said.get("media_file"), dict) else said)

    async def _pages(self, path: str, name: str, params: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any]]:
        seen: set[str] = set()
        for page in range(1, MAX_PAGES + 1):
            asked: dict[str, str | int] = {**params, "page": page, "per_page": PAGE_SIZE}
            reply = await self._ask(partial(self._client.get, path, asked), f"GET {path}")
            # An API that knows no pages gives the first one again: what was seen ends the list.
            entries = [entry for entry in _entries(reply.body, name) if str(entry.get("id", entry)) not in seen]
            seen.update(str(entry.get("id", entry)) for entry in entries)
            for entry in entries:
                yield entry
            if len(entries) < PAGE_SIZE:
                return

    async def _ask(
        self, call: Callable[[], Awaitable[Reply | NoReply]], what: str, *, passes: int | None = None
    ) -> Reply:
        for failures in range(1, TRIES + 1):
            answer = await call()
            if isinstance(answer, Reply) and (200 <= answer.status < 300 or answer.status == passes):
                return answer
            wait = self._worth_waiting(answer, failures)
            if wait is None or failures == TRIES:
                break
            await asyncio.sleep(wait)
        words = answer.reason if isinstance(answer, NoReply) else wire.reason(answer)
        raise SendingStopped(f"{what} failed: {words}")

    def _worth_waiting(self, answer: Reply | NoReply, failures: int) -> float | None:
        """How long to wait before asking again; None when that would not help."""
        if isinstance(answer, Reply):
            if answer.status not in (408, 425, 429) and answer.status < 500:
                return None
            if (told := wire.retry_after_seconds(answer.headers)) is not None:
                return told if told <= self._policy.max_wait_seconds else None
        return backoff_seconds(failures, self._policy, random.random())  # noqa: S311 – jitter, no secret


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _entries(body: bytes, name: str) -> list[Mapping[str, Any]]:
    listed = _object(body).get(name, [])
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _library_file(said: Any) -> LibraryFile:
    url = said.get("url")
    return LibraryFile(
        id=str(said.get("id", "")),
        url=url if isinstance(url, str) and url.startswith(("https://", "http://")) else None,
        **_texts(said, "media_type", "caption"),
    )


def _batch_task(said: Mapping[str, Any]) -> BatchTask:
    accepted, not_found = said.get("accepted_count"), said.get("not_found_count")
    return BatchTask(
        id=str(said.get("id") or said.get("batch_task_id") or ""),
        status=str(said.get("status") or ""),
        created_at=str(said.get("created_at") or ""),
        accepted_count=accepted if isinstance(accepted, int) else 0,
        not_found_count=not_found if isinstance(not_found, int) else 0,
    )


def _contact(said: Mapping[str, Any]) -> Contact:
    return Contact(id=str(said.get("id", "")), **_texts(said, "username", "email", "name", "status"))


def _texts(said: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: value for name in names if isinstance(value := said.get(name), str)}


def _shortcode(permalink: str) -> str:
    """The last part of a permalink's path: the same post is found under /p/ and /reel/, with and without www."""
    return permalink.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
