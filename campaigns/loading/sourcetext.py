"""The text of a campaign file, or a sentence about why it has none."""

import re
from pathlib import Path
from typing import Final, NoReturn

from campaigns.errors import CampaignFileError, Place, Problem

MAX_FILE_BYTES: Final = 1_048_576

# What YAML 1.1 calls printable, section 5.1; a byte order mark inside the text is as invisible as the rest
_UNPRINTABLE: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without byte order mark; a CampaignFileError when there is none."""
    file = str(path)
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8", "replace")
        found = f"byte 0x{error.object[error.start]:02X} is not UTF-8"
        refuse(_place_after(before, file), f"{found}; accepted is a file saved as UTF-8")
    if unprintable := _UNPRINTABLE.search(text):
        place, code = _place_after(text[: unprintable.start()], file), ord(unprintable[0])
        refuse(place, f"found the invisible character U+{code:04X}; accepted is text without it")
    return text


def lines_of(text: str) -> list[str]:
    """The lines as YAML 1.1 and its marks count them, without their ends."""
    return re.split("\r\n|[\r\n\x85\u2028\u2029]", text)


def refuse(place: Place, message: str) -> NoReturn:
    """Raises a CampaignFileError of one problem, for what leaves nothing more to look at."""
    raise CampaignFileError([Problem(place=place, message=message)])


def _content(path: Path) -> bytes:
    file = str(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        refuse(Place(file=file), f"can't be read: {reason}; accepted is a campaign file in YAML")
    if len(content) > MAX_FILE_BYTES:
        refuse(Place(file=file), f"is too large; accepted are at most {MAX_FILE_BYTES:,} bytes")
    return content


def _place_after(text: str, file: str) -> Place:
    lines = lines_of(text)
    return Place(file=file, line=len(lines), column=len(lines[-1]) + 1)
