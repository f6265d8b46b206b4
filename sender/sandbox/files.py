"""What Instagram takes as media. Sizes and formats from Meta's pages, 2026."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from sender.sandbox.body import Upload
from sender.sandbox.refusal import unprocessable


@dataclass(frozen=True, kw_only=True)
class Format:
    """The files that one type of message may carry."""

    extensions: frozenset[str]
    """Their extensions, without the dot."""
    families: frozenset[str]
    """The first halves of their content types."""
    max_bytes: int
    """The largest that is taken."""


FORMATS = {
    "image": Format(
        extensions=frozenset({"png", "jpg", "jpeg", "gif"}), families=frozenset({"image"}), max_bytes=8 << 20
    ),
    # An mp4 may be declared as audio or as video whatever is in it, and an ogg as application/ogg.
    "video": Format(
        extensions=frozenset({"mp4", "ogg", "avi", "mov", "webm"}),
        families=frozenset({"video", "audio", "application"}),
        max_bytes=25 << 20,
    ),
    "audio": Format(
        extensions=frozenset({"aac", "m4a", "wav", "mp4"}),
        families=frozenset({"audio", "video"}),
        max_bytes=25 << 20,
    ),
}


def extension(name: str) -> str:
    """The extension of a file's name or of a URL's path, in small letters, without the dot."""
    return PurePosixPath(urlsplit(name).path).suffix.removeprefix(".").lower()


def media_type_of(name: str, content_type: str = "") -> str | None:
    """`image`, `video` or `audio` by extension, and by content type where two share one; or None."""
    fitting = [kind for kind, accepted in FORMATS.items() if extension(name) in accepted.extensions]
    family = content_type.partition("/")[0]
    return family if family in fitting else next(iter(fitting), None)


def check_file(field: str, media_type: str, upload: Upload) -> None:
    """Refusal 422 when Instagram would not take the file as that type."""
    accepted = FORMATS[media_type]
    if extension(upload.filename) not in accepted.extensions:
        known = ", ".join(sorted(accepted.extensions))
        raise unprocessable(field, f"{upload.filename!r} is no {media_type} file: {known} are accepted")
    family = upload.content_type.partition("/")[0]
    if upload.content_type != "application/octet-stream" and family not in accepted.families:
        raise unprocessable(field, f"Content-Type {upload.content_type!r} is no {media_type}")
    if not 0 < upload.size <= accepted.max_bytes:
        raise unprocessable(field, f"{upload.size} bytes; {media_type} files have 1 to {accepted.max_bytes}")


def check_url(field: str, value: Any) -> str:
    """The URL when it is an http or https one with a host; Refusal 422 otherwise."""
    if isinstance(value, str) and _is_web_address(value):
        return value
    raise unprocessable(field, f"{field} must be a public http or https URL, or an uploaded file")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
        return parts.scheme in ("http", "https") and has_host and not set(text) & set(" \t\r\n")
    except ValueError:
        return False
