"""What a campaign says: one of five kinds of message, told apart by `type`."""

import re
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from campaigns.model.fields import FilePath, Frozen, Text, shown, web_address

MAX_TEXT_BYTES: Final = 1000  # Meta's Send API reference, 2026: bytes of UTF-8, not characters


def _text(text: str) -> str:
    text = text.rstrip("\n")  # YAML ends every `text: |` with one, which nobody means to send
    size = len(text.encode("utf-8", "surrogatepass"))
    if not text.strip():
        raise ValueError(f"the text is empty; accepted are 1 to {MAX_TEXT_BYTES:,} bytes of UTF-8")
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"the text is {size:,} bytes of UTF-8; accepted are at most {MAX_TEXT_BYTES:,}")
    return text


def _is_web_address(source: str) -> bool:
    return re.match(r"https?:", source, re.IGNORECASE) is not None


def _media_source(source: str) -> str:
    if _is_web_address(source):
        return web_address(source)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source):
        raise ValueError(f"{shown(source)} can't be fetched; accepted is an https:// address or a file's path")
    return source


def _media_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise ValueError(f"{shown(text)} is not a media id; accepted are ids as `campaign medias` lists them")
    return text


def _post(text: str) -> str:
    if text in ("latest", "latest-reel"):
        return text
    try:
        parts = urlsplit(web_address(text))
    except ValueError:
        parts = urlsplit("")
    if parts.scheme != "https" or not re.search(r"(^|\.)instagram\.com$", parts.hostname or ""):
        raise ValueError(
            f"{shown(text)} is not a post; accepted are latest, latest-reel or a permalink such as "
            "https://www.instagram.com/p/Cx1yZ2/"
        )
    return text


MediaSource = Annotated[FilePath, AfterValidator(_media_source)]
Upload = Literal["once", "each"]


class TextMessage(Frozen):
    """Plain text; what a message without `type` is."""

    type: Literal["text"] = "text"
    """The kind of message; text when left out."""
    text: Annotated[Text, AfterValidator(_text)] = Field(examples=["Hello from us"])
    """What is sent: at most 1,000 bytes of UTF-8."""


class MediaMessage(Frozen):
    """A message that carries a file: by its web address, or uploaded from disk."""

    type: Literal["image", "video", "audio"]
    """The kind of message, and the key that holds its source."""
    upload: Upload = "once"
    """Whether a local file is uploaded once and reused, or along with each call."""

    @property
    def source(self) -> str:
        """The web address or the path of the media."""
        return str(getattr(self, self.type))

    @property
    def is_url(self) -> bool:
        """Whether the source is a web address, which Inrō fetches, and not a file that is uploaded."""
        return _is_web_address(self.source)


class ImageMessage(MediaMessage):
    """An image: png, jpeg or gif."""

    type: Literal["image"] = "image"
    """The kind of message."""
    image: MediaSource = Field(examples=["spring.jpg"])
    """A web address, or a path relative to this file, which is uploaded."""


class VideoMessage(MediaMessage):
    """A video: mp4, ogg, avi, mov or webm."""

    type: Literal["video"] = "video"
    """The kind of message."""
    video: MediaSource = Field(examples=["spring.mp4"])
    """A web address, or a path relative to this file, which is uploaded."""


class AudioMessage(MediaMessage):
    """A voice message: aac, m4a, wav or mp4."""

    type: Literal["audio"] = "audio"
    """The kind of message."""
    audio: MediaSource = Field(examples=["hello.m4a"])
    """A web address, or a path relative to this file, which is uploaded."""


class ShareMessage(Frozen):
    """One of the account's own posts or reels."""

    type: Literal["share"] = "share"
    """The kind of message."""
    media_id: Annotated[Text, AfterValidator(_media_id)] | None = None
    """The post's id, as `campaign medias` lists it; or else `post`."""
    post: Annotated[Text, AfterValidator(_post)] | None = None
    """`latest`, `latest-reel` or a permalink, looked up before sending; or else `media_id`."""

    @model_validator(mode="after")
    def _names_one_post(self) -> Self:
        if (self.media_id is None) == (self.post is None):
            found = "neither media_id nor post is given" if self.post is None else "media_id and post are given"
            raise ValueError(f"{found}; accepted is exactly one of them")
        return self


def _text_by_default(value: object) -> object:
    return {"type": "text", **value} if isinstance(value, dict) else value


Message = Annotated[
    Annotated[TextMessage | ImageMessage | VideoMessage | AudioMessage | ShareMessage, Field(discriminator="type")],
    BeforeValidator(_text_by_default),
]
