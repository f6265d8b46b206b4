"""What the sandbox shows of the requests that it received: as data, and as a page for people."""

import hashlib

from sender.sandbox import Faults
from tests.integration.sandbox_caller import TOKEN, Clock, calling, form

HOSTILE = '<script>alert("x")</script>\'&'


async def test_a_json_request_is_recorded_field_by_field() -> None:
    async with calling(clock=Clock()) as caller:
        fields = {"contact_ids": [7, 8], "message_type": "text", "text": "Hello 🌿"}
        headers = {"Idempotency-Key": "chunk-1"}
        await caller.call("POST", "/messages", json=fields, headers=headers)
        [entry] = (await caller.get("!/sandbox/requests")).json["requests"]
    names = entry.pop("headers")
    assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(names)
    assert entry == {
        "number": 1,
        "method": "POST",
        "path": "/messages",
        "query": [],
        "idempotency_key": "chunk-1",
        "authorization": {"present": True, "valid": True},
        "content_type": "application/json",
        "json": fields,
        "parts": [],
        "arrived_at": 1_000.0,
        "status": 202,
        "fault": None,
    }


async def test_the_parts_of_a_form_are_recorded_in_order() -> None:
    async with calling() as caller:
        data = form(("contact_ids[]", "8"), ("contact_ids[]", "7"), ("message_type", "image"), ("image", b"jpeg"))
        await caller.call("POST", "/messages", data=data)
        [entry] = caller.sandbox.requests()
    assert entry["content_type"] == "multipart/form-data"
    assert entry["parts"] == [
        ["contact_ids[]", "8"],
        ["contact_ids[]", "7"],
        ["message_type", "image"],
        [
            "image",
            {
                "filename": "photo.jpg",
                "content_type": "image/jpeg",
                "size": 4,
                "sha256": hashlib.sha256(b"jpeg").hexdigest(),
            },
        ],
    ]


async def test_queries_faults_and_malformed_bodies_are_recorded() -> None:
    async with calling(faults=Faults(script=("reset-after", "500"))) as caller:
        await caller.get("/contacts", search="ann", page="1")
        for _ in range(2):
            await caller.session.post(caller.sandbox.url + "/messages", json={}, raise_for_status=False)
        await caller.call("POST", "/messages", data=b"{", headers={"Content-Type": "application/json"})
        entries = caller.sandbox.requests()
    assert entries[0]["query"] == [("search", "ann"), ("page", "1")]
    assert [(entry["status"], entry["fault"]) for entry in entries] == [
        (200, None),
        (422, None),
        (500, "500"),
        (400, None),
    ]
    assert entries[3]["json"] == {"malformed": "{"}


async def test_requests_can_be_asked_for_from_a_number_on() -> None:
    async with calling() as caller:
        for _ in range(3):
            await caller.get("/medias")
        answer = (await caller.get("!/sandbox/requests", since="2")).json
        assert [entry["number"] for entry in answer["requests"]] == [3]
        assert answer["seen"] == 3
        assert (await caller.get("!/sandbox/requests", since="x")).status == 422


async def test_only_so_many_requests_are_kept() -> None:
    async with calling(keep_requests=2) as caller:
        for _ in range(5):
            await caller.get("/medias")
        assert [entry["number"] for entry in caller.sandbox.requests()] == [4, 5]
        assert caller.sandbox.stats()["calls"] == {"GET /medias": 5}


async def test_the_console_is_not_recorded_and_needs_no_token() -> None:
    async with calling(token="") as caller:
        for path in ("!/", "!/sandbox/stats", "!/sandbox/requests", "!/sandbox/faults"):
            assert (await caller.get(path)).status == 200
        assert caller.sandbox.requests() == []


async def test_the_token_is_never_shown() -> None:
    async with calling() as caller:
        await caller.send()
        pages = [await caller.get(path) for path in ("!/", "!/sandbox/stats", "!/sandbox/requests")]
    assert all(TOKEN not in page.text for page in pages)


async def test_calls_are_counted_by_what_they_are_not_by_which_one() -> None:
    async with calling() as caller:
        await caller.get("/batch_tasks/1")
        await caller.get("/batch_tasks/2")
        assert caller.sandbox.stats()["calls"] == {"GET /batch_tasks/:id": 2}


async def test_nothing_that_is_received_can_write_html() -> None:
    async with calling(faults=Faults(latency="0")) as caller:
        await caller.send(contact_username=HOSTILE)
        data = form(("file", b"x"), name="<img src=x onerror=alert(1)>.jpg")
        await caller.call("POST", "/media_files", data=data)
        page = await caller.get("!/")
    assert "@&lt;script&gt;alert(&quot;x&quot;)" in page.text
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_the_page_shows_what_came_and_who_got_it_twice() -> None:
    async with calling(rate_limit="100/s", faults=Faults(rate_cut=0.25, script=("ok", "500"))) as caller:
        assert "Waiting for the first message" in (await caller.get("!/")).text
        await caller.send_exactly(contact_usernames=["ann", "ann"], text="Hello")
        await caller.send()
        page = (await caller.get("!/")).text
    for words in ("@ann ×2", "100/s, sliding", "cut 25", "script ok, 500", ">500<", ">202<"):
        assert words in page


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    async with calling() as caller:
        page = (await caller.get("!/")).text
    assert "src=" not in page
    assert "<link" not in page
    assert "@import" not in page
