"""The sandbox's other calls: posts, media files, contacts, batch tasks."""

import hashlib
from typing import Any

import pytest

from tests.integration.sandbox_caller import Caller, Clock, calling, form


async def test_own_posts_are_listed_newest_first() -> None:
    async with calling() as caller:
        document = (await caller.get("/medias")).json
    medias = document["medias"]
    assert [media["timestamp"] for media in medias] == sorted((m["timestamp"] for m in medias), reverse=True)
    assert len({media["media_id"] for media in medias}) == 12
    assert {media["media_type"] for media in medias} == {"IMAGE", "VIDEO", "CAROUSEL_ALBUM"}
    assert all(("/reel/" in m["permalink"]) == (m["media_type"] == "VIDEO") for m in medias)


async def test_lists_come_in_pages() -> None:
    async with calling() as caller:
        second = (await caller.get("/medias", page="2", per_page="5")).json
        last = (await caller.get("/medias", page="3", per_page="5")).json
        beyond = (await caller.get("/medias", page="9", per_page="5")).json
    assert (second["page"], second["per_page"], second["total"]) == (2, 5, 12)
    assert [len(part["medias"]) for part in (second, last, beyond)] == [5, 2, 0]


@pytest.mark.parametrize("query", [{"page": "0"}, {"page": "x"}, {"per_page": "-1"}])
async def test_pages_that_cannot_be_are_unprocessable(query: dict[str, str]) -> None:
    async with calling() as caller:
        assert (await caller.get("/medias", **query)).status == 422


async def test_an_uploaded_file_is_described_and_found_again() -> None:
    async with calling() as caller:
        data = form(("file", b"jpeg"), ("caption", "Spring"), name="spring drop.jpg")
        kept = await caller.call("POST", "/media_files", data=data)
        found = await caller.get(f"/media_files/{kept.json['id']}")
    assert (kept.status, found.json) == (201, kept.json)
    assert kept.json == {
        "id": 1,
        "url": "https://files.sandbox.invalid/1/spring%20drop.jpg",
        "media_type": "image",
        "caption": "Spring",
        "file_name": "spring drop.jpg",
        "size": 4,
        "sha256": hashlib.sha256(b"jpeg").hexdigest(),
    }


@pytest.mark.parametrize("how", ["json", "data"])
async def test_a_file_can_be_named_by_its_url(how: str) -> None:
    options: dict[str, Any] = {how: {"file_url": "https://cdn.example.com/clip.mp4"}}
    async with calling() as caller:
        kept = await caller.call("POST", "/media_files", **options)
    assert (kept.status, kept.json["media_type"], kept.json["size"]) == (201, "video", None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"file": "a.jpg"},
        {"file_url": "ftp://x.example/a.jpg"},
        {"file_url": "https://x.example/a.exe"},
        {"file_url": "https://x.example/a.jpg", "caption": 5},
        {"file_url": "https://x.example/a.jpg", "colour": "red"},
    ],
)
async def test_media_files_that_make_no_sense_are_unprocessable(fields: dict[str, Any]) -> None:
    async with calling() as caller:
        assert (await caller.call("POST", "/media_files", json=fields)).status == 422


async def test_an_upload_of_an_unknown_type_is_unprocessable() -> None:
    async with calling() as caller:
        data = form(("file", b"x"), name="a.exe", kind="application/octet-stream")
        assert (await caller.call("POST", "/media_files", data=data)).status == 422


async def test_media_files_are_filtered_by_type_newest_first() -> None:
    async with calling() as caller:
        for name in ("a.jpg", "b.mp4", "c.png"):
            await caller.call("POST", "/media_files", json={"file_url": f"https://x.example/{name}"})
        images = (await caller.get("/media_files", media_type="image")).json["media_files"]
        assert (await caller.get("/media_files", media_type="fax")).status == 422
        assert (await caller.get("/media_files/9")).status == 404
    assert [file["file_name"] for file in images] == ["c.png", "a.jpg"]


async def test_a_contact_is_the_same_whichever_identifier_asks() -> None:
    async with calling() as caller:
        by_name = (await caller.get("/contact", username="ann")).json
        assert (await caller.get("/contact", id=str(by_name["id"]))).json == by_name
        assert (await caller.get("/contact", email=by_name["email"])).json == by_name
    assert by_name["status"] == "active"


async def test_anybody_else_is_made_up_the_same_each_time() -> None:
    async with calling() as caller:
        first, second = [await caller.get("/contact", username="new.face") for _ in range(2)]
        assert (await caller.get("/contact", username="optout.lee")).json["status"] == "optout"
        assert (await caller.get("/contact", username="nobody")).status == 404
    assert first.json == second.json


@pytest.mark.parametrize("query", [{}, {"id": "1", "username": "ann"}, {"id": "one"}])
async def test_a_contact_needs_exactly_one_good_identifier(query: dict[str, str]) -> None:
    async with calling() as caller:
        assert (await caller.get("/contact", **query)).status == 422


async def test_contacts_are_searched() -> None:
    async with calling() as caller:
        found = (await caller.get("/contacts", search="martin")).json
    assert [person["username"] for person in found["contacts"]] == ["ann"]


async def test_a_batch_task_is_pending_and_then_completed() -> None:
    clock = Clock()
    async with calling(clock=clock) as caller:
        number = (await caller.send()).json["batch_task_id"]
        assert await _status(caller, number) == "pending"
        clock.now += 1
        assert await _status(caller, number) == "completed"
        assert [task["id"] for task in (await caller.get("/batch_tasks")).json["batch_tasks"]] == [number]
        assert (await caller.get("/batch_tasks/77")).status == 404


async def _status(caller: Caller, number: int) -> str:
    return str((await caller.get(f"/batch_tasks/{number}")).json["status"])
