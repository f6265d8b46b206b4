"""The account's own posts and reels, and the media files it keeps at Inrō."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from sender.sandbox.body import Body, Upload
from sender.sandbox.files import FORMATS, check_file, check_url, media_type_of
from sender.sandbox.refusal import Refusal, unprocessable

_POSTS = (
    ("VIDEO", "Spring drop, first look 🌿"),
    ("IMAGE", "Tulips on the table, windows open"),
    ("CAROUSEL_ALBUM", "Ten ways to wear the linen shirt"),
    ("VIDEO", "Behind the scenes at the studio"),
    ("IMAGE", "Restock: the olive tote is back"),
    ("IMAGE", "Café crème ☕ with Léa & Jonas"),
    ("VIDEO", "How we dye with madder root"),
    ("CAROUSEL_ALBUM", "Winter sale: last sizes"),
    ("IMAGE", "Thank you for 10k!"),
    ("VIDEO", "Packing orders, one minute"),
    ("IMAGE", "Gift cards, for the undecided"),
    ("IMAGE", "We open on Saturday"),
)
_NEWEST = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)


def _post(index: int, media_type: str, caption: str) -> dict[str, Any]:
    code = f"C{index:02d}Sandbox{chr(ord('Z') - index)}"
    return {
        "id": 4812 - 7 * index,
        "media_id": str(17_912_345_678_904_550 - 1_234_567 * index),
        "media_type": media_type,
        "caption": caption,
        "permalink": f"https://www.instagram.com/{'reel' if media_type == 'VIDEO' else 'p'}/{code}/",
        "timestamp": (_NEWEST - timedelta(days=3 * index, hours=index)).isoformat(),
    }


POSTS = [_post(index, media_type, caption) for index, (media_type, caption) in enumerate(_POSTS)]
"""A dozen posts and reels, newest first."""

OWN_MEDIA = frozenset(str(post["media_id"]) for post in POSTS)
"""What a share may name."""


@dataclass(frozen=True, kw_only=True)
class MediaFile:
    """One file of the library; its bytes are not kept."""

    id: int
    url: str
    media_type: str
    caption: str | None
    file_name: str
    size: int | None
    sha256: str | None


class Library:
    """The media files, by number; a file given by URL is listed but never fetched."""

    def __init__(self) -> None:
        self.files: dict[int, MediaFile] = {}

    def add(self, body: Body) -> MediaFile:
        """Keep what a POST /media_files carries; Refusal 422 unless it is one `file` or one `file_url`."""
        fields = body.fields()
        if unknown := sorted(fields.keys() - {"file", "file_url", "caption"}):
            raise unprocessable(unknown[0], f"Unknown field {', '.join(unknown)}")
        if ("file" in fields) == ("file_url" in fields):
            raise unprocessable("file", "Exactly one of file, file_url is needed")
        caption = fields.get("caption")
        if not isinstance(caption, str | None):
            raise unprocessable("caption", "caption must be a string")
        if "file" in fields:
            return self._keep_upload(fields["file"], caption)
        return self._keep_url(check_url("file_url", fields["file_url"]), caption)

    def _keep_upload(self, upload: Any, caption: str | None) -> MediaFile:
        if not isinstance(upload, Upload):
            raise unprocessable("file", "file must be an uploaded file")
        media_type = media_type_of(upload.filename, upload.content_type)
        if media_type is None:
            raise unprocessable("file", f"{upload.filename!r} is neither {', '.join(FORMATS)}")
        check_file("file", media_type, upload)
        return self._keep(media_type, caption, upload.filename, upload.size, upload.sha256)

    def _keep_url(self, url: str, caption: str | None) -> MediaFile:
        media_type = media_type_of(url)
        if media_type is None:
            raise unprocessable("file_url", f"{url!r} is neither {', '.join(FORMATS)}")
        return self._keep(media_type, caption, url.rsplit("/", 1)[-1], None, None)

    def _keep(self, media_type: str, caption: str | None, name: str, size: int | None, sha256: str | None) -> MediaFile:
        number = len(self.files) + 1
        self.files[number] = MediaFile(
            id=number,
            # .invalid never resolves (RFC 6761): nobody is led to a stranger's server.
            url=f"https://files.sandbox.invalid/{number}/{quote(name, safe='')}",
            media_type=media_type,
            caption=caption,
            file_name=name,
            size=size,
            sha256=sha256,
        )
        return self.files[number]

    def get(self, number: str) -> MediaFile:
        """The file of that number; Refusal 404 when there is none."""
        if number.isascii() and number.isdigit() and int(number) in self.files:
            return self.files[int(number)]
        raise Refusal(404, f"No media file {number}")

    def listing(self, media_type: str | None) -> list[MediaFile]:
        """The files, newest first, of one type or all; Refusal 422 for an unknown type."""
        if media_type is not None and media_type not in FORMATS:
            raise unprocessable("media_type", f"media_type must be one of {', '.join(FORMATS)}")
        return [file for file in reversed(self.files.values()) if media_type in (None, file.media_type)]
