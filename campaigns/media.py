"""Media, looked at before anything is sent: would Instagram take it?

Files are read; of a web address only the extension is known. Instagram's own answer comes when it fetches the
media, after the message was accepted: what passes here may still fail there unseen, so test it on someone.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import unquote, urlsplit

from campaigns.audience import SourceStamp, stamp
from campaigns.errors import MediaError, Place, Problem
from campaigns.model import Campaign, MediaMessage
from campaigns.model.fields import shown

MEGABYTE: Final = 1 << 20
_BLOCK_BYTES: Final = 1 << 18
_HEAD_BYTES: Final = 16
_A: Final = {"image": "an image", "video": "a video", "audio": "an audio file"}


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format that Instagram takes, as its files are named and begin."""

    extensions: tuple[str, ...]
    """Without the dot; the first is the usual one."""
    content_type: str
    """What an upload declares it as."""
    beginning: bytes
    """A regular expression that the first 16 bytes match."""

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins so can be of this format."""
        return re.match(self.beginning, head, re.DOTALL) is not None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What Instagram takes for one type of message."""

    max_bytes: int
    """The largest file."""
    formats: tuple[Format, ...]
    """The formats that it takes."""

    @property
    def extensions(self) -> tuple[str, ...]:
        """Every extension, without the dot."""
        return tuple(extension for format in self.formats for extension in format.extensions)


PNG = Format(extensions=("png",), content_type="image/png", beginning=rb"\x89PNG\r\n\x1a\n")
JPEG = Format(extensions=("jpeg", "jpg"), content_type="image/jpeg", beginning=rb"\xff\xd8\xff")
GIF = Format(extensions=("gif",), content_type="image/gif", beginning=rb"GIF8[79]a")
MP4 = Format(extensions=("mp4",), content_type="video/mp4", beginning=rb".{4}ftyp")
OGG = Format(extensions=("ogg",), content_type="video/ogg", beginning=rb"OggS")
AVI = Format(extensions=("avi",), content_type="video/x-msvideo", beginning=rb"RIFF.{4}AVI ")
MOV = Format(  # older ones begin with any top-level atom: QuickTime File Format, "Overview of the File Format"
    extensions=("mov",),
    content_type="video/quicktime",
    beginning=rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)",
)
WEBM = Format(extensions=("webm",), content_type="video/webm", beginning=rb"\x1a\x45\xdf\xa3")
AAC = Format(extensions=("aac",), content_type="audio/aac", beginning=rb"\xff[\xf0\xf1\xf8\xf9]|ADIF|ID3")
M4A = Format(extensions=("m4a",), content_type="audio/mp4", beginning=rb".{4}ftyp")
WAV = Format(extensions=("wav",), content_type="audio/wav", beginning=rb"RIFF.{4}WAVE")
MP4_AUDIO = Format(extensions=("mp4",), content_type="audio/mp4", beginning=rb".{4}ftyp")

# Meta's Send API reference and its page on message attachments for Instagram, 2026
LIMITS: Final[Mapping[str, Limit]] = {
    "image": Limit(max_bytes=8 * MEGABYTE, formats=(PNG, JPEG, GIF)),
    "video": Limit(max_bytes=25 * MEGABYTE, formats=(MP4, OGG, AVI, MOV, WEBM)),
    "audio": Limit(max_bytes=25 * MEGABYTE, formats=(AAC, M4A, WAV, MP4_AUDIO)),
}


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """A local file that Instagram's limits let through, as it was when it was read."""

    path: Path
    """Where it is."""
    content_type: str
    """What an upload declares it as."""
    size: int
    """Its length in bytes."""
    sha256: str
    """The digest of its content, in hex."""
    stamp: SourceStamp | None = None
    """The state of the file from before it was read, to tell whether it has changed since."""

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still as it was when it was read."""
        return stamp(self.path) == self.stamp


def check_media(campaign: Campaign) -> None:
    """Raises MediaError, at the place of the media in the campaign file, if it breaks Instagram's limits."""
    message = campaign.message
    if not isinstance(message, MediaMessage):
        return
    place = campaign.place("message", message.type)
    if message.is_url:
        _check_address(message.source, message.type, place)
    else:
        open_media(Path(message.source), message.type, place=place)


def open_media(path: Path, type: str, *, place: Place | None = None) -> MediaFile:
    """A local file for a message of that type, read through once.

    Raises MediaError, at `place` or else at the file itself: missing, unreadable, empty, too large, an extension
    that Instagram does not take, or content that is not what the extension says.
    """
    place, limit, before = place or Place(file=str(path)), LIMITS[type], stamp(path)
    format = _format_named(path.suffix.removeprefix("."), path.name, type, place)
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with path.open("rb") as stream:
            while size <= limit.max_bytes and (block := stream.read(_BLOCK_BYTES)):
                head = head or block[:_HEAD_BYTES]
                digest.update(block)
                size += len(block)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        _refuse(place, f"{path} can't be read: {reason}; accepted is a file on this machine")
    _check_content(path, format, limit, size, head, place)
    return MediaFile(path=path, content_type=format.content_type, size=size, sha256=digest.hexdigest(), stamp=before)


def _check_address(url: str, type: str, place: Place) -> None:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    if extension := re.search(r"\.([A-Za-z][A-Za-z0-9]{1,4})$", name):
        _format_named(extension[1], name, type, place)


def _format_named(extension: str, name: str, type: str, place: Place) -> Format:
    for format in LIMITS[type].formats:
        if extension.lower() in format.extensions:
            return format
    accepted = ", ".join(LIMITS[type].extensions)
    return _refuse(place, f"{shown(name)} is not {_A[type]} that Instagram takes; accepted are {accepted}")


def _check_content(path: Path, format: Format, limit: Limit, size: int, head: bytes, place: Place) -> None:
    if not size:
        _refuse(place, f"{path} is empty; accepted is a file of 1 to {limit.max_bytes:,} bytes")
    if size > limit.max_bytes:
        _refuse(place, f"{path} is too large; accepted are at most {limit.max_bytes // MEGABYTE} MB")
    if not format.begins(head):
        held = next((other.extensions[0] for other in limit.formats if other.begins(head)), None)
        found = f"holds {held}" if held else f"begins with {head[:8]!r}"
        _refuse(place, f"{path} is named {path.suffix} but {found}; accepted is what its name says")


def _refuse(place: Place, message: str) -> NoReturn:
    raise MediaError([Problem(place=place, message=message)])
