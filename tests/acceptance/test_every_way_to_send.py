"""Every type of message to every form of recipient, compared with what the API expects field by field.

The expected requests are written down by hand from Inrō's documentation, never made by the code under test.
"""

from pathlib import Path
from typing import Any

import pytest

from sender.sandbox import Sandbox
from sender.sandbox.library import POSTS
from tests.acceptance.command import Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.media import MP4, PNG, WAV, as_part, by_name, write_media
from tests.acceptance.recorded import messages, uploads

IN_TURN = "{rate: 1000/s, chunk_size: 2, workers: 1}"

# Three people of each kind, in calls of two: so each kind has a call to many and a call to one.
MIXED = """\
id,username,email
17841400000000001,,
,ann.lee,
,,ann@example.com
102,,
,bob_77,
,,bob@example.com
9223372036854775807,,
,cat,
,,cat+inro@sub.example.com
"""
MIXED_RECIPIENTS: list[dict[str, Any]] = [
    {"contact_ids": [17841400000000001, 102]},
    {"contact_usernames": ["ann.lee", "bob_77"]},
    {"contact_emails": ["ann@example.com", "bob@example.com"]},
    {"contact_id": 9223372036854775807},
    {"contact_username": "cat"},
    {"contact_email": "cat+inro@sub.example.com"},
]
MIXED_PARTS: list[list[list[str]]] = [
    [["contact_ids[]", "17841400000000001"], ["contact_ids[]", "102"]],
    [["contact_usernames[]", "ann.lee"], ["contact_usernames[]", "bob_77"]],
    [["contact_emails[]", "ann@example.com"], ["contact_emails[]", "bob@example.com"]],
    [["contact_id", "9223372036854775807"]],
    [["contact_username", "cat"]],
    [["contact_email", "cat+inro@sub.example.com"]],
]

HEADERS = {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "user-agent",
}

TULIPS = "Our spring collection: https://example.com/spring 🌷 “ça y est”"
BY_ADDRESS: list[tuple[str, dict[str, str]]] = [
    (f"{{text: '{TULIPS}'}}", {"message_type": "text", "text": TULIPS}),
    (
        "{type: image, image: 'https://cdn.example.com/a.jpg?w=9'}",
        {"message_type": "image", "image": "https://cdn.example.com/a.jpg?w=9"},
    ),
    (
        "{type: audio, audio: 'https://cdn.example.com/a.m4a'}",
        {"message_type": "audio", "audio": "https://cdn.example.com/a.m4a"},
    ),
    ("{type: share, media_id: 17912345678904550}", {"message_type": "share", "media_id": "17912345678904550"}),
]
FILES = [
    ("image", "spring.png", "image/png", PNG),
    ("video", "spring.mp4", "video/mp4", MP4),
    ("audio", "hello.wav", "audio/wav", WAV),
]
files = pytest.mark.parametrize(("kind", "name", "content_type", "content"), FILES, ids=["image", "video", "audio"])


def assert_json_calls(calls: list[dict[str, Any]], bodies: list[dict[str, Any]]) -> None:
    """Each call is a `POST /messages` with exactly that JSON body, the token, and a key of its own."""
    assert [call["json"] for call in calls] == bodies
    for call in calls:
        assert call["content_type"] == "application/json"
        assert call["parts"] == []
        assert_is_sound(call)
    assert_keys_differ(calls)


def assert_is_sound(call: dict[str, Any]) -> None:
    assert (call["method"], call["path"], call["query"]) == ("POST", "/messages", [])
    assert {name.lower() for name in call["headers"]} == HEADERS
    assert len(call["headers"]) == len(HEADERS)
    assert call["authorization"] == {"present": True, "valid": True}
    assert (call["status"], call["fault"]) == (202, None)


def assert_keys_differ(calls: list[dict[str, Any]]) -> None:
    keys = [call["idempotency_key"] for call in calls]
    assert all(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("message", "content"), BY_ADDRESS, ids=["text", "image", "audio", "share"])
def test_a_message_without_a_file_is_exactly_its_fields(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, message: str, content: dict[str, str]
) -> None:
    file = write_campaign(tmp_path, MIXED, message=message, delivery=IN_TURN)

    assert campaign("send", file, "--expect", "9").code == 0

    assert_json_calls(messages(sandbox), [{**who, **content} for who in MIXED_RECIPIENTS])
    assert len(sandbox.requests()) == 6


@files
def test_a_file_that_is_uploaded_once_is_named_by_its_url_in_every_call(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, kind: str, name: str, content_type: str, content: bytes
) -> None:
    write_media(tmp_path, name, content)
    file = write_campaign(tmp_path, MIXED, message=f"{{type: {kind}, {kind}: {name}}}", delivery=IN_TURN)

    assert campaign("send", file, "--yes").code == 0

    upload, *calls = sandbox.requests()
    assert (upload["method"], upload["path"], upload["query"]) == ("POST", "/media_files", [])
    assert upload["content_type"] == "multipart/form-data"
    assert upload["authorization"] == {"present": True, "valid": True}
    assert upload["parts"] == [["file", as_part(name, content_type, content)]]
    assert {name.lower() for name in upload["headers"]} >= HEADERS - {"idempotency-key"}
    url = f"https://files.sandbox.invalid/1/{name}"
    assert_json_calls(calls, [{**who, "message_type": kind, kind: url} for who in MIXED_RECIPIENTS])


@files
def test_a_file_that_is_uploaded_each_time_is_a_part_of_every_call(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, kind: str, name: str, content_type: str, content: bytes
) -> None:
    write_media(tmp_path, name, content)
    message = f"{{type: {kind}, {kind}: {name}, upload: each}}"
    file = write_campaign(tmp_path, MIXED, message=message, delivery=IN_TURN)

    assert campaign("send", file, "--yes").code == 0

    calls = sandbox.requests()
    plain: list[list[Any]] = [["message_type", kind], [kind, as_part(name, content_type, content)]]
    assert [by_name(call["parts"]) for call in calls] == [by_name([*who, *plain]) for who in MIXED_PARTS]
    for call in calls:
        assert (call["content_type"], call["json"]) == ("multipart/form-data", None)
        assert_is_sound(call)
    assert_keys_differ(calls)
    assert uploads(sandbox) == []


@pytest.mark.parametrize(
    ("post", "media_id"),
    [
        ("latest", "17912345677669983"),
        ("latest-reel", "17912345675200849"),
        ("https://www.instagram.com/p/C04SandboxV/", "17912345673966282"),
        ("https://instagram.com/p/C04SandboxV?igsh=xyz", "17912345673966282"),
    ],
    ids=["latest", "latest-reel", "permalink", "permalink-as-shared"],
)
def test_a_post_is_looked_up_once_and_shared_by_its_media_id(
    campaign: Command,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    post: str,
    media_id: str,
) -> None:
    # The sandbox's newest post is a reel; without it the latest post is an image, and not the latest reel.
    monkeypatch.setattr("sender.sandbox.api.POSTS", POSTS[1:])
    file = write_campaign(tmp_path, MIXED, message=f"{{type: share, post: '{post}'}}", delivery=IN_TURN)

    assert campaign("send", file, "--yes").code == 0

    look_up, *calls = sandbox.requests()
    assert (look_up["method"], look_up["path"], look_up["json"], look_up["parts"]) == ("GET", "/medias", None, [])
    assert sorted(look_up["query"]) == [("page", "1"), ("per_page", "100")]
    assert look_up["authorization"] == {"present": True, "valid": True}
    content = {"message_type": "share", "media_id": media_id}
    assert_json_calls(calls, [{**who, **content} for who in MIXED_RECIPIENTS])


def test_a_post_that_is_not_there_is_named_by_its_place_and_nothing_is_sent(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    message = "{type: share, post: 'https://www.instagram.com/p/Cnowhere/'}"
    file = write_campaign(tmp_path, MIXED, message=message, delivery=IN_TURN)

    ended = campaign("send", file, "--yes")

    assert ended.code == 2
    assert f"{file}:4:30: found no post that is https://www.instagram.com/p/Cnowhere/" in ended.err
    assert messages(sandbox) == []


@pytest.mark.parametrize(
    ("rows", "body"),
    [
        ("contact_id\n00178\n", {"contact_id": 178}),
        (
            "handle,username\nx,https://www.instagram.com/ann/?hl=it\ny,BOB\n",
            {"contact_usernames": ["ann", "bob"]},
        ),
        ("email;name\nB@Example.com;B\na@example.com;A\n", {"contact_emails": ["b@example.com", "a@example.com"]}),
    ],
    ids=["one id", "usernames", "e-mails"],
)
def test_recipients_of_one_kind_go_in_one_call_in_the_order_of_the_file(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, rows: str, body: dict[str, Any]
) -> None:
    file = write_campaign(tmp_path, rows)

    assert campaign("send", file, "--yes").code == 0

    assert_json_calls(messages(sandbox), [{**body, "message_type": "text", "text": "Hello"}])


def test_a_row_with_several_identifiers_goes_by_the_first_that_identify_by_names(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    people = "id,username,email\n1,ann,ann@example.com\n2,bob,\n3,,\n"
    identify_by = "  identify_by: [email, username, id]\n"
    file = write_campaign(tmp_path, people, audience=identify_by, delivery=IN_TURN)

    assert campaign("send", file, "--yes").code == 0

    content = {"message_type": "text", "text": "Hello"}
    assert_json_calls(
        messages(sandbox),
        [
            {"contact_email": "ann@example.com", **content},
            {"contact_username": "bob", **content},
            {"contact_id": 3, **content},
        ],
    )


def test_the_field_of_a_text_can_be_named_by_the_environment(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, MIXED, delivery=IN_TURN)
    with serving(text_field="content") as sandbox:
        ended = pointed_at(sandbox, tmp_path)("send", file, "--yes", environ={"INRO_TEXT_FIELD": "content"})

        assert ended.code == 0
        content = {"message_type": "text", "content": "Hello"}
        assert_json_calls(messages(sandbox), [{**who, **content} for who in MIXED_RECIPIENTS])
