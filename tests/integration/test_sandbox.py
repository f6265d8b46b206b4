"""The sandbox's POST /messages: what it takes, what it refuses, and what it counts."""

import ast
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

import sender.sandbox
from tests.integration.sandbox_caller import calling, form

MB = 1 << 20


def test_the_sandbox_shares_no_code_with_the_client() -> None:
    [folder] = sender.sandbox.__path__
    for file in Path(folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            own = [name for name in names if name.partition(".")[0] in ("sender", "campaigns", "orjson")]
            assert all(name.startswith("sender.sandbox") for name in own), file


async def test_an_accepted_message_is_answered_like_a_bulk_update() -> None:
    async with calling() as caller:
        answer = await caller.send_exactly(contact_usernames=["ann", "nobody.here"], text="Hello")
    assert answer.status == 202
    assert answer.headers["X-Request-Id"] == "sandbox-1"
    assert answer.json == {
        "batch_task_id": 1,
        "status": "pending",
        "accepted_count": 1,
        "not_found_count": 1,
        "not_found": [{"username": "nobody.here"}],
    }


async def test_deliveries_are_counted_for_each_recipient_by_kind() -> None:
    async with calling() as caller:
        await caller.send_exactly(contact_usernames=["ann", "Bob"], text="Hello")
        await caller.send_exactly(contact_username="bob", text="Hello again")
        await caller.send_exactly(contact_ids=[7], text="Hello")
        await caller.send_exactly(contact_email="a@b.example", text="Hello")
        stats = caller.sandbox.stats()
    assert stats["deliveries"] == {"username:ann": 1, "username:bob": 2, "id:7": 1, "email:a@b.example": 1}
    assert (stats["recipients"], stats["deliveries_total"], stats["most_to_one"]) == (4, 5, 2)
    assert (stats["largest_call"], stats["messages"]["accepted"]) == (2, 4)


async def test_the_statistics_in_the_program_are_those_over_http() -> None:
    async with calling() as caller:
        await caller.send()
        await caller.send(text="")
        assert (await caller.get("!/sandbox/stats")).json == caller.sandbox.stats()


@pytest.mark.parametrize("name", ["ann", "ANN", "username:ann"])
async def test_chosen_contacts_are_not_found(name: str) -> None:
    async with calling(unknown_contacts={name}) as caller:
        answer = await caller.send_exactly(contact_usernames=["ann", "bob"], text="Hello")
    assert answer.json["not_found"] == [{"username": "ann"}]


async def test_an_id_that_is_not_found_comes_back_as_an_integer() -> None:
    async with calling(unknown_contacts={7}) as caller:
        answer = await caller.send_exactly(contact_ids=[7, 8], text="Hello")
    assert answer.json["not_found"] == [{"id": 7}]


async def test_one_poisoned_recipient_refuses_the_call_without_being_named() -> None:
    async with calling(poison={"bob"}) as caller:
        refused = await caller.send_exactly(contact_usernames=["ann", "bob"], text="Hello")
        accepted = await caller.send_exactly(contact_usernames=["ann"], text="Hello")
        assert caller.sandbox.stats()["deliveries"] == {"username:ann": 1}
    assert (refused.status, accepted.status) == (422, 202)
    assert "bob" not in refused.text


@pytest.mark.parametrize(
    ("style", "status", "text"), [("empty", 204, ""), ("text", 200, "OK"), ("no-names", 202, None)]
)
async def test_the_reply_comes_in_several_styles(style: str, status: int, text: str | None) -> None:
    async with calling(reply=style) as caller:
        answer = await caller.send(contact_username="nobody")
    assert answer.status == status
    if text is None:
        assert answer.json["not_found_count"] == 1
        assert "not_found" not in answer.json
    else:
        assert answer.text == text


@pytest.mark.parametrize("token", ["", "another-token"])
async def test_a_missing_or_wrong_token_is_unauthorized(token: str) -> None:
    async with calling(token=token) as caller:
        answer = await caller.send()
        assert caller.sandbox.stats()["deliveries_total"] == 0
    assert answer.status == 401
    assert "error" in answer.json


async def test_a_free_plan_is_forbidden() -> None:
    async with calling(plan="free") as caller:
        assert (await caller.get("/medias")).status == 403


@pytest.mark.parametrize(
    "recipients",
    [
        {},
        {"contact_id": 1, "contact_username": "ann"},
        {"contact_username": "ann", "contact_usernames": ["bob"]},
        {"contact_username": ["ann"]},
        {"contact_usernames": "ann"},
        {"contact_usernames": []},
        {"contact_ids": list(range(1, 1_002))},
        {"contact_id": "7"},
        {"contact_id": True},
        {"contact_id": 0},
        {"contact_id": 1.5},
        {"contact_ids": [1, "2"]},
        {"contact_username": 5},
        {"contact_username": " "},
        {"contact_username": "\ud800"},
        {"contact_emails": ["ann"]},
        {"contact_usernames": ["ann", None]},
    ],
)
async def test_recipients_that_make_no_sense_are_unprocessable(recipients: dict[str, Any]) -> None:
    async with calling() as caller:
        answer = await caller.send_exactly(text="Hello", **recipients)
        assert caller.sandbox.stats()["deliveries_total"] == 0
    assert answer.status == 422
    assert answer.json["error"]
    assert answer.json["field"].startswith("contact")


async def test_a_thousand_recipients_fit_in_one_call() -> None:
    async with calling() as caller:
        answer = await caller.send_exactly(contact_ids=list(range(1, 1_001)), text="Hello")
    assert answer.json["accepted_count"] == 1_000


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": ""},
        {"text": 5},
        {"text": "é" * 501},
        {"text": "\ud800"},
        {"text": "Hello", "message_type": "fax"},
        {"text": "Hello", "message_type": ["text"]},
        {"text": "Hello", "emoji": "🌿"},
        {"text": "Hello", "image": "https://cdn.example.com/a.jpg"},
        {"message_type": "image", "video": "https://cdn.example.com/a.mp4"},
        {"message_type": "image", "image": "https://x.example/a.jpg", "audio": "https://x.example/a.wav"},
        {"message_type": "image", "image": "file:///etc/passwd"},
        {"message_type": "image", "image": "https:///a.jpg"},
        {"message_type": "image", "image": "https://x.example:port/[/a.jpg"},
        {"message_type": "image", "image": {"url": "https://x.example/a.jpg"}},
        {"message_type": "share"},
        {"message_type": "share", "media_id": "1"},
        {"message_type": "share", "media_id": True},
    ],
)
async def test_contents_that_make_no_sense_are_unprocessable(content: dict[str, Any]) -> None:
    async with calling() as caller:
        answer = await caller.send_exactly(contact_username="ann", **content)
    assert answer.status == 422
    assert answer.json["error"]


async def test_a_thousand_bytes_of_text_fit() -> None:
    async with calling() as caller:
        assert (await caller.send(text="é" * 500)).status == 202


async def test_the_field_of_the_text_can_have_another_name() -> None:
    async with calling(text_field="body") as caller:
        assert (await caller.send_exactly(contact_id=1, body="Hello")).status == 202
        assert (await caller.send_exactly(contact_id=1, text="Hello")).status == 422


async def test_own_posts_can_be_shared() -> None:
    async with calling() as caller:
        newest = (await caller.get("/medias")).json["medias"][0]
        answer = await caller.send_exactly(contact_id=1, message_type="share", media_id=newest["media_id"])
    assert answer.status == 202


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"text": NaN}', "application/json", 400),
        (b'{"text": "a", "text": "b"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"text=Hello", "application/x-www-form-urlencoded", 415),
        (b"no boundary", "multipart/form-data", 400),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 400),
        (b" " * (MB + 1), "application/json", 413),
    ],
)
async def test_bodies_that_cannot_be_read_are_refused(body: bytes, content_type: str, status: int) -> None:
    async with calling() as caller:
        answer = await caller.call("POST", "/messages", data=BytesIO(body), headers={"Content-Type": content_type})
    assert answer.status == status
    assert answer.json["error"]


async def test_a_call_that_does_not_exist_is_refused_in_json() -> None:
    async with calling() as caller:
        missing, wrong = await caller.get("/nothing"), await caller.get("/messages")
    assert (missing.status, missing.json) == (404, {"error": "Not Found"})
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


async def test_a_file_is_sent_with_lists_as_repeated_parts() -> None:
    async with calling() as caller:
        data = form(("contact_ids[]", "7"), ("contact_ids[]", "8"), ("message_type", "image"), ("image", b"jpeg"))
        answer = await caller.call("POST", "/messages", data=data)
        stats = caller.sandbox.stats()
    assert answer.json["accepted_count"] == 2
    assert stats["deliveries"] == {"id:7": 1, "id:8": 1}
    assert stats["uploads"] == 1


@pytest.mark.parametrize(
    ("message_type", "name", "content_type"),
    [
        ("image", "a.GIF", "image/gif"),
        ("video", "a.mp4", "video/mp4"),
        ("video", "a.ogg", "audio/ogg"),
        ("audio", "a.mp4", "video/mp4"),
        ("audio", "a.m4a", "application/octet-stream"),
    ],
)
async def test_files_that_instagram_takes_are_accepted(message_type: str, name: str, content_type: str) -> None:
    async with calling() as caller:
        data = form(
            ("contact_username", "ann"), ("message_type", message_type), (message_type, b"x"),
            name=name, kind=content_type,
        )  # fmt: skip
        assert (await caller.call("POST", "/messages", data=data)).status == 202


@pytest.mark.parametrize(
    ("message_type", "name", "content_type", "size"),
    [
        ("image", "a.bmp", "image/bmp", 1),
        ("image", "a.jpg", "text/html", 1),
        ("image", "a.jpg", "image/jpeg", 0),
        ("image", "a.jpg", "image/jpeg", 8 * MB + 1),
        ("audio", "a.mp3", "audio/mpeg", 1),
        ("video", "a.mp4", "video/mp4", 25 * MB + 1),
    ],
)
async def test_files_that_instagram_does_not_take_are_unprocessable(
    message_type: str, name: str, content_type: str, size: int
) -> None:
    async with calling() as caller:
        data = form(
            ("contact_username", "ann"), ("message_type", message_type), (message_type, b"x" * size),
            name=name, kind=content_type,
        )  # fmt: skip
        answer = await caller.call("POST", "/messages", data=data)
    assert answer.status == 422
    assert answer.json["field"] == message_type


async def test_a_body_beyond_all_limits_is_too_large() -> None:
    async with calling() as caller:
        data = form(("contact_username", "ann"), ("video", b"x" * (32 * MB + 1)), name="a.mp4", kind="video/mp4")
        assert (await caller.call("POST", "/messages", data=data)).status == 413


@pytest.mark.parametrize(
    "parts",
    [
        [("contact_ids", "7"), ("text", "Hello")],
        [("contact_id", "seven"), ("text", "Hello")],
        [("contact_id", "7"), ("contact_id", "8"), ("text", "Hello")],
        [("contact_id", "7"), ("contact_id[]", "8"), ("text", "Hello")],
        [("contact_id", "7"), ("text", b"a file")],
        [("contact_username", b"a file"), ("text", "Hello")],
    ],
)
async def test_forms_that_make_no_sense_are_unprocessable(parts: list[tuple[str, str | bytes]]) -> None:
    async with calling() as caller:
        assert (await caller.call("POST", "/messages", data=form(*parts))).status == 422


async def test_a_reset_forgets_everything_received() -> None:
    async with calling() as caller:
        await caller.send()
        await caller.call("POST", "!/sandbox/reset")
        assert caller.sandbox.stats()["messages"]["received"] == 0
        await caller.send()
        await caller.call("DELETE", "!/sandbox")
        assert caller.sandbox.stats()["deliveries"] == {}
        assert caller.sandbox.requests() == []
