"""A file is uploaded as seldom as can be: once for all calls, all runs and all campaigns of an account."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from sender.sandbox import Sandbox
from tests.acceptance.command import TOKEN, Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.media import MP4, PNG, as_part, by_name, write_media, write_sparse
from tests.acceptance.recorded import messages, uploads

PEOPLE = [f"person{number}" for number in range(7)]
CHUNKED = "{rate: 1000/s, chunk_size: 2, workers: 2}"
MEGABYTE = 1024 * 1024


def write_image_campaign(folder: Path, image: str = "spring.png", *, name: str = "spring", more: str = "") -> Path:
    return write_campaign(
        folder, PEOPLE, name=name, message=f"{{type: image, image: {image}}}", delivery=CHUNKED, more=more
    )


def test_a_file_is_uploaded_once_for_many_calls_and_runs_and_campaigns_of_one_account(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_media(tmp_path, "spring.png", PNG)
    write_media(tmp_path, "the-same-tulips.png", PNG)

    assert campaign("send", write_image_campaign(tmp_path), "--yes").code == 0
    assert campaign("send", write_image_campaign(tmp_path), "--yes", "--run", "again").code == 0
    other = write_image_campaign(tmp_path, "the-same-tulips.png", name="other")
    reused = campaign("send", other, "--yes")

    assert reused.code == 0
    assert [event["url"] for event in reused.events if event["event"] == "media.reused"] == [
        "https://files.sandbox.invalid/1/spring.png"
    ]
    assert len(uploads(sandbox)) == 1
    images = [call["json"]["image"] for call in messages(sandbox)]
    assert images == ["https://files.sandbox.invalid/1/spring.png"] * 12


def test_another_account_and_another_content_are_uploaded_again(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_media(tmp_path, "spring.png", PNG)
    assert campaign("send", write_image_campaign(tmp_path), "--yes").code == 0

    of_other = write_image_campaign(tmp_path, name="other", more="account: second\n")
    assert campaign("send", of_other, "--yes").code == 0
    assert len(uploads(sandbox)) == 2

    write_media(tmp_path, "spring.png", PNG + b" and a fifth")
    assert campaign("send", write_image_campaign(tmp_path), "--yes", "--run", "fifth").code == 0

    contents = [call["parts"][0][1]["size"] for call in uploads(sandbox)]
    assert contents == [len(PNG), len(PNG), len(PNG) + 12]
    images = [call["json"]["image"].removeprefix("https://files.sandbox.invalid/") for call in messages(sandbox)]
    assert images == ["1/spring.png"] * 4 + ["2/spring.png"] * 4 + ["3/spring.png"] * 4


def test_a_run_is_not_gone_on_with_when_the_content_of_its_file_has_changed(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_media(tmp_path, "spring.png", PNG)
    file = write_image_campaign(tmp_path)
    assert campaign("send", file, "--yes", "--limit", "2").code == 0
    write_media(tmp_path, "spring.png", PNG[:-1] + b"S")

    refused = campaign("send", file, "--yes")

    assert refused.code == 6
    assert "the message has changed since it began" in refused.err
    assert len(uploads(sandbox)) == 1
    assert len(messages(sandbox)) == 1


def test_a_run_whose_file_was_uploaded_goes_on_with_its_url_under_another_name(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    image = write_media(tmp_path, "spring.png", PNG)
    assert campaign("send", write_image_campaign(tmp_path), "--yes", "--limit", "2").code == 0
    image.rename(tmp_path / "renamed.png")

    assert campaign("send", write_image_campaign(tmp_path, "renamed.png")).code == 0

    assert len(uploads(sandbox)) == 1
    assert {call["json"]["image"] for call in messages(sandbox)} == {"https://files.sandbox.invalid/1/spring.png"}
    assert sandbox.stats()["most_to_one"] == 1


def test_a_file_kept_by_hand_is_not_uploaded_again_by_a_send(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    kept = campaign("media-files", "upload", write_media(tmp_path, "spring.png", PNG), "--json")
    assert kept.code == 0
    assert kept.json == {
        "id": "1",
        "media_type": "image",
        "url": "https://files.sandbox.invalid/1/spring.png",
        "caption": "",
    }
    assert uploads(sandbox)[0]["parts"] == [["file", as_part("spring.png", "image/png", PNG)]]

    assert campaign("send", write_image_campaign(tmp_path), "--yes").code == 0

    assert len(uploads(sandbox)) == 1
    assert {call["json"]["image"] for call in messages(sandbox)} == {"https://files.sandbox.invalid/1/spring.png"}


@contextmanager
def without_urls(sandbox: Sandbox) -> Iterator[tuple[str, list[int]]]:
    """The address of a server in front of the sandbox that keeps files itself and tells no URL; the sizes it got."""
    got: list[int] = []

    async def keep(request: web.Request) -> web.Response:
        got.append(len(await request.read()))
        return web.json_response({"id": 7, "media_type": "image"}, status=201)

    async def pass_on(request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, f"{sandbox.origin}{request.path_qs}", data=await request.read(), headers=headers
            ) as reply,
        ):
            return web.Response(status=reply.status, body=await reply.read(), content_type=reply.content_type)

    async def start() -> tuple[web.AppRunner, str]:
        app = web.Application()
        app.add_routes([web.post("/api/v1/media_files", keep), web.route("*", "/{path:.*}", pass_on)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1"

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="without-urls")
    thread.start()
    runner, url = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield url, got
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_file_goes_along_with_every_call_when_its_upload_tells_no_url(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_media(tmp_path, "spring.png", PNG)
    file = write_image_campaign(tmp_path)
    with without_urls(sandbox) as (url, got):
        campaign.environ["INRO_API_URL"] = url
        assert campaign("send", file, "--yes", "--limit", "2").code == 0
        assert campaign("send", file).code == 0

    assert len(got) == 1
    assert uploads(sandbox) == []
    part = as_part("spring.png", "image/png", PNG)
    assert [by_name(call["parts"])[-2:] for call in messages(sandbox)] == [
        [["image", part], ["message_type", "image"]]
    ] * 4
    assert sandbox.stats()["deliveries"] == {f"username:{person}": 1 for person in PEOPLE}


def test_an_upload_that_the_api_refuses_stops_the_run_before_anything_is_sent(tmp_path: Path) -> None:
    write_media(tmp_path, "spring.png", PNG)
    file = write_image_campaign(tmp_path)
    with serving() as sandbox:
        campaign = pointed_at(sandbox, tmp_path)

        refused = campaign("send", file, "--yes", "--json", environ={"INRO_API_TOKEN": "expired-token"})

        assert refused.code == 4
        assert refused.json["state"] == "stopped"
        assert "the upload of spring.png failed" in refused.json["reason"]
        assert "HTTP 401: The bearer token is missing or wrong" in refused.json["reason"]
        assert refused.json["recipients"]["pending"] == refused.json["recipients"]["planned"] == 7
        assert messages(sandbox) == []
        assert "expired-token" not in refused.err + refused.out

        finished = campaign("send", file, "--json")
        assert finished.code == 0
        assert finished.json["recipients"]["accepted"] == 7
        assert "reason" not in finished.json
        assert [call["status"] for call in uploads(sandbox)] == [401, 201]


def test_a_free_plan_stops_an_upload_by_hand_with_the_words_of_the_api(tmp_path: Path) -> None:
    image = write_media(tmp_path, "spring.png", PNG)
    with serving(plan="free") as sandbox:
        refused = pointed_at(sandbox, tmp_path)("media-files", "upload", image)

        assert refused.code == 4
        assert refused.out == ""
        assert "HTTP 403: The API needs a Pro or Trial plan" in refused.err
        assert TOKEN not in refused.err


@pytest.mark.parametrize(
    ("kind", "name", "beginning", "size", "words"),
    [
        ("image", "huge.png", PNG, 8 * MEGABYTE + 1, "is too large; accepted are at most 8 MB"),
        ("video", "huge.mp4", MP4, 25 * MEGABYTE + 1, "is too large; accepted are at most 25 MB"),
        ("audio", "tune.mp3", b"ID3", 20, "is not an audio file that Instagram takes; accepted are aac, m4a, wav, mp4"),
        ("image", "photo.png", b"GIF89a", 20, "is named .png but holds gif; accepted is what its name says"),
        ("image", "empty.gif", b"", 0, "is empty"),
    ],
    ids=["image", "video", "extension", "content", "empty"],
)
def test_media_that_instagram_would_not_take_are_refused_at_their_place_before_anything_is_sent(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, kind: str, name: str, beginning: bytes, size: int, words: str
) -> None:
    write_sparse(tmp_path, name, beginning, size)
    file = write_campaign(tmp_path, message=f"{{type: {kind}, {kind}: {name}}}")

    refused = campaign("send", file, "--yes")

    assert refused.code == 2
    assert refused.err.startswith(f"{file}:4:31: ")
    assert words in refused.err
    assert sandbox.requests() == []
    assert not Path(campaign.environ["CAMPAIGN_LEDGER"]).exists()


def test_a_file_as_large_as_instagram_takes_is_sent(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    write_sparse(tmp_path, "large.png", PNG, 8 * MEGABYTE)
    file = write_campaign(tmp_path, message="{type: image, image: large.png}")

    assert campaign("send", file, "--yes").code == 0

    assert uploads(sandbox)[0]["parts"][0][1]["size"] == 8 * MEGABYTE
    assert sandbox.stats()["deliveries_total"] == 2


def test_a_text_of_more_than_a_thousand_bytes_is_refused_at_its_place(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, message=f"{{text: '{'é' * 501}'}}")

    refused = campaign("send", file, "--yes")

    assert refused.code == 2
    assert f"{file}:4:17: message.text: the text is 1,002 bytes of UTF-8; accepted are at most 1,000" in refused.err
    assert sandbox.requests() == []


def test_a_file_that_changes_while_it_is_sent_with_each_call_stops_the_sending(tmp_path: Path) -> None:
    picture = tmp_path / "spring.png"
    picture.write_bytes(PNG)
    people = [f"person{number}" for number in range(100)]
    message = "{type: image, image: spring.png, upload: each}"
    file = write_campaign(tmp_path, people, message=message, delivery="{rate: 20/s, chunk_size: 2, workers: 1}")
    with serving() as sandbox:
        running = pointed_at(sandbox, tmp_path).start("send", file, "--yes", "--json")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 2)
        picture.write_bytes(PNG + b"another")
        ended = running.end()

    assert ended.code == 4
    assert "has changed or gone since it was checked" in ended.json["reason"]
    assert ended.json["recipients"]["pending"] > 0
    assert ended.json["recipients"]["unknown"] == 0
