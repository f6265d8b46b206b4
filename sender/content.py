"""The campaign's message -> the content of its calls: files uploaded once, posts looked up.

What comes out is frozen in the ledger with the run, so that "the latest post" stays the same one to its last recipient.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from campaigns.media import MediaFile, check_media, open_media
from campaigns.model import Campaign, MediaMessage, ShareMessage, TextMessage
from sender import logs
from sender.errors import InputError, SendingStopped
from sender.inro.wire import Content, FilePart

if TYPE_CHECKING:  # a plan needs neither
    from sender.inro.account import Account
    from sender.ledger import Ledger


def message_file(campaign: Campaign) -> MediaFile | None:
    """The checked file that the message uploads; None when it has none. Raises MediaError when Instagram refuses it."""
    check_media(campaign)
    message = campaign.message
    if not isinstance(message, MediaMessage) or message.is_url:
        return None
    return open_media(Path(message.source), message.type, place=campaign.place("message", message.type))


def fingerprint(campaign: Campaign, file: MediaFile | None) -> str:
    """A hash of what is said: of a file its content, of anything else the words of the campaign file."""
    message = campaign.message.model_dump(mode="json", exclude={"upload"})
    if file:
        message[campaign.message.type] = file.sha256
    return sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()


def freeze(content: Content) -> Mapping[str, object]:
    """The content as JSON for the ledger."""
    file = content.file
    part = {"field": file.field, "path": str(file.path), "content_type": file.content_type} if file else None
    return {"fields": dict(content.fields), "file": part}


def thaw(frozen: Mapping[str, object], found: MediaFile | None) -> Content:
    """The content that was frozen, with its file where it was found now."""
    fields, file = frozen["fields"], frozen["file"]
    assert isinstance(fields, dict)  # noqa: S101 – written by `freeze`
    if not isinstance(file, dict):
        return Content(fields=fields)
    path = found.path if found else Path(file["path"])
    part = FilePart(field=file["field"], path=path, content_type=file["content_type"])
    return Content(fields=fields, file=part)


@dataclass(frozen=True, kw_only=True)
class ContentMaker:
    """Makes the content of one account's messages.

    account      its posts and uploaded files
    ledger       where uploads are remembered, by their content
    account_id   the account's number in the ledger
    text_field   the API's field for a text message
    """

    account: "Account"
    ledger: "Ledger"
    account_id: int
    text_field: str
    log: structlog.typing.FilteringBoundLogger

    async def make(self, campaign: Campaign, file: MediaFile | None) -> Content:
        """The campaign's content. Raises SendingStopped when the API refuses, InputError when there is no such post."""
        match campaign.message:
            case TextMessage(text=text):
                return Content(fields={"message_type": "text", self.text_field: text})
            case ShareMessage(media_id=media_id):
                media_id = media_id or await self._look_up(campaign)
                return Content(fields={"message_type": "share", "media_id": media_id})
            case media:
                return await self._media(media, file)

    async def _media(self, message: MediaMessage, file: MediaFile | None) -> Content:
        kind = {"message_type": message.type}
        if file is None:
            return Content(fields={**kind, message.type: message.source})
        if message.upload == "once" and (url := await self._upload(file)):
            return Content(fields={**kind, message.type: url})
        # Without a URL to name, the file has to go along with every call.
        part = FilePart(field=message.type, path=file.path, content_type=file.content_type)
        return Content(fields=kind, file=part)

    async def _upload(self, file: MediaFile) -> str | None:
        """The URL of the file in Inrō's library, uploaded now or by an earlier run; None when the API gives none."""
        if known := await self.ledger.media_url(self.account_id, file.sha256):
            self.log.info(logs.MEDIA_REUSED, url=known)
            return known
        part = FilePart(field="file", path=file.path, content_type=file.content_type)
        uploaded = await self.account.upload(part)
        if not file.is_unchanged:  # what was uploaded may be another file than the one that was checked
            raise SendingStopped(f"{file.path} has changed since it was checked: start again to send what it is now")
        self.log.info(logs.MEDIA_UPLOADED, url=uploaded.url, bytes=file.size)
        if uploaded.url:
            await self.ledger.keep_media_url(self.account_id, file.sha256, uploaded.url, time.time())
        return uploaded.url

    async def _look_up(self, campaign: Campaign) -> str:
        assert isinstance(campaign.message, ShareMessage)  # noqa: S101 – the only caller has matched it
        wanted = campaign.message.post or ""
        meant = [post async for post in self.account.posts() if post.is_meant_by(wanted)]
        if not meant:
            place = campaign.place("message", "post")
            raise InputError(
                f"found no post that is {wanted}; `campaign medias` lists this account's posts", place=place
            )
        # The latest by its time; where the API tells no times, the first in its order.
        post = max(meant, key=lambda post: post.timestamp)
        self.log.info(logs.POST_FOUND, media_id=post.media_id, permalink=post.permalink)
        return post.media_id
