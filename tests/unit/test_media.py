"""The preflight of media: what Instagram would take, told before anything is sent."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from campaigns.errors import MediaError, Place
from campaigns.media import LIMITS, MEGABYTE, check_media, open_media
from campaigns.model import Campaign

BEGINNINGS = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "jpg": b"\xff\xd8\xff\xe1",
    "gif": b"GIF89a",
    "mp4": b"\0\0\0\x20ftypisom",
    "ogg": b"OggS\0",
    "avi": b"RIFF\0\0\0\0AVI LIST",
    "mov": b"\0\0\0\x08wide",
    "webm": b"\x1a\x45\xdf\xa3",
    "aac": b"\xff\xf1\x50",
    "m4a": b"\0\0\0\x20ftypM4A ",
    "wav": b"RIFF\n\0\0\0WAVEfmt ",
}


def campaign(type: str, source: str | Path) -> Campaign:
    message: dict[str, Any] = {"type": type, type: str(source)}
    places = {("message", type): Place(file="c.yaml", line=5, column=10)}
    return Campaign(campaign="x", audience={"csv": "a.csv"}, message=message, file="/x/c.yaml", places=places)


def complaint(type: str, source: str | Path) -> str:
    with pytest.raises(MediaError) as refused:
        check_media(campaign(type, source))
    return str(refused.value)


@pytest.mark.parametrize(("type", "extension"), [(type, ext) for type in LIMITS for ext in LIMITS[type].extensions])
def test_every_format_that_instagram_takes_passes(tmp_path: Path, type: str, extension: str) -> None:
    path = tmp_path / f"media.{extension.upper()}"
    path.write_bytes(BEGINNINGS[extension] + bytes(40))
    check_media(campaign(type, path))
    check_media(campaign(type, f"https://cdn.example.com/media.{extension}?width=640"))


def test_a_message_without_media_passes() -> None:
    check_media(Campaign(campaign="x", audience={"csv": "a.csv"}, message={"text": "hi"}, file="/x/c.yaml"))


def test_an_opened_file_knows_its_size_type_and_digest(tmp_path: Path) -> None:
    path, content = tmp_path / "a.png", BEGINNINGS["png"] + bytes(700_000)
    path.write_bytes(content)
    found = open_media(path, "image")
    assert (found.path, found.content_type, found.size) == (path, "image/png", len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()


def test_mp4_is_sound_in_an_audio_message_and_pictures_in_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(BEGINNINGS["mp4"])
    assert (open_media(path, "audio").content_type, open_media(path, "video").content_type) == (
        "audio/mp4",
        "video/mp4",
    )


def test_a_web_page_saved_as_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"<!doctype html><title>404")
    assert complaint("image", path) == (
        f"c.yaml:5:10: {path} is named .png but begins with b'<!doctyp'; accepted is what its name says"
    )


def test_a_jpeg_named_png_is_refused_by_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(BEGINNINGS["jpeg"])
    assert (
        complaint("image", path) == f"c.yaml:5:10: {path} is named .png but holds jpeg; accepted is what its name says"
    )


@pytest.mark.parametrize(("type", "extension"), [("image", "gif"), ("video", "mov"), ("audio", "wav")])
def test_a_file_may_be_as_large_as_the_limit_and_no_larger(tmp_path: Path, type: str, extension: str) -> None:
    path, limit = tmp_path / f"a.{extension}", LIMITS[type].max_bytes
    with path.open("wb") as stream:
        stream.write(BEGINNINGS[extension])
        stream.truncate(limit)
    assert open_media(path, type).size == limit
    with path.open("ab") as stream:
        stream.truncate(limit + 1)
    assert complaint(type, path) == f"c.yaml:5:10: {path} is too large; accepted are at most {limit // MEGABYTE} MB"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gif").touch()
    assert complaint("image", tmp_path / "a.gif").endswith("a.gif is empty; accepted is a file of 1 to 8,388,608 bytes")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    sentence = f"c.yaml:5:10: {path} can't be read: {{}}; accepted is a file on this machine"
    assert complaint("image", path) == sentence.format("no such file or directory")
    path.mkdir()
    assert complaint("image", path) == sentence.format("is a directory")


@pytest.mark.parametrize(
    "source", ["/media/a.webp", "/media/a", "https://cdn.example.com/a.webp", "https://e.com/a%2Ewebp?x"]
)
def test_an_extension_that_instagram_does_not_take_is_refused(source: str) -> None:
    assert complaint("image", source).endswith("is not an image that Instagram takes; accepted are png, jpeg, jpg, gif")


@pytest.mark.parametrize(
    "url", ["https://e.com/a", "https://e.com", "https://e.com/v1.2/photo", "https://e.com/a.2?f=.webp"]
)
def test_a_web_address_without_an_extension_passes(url: str) -> None:
    check_media(campaign("image", url))


def test_without_a_campaign_the_place_is_the_file_itself(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as refused:
        open_media(tmp_path / "a.txt", "audio")
    assert str(refused.value) == (
        f"{tmp_path / 'a.txt'}: 'a.txt' is not an audio file that Instagram takes; accepted are aac, m4a, wav, mp4"
    )
