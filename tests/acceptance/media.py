"""Media files for the tests to send: the smallest that begin as their names say."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"four tulips"
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"a walk through the studio"
WAV = b"RIFF\x24\x00\x00\x00WAVE" + b"hello"


def write_media(folder: Path, name: str, content: bytes) -> Path:
    """A file of that name and content in `folder`."""
    path = folder / name
    path.write_bytes(content)
    return path


def write_sparse(folder: Path, name: str, beginning: bytes, size: int) -> Path:
    """A file of `size` bytes that begins so and takes next to no room."""
    path = folder / name
    with path.open("wb") as stream:
        stream.write(beginning)
        stream.truncate(size)
    return path


def as_part(name: str, content_type: str, content: bytes) -> dict[str, Any]:
    """What the sandbox records of a file in a form."""
    digest = sha256(content).hexdigest()
    return {"filename": name, "content_type": content_type, "size": len(content), "sha256": digest}


def by_name(parts: Iterable[list[Any]]) -> list[list[Any]]:
    """The parts of a form with those of one name in their order, and the names in none that matters."""
    return sorted((list(part) for part in parts), key=lambda part: str(part[0]))
