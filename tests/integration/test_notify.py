"""The news of a run's end, posted to a real server that fails as it is told to."""

import asyncio
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import SecretStr

from campaigns.loading import load_campaign
from campaigns.model import Campaign
from sender import notify
from sender.notify import NotTold, deliver, payload, signature, telling
from sender.outcome import RunState
from sender.report import Report
from sender.settings import read_settings, sandbox_settings
from sender.signals import Signals
from tests.acceptance.files import write_campaign
from tests.unit.test_watching import report

DOCS = Path(__file__).parents[2] / "docs"
SECRET = SecretStr("a secret that nobody guesses")


@dataclass
class Hook:
    """A server that answers with these statuses, then 204; 0 never answers."""

    statuses: list[int] = field(default_factory=list)
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        status = self.statuses.pop(0) if self.statuses else 204
        if not status:
            await asyncio.sleep(60)
        return web.Response(status=status, headers={"Location": "/elsewhere"} if 300 <= status < 400 else {})


@asynccontextmanager
async def hook(*statuses: int) -> AsyncIterator[Hook]:
    served = Hook(list(statuses))
    app = web.Application()
    app.router.add_post("/{path:.*}", served.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/in/path-secret"
    try:
        yield served
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "WAITS_SECONDS", (0.001, 0.001))


def documented() -> Callable[..., bool]:
    """The function that docs/notify.md gives to readers."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "notify.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 – the document's own example
    verify: Callable[..., bool] = names["is_genuine"]
    return verify


async def test_it_is_tried_three_times_and_each_is_genuine_to_a_reader_of_the_document() -> None:
    is_genuine = documented()
    async with hook(500, 503) as served:
        await deliver(served.url, b'{"run": "spring"}', SECRET)

    assert served.bodies == [b'{"run": "spring"}'] * 3
    assert len({headers["X-Campaign-Delivery"] for headers in served.headers}) == 1
    for headers in served.headers:
        assert is_genuine(SECRET.get_secret_value(), headers["X-Campaign-Signature"], served.bodies[0])
        assert headers["Content-Type"] == "application/json"
        assert not {"Authorization", "Cookie"} & set(headers)


def test_a_reader_of_the_document_takes_nothing_else_for_genuine() -> None:
    is_genuine, body, secret = documented(), b"{}", SECRET.get_secret_value()
    header = signature(SECRET, int(time.time()), body)

    assert is_genuine(secret, header, body)
    assert not is_genuine("another secret", header, body)
    assert not is_genuine(secret, header, b"{ }")
    assert not is_genuine(secret, signature(SECRET, int(time.time()) - 400, body), body)
    for forged in ("", "t=,v1=", "v1=abc", "t=²,v1=é", header.replace("v1", "v0")):
        assert not is_genuine(secret, forged, body)


async def test_without_a_secret_it_is_not_signed() -> None:
    async with hook() as served:
        await deliver(served.url, b"{}", None)
    assert "X-Campaign-Signature" not in served.headers[0]


@pytest.mark.parametrize(
    ("statuses", "tries", "reason"),
    [
        ([500] * 3, 3, "HTTP 500"),
        ([429, 408, 425], 3, "HTTP 425"),
        ([400], 1, "HTTP 400"),
        ([307], 1, "HTTP 307"),
        ([0] * 3, 3, "no reply within 0.05 s"),
    ],
    ids=["ill", "busy", "refused", "redirected", "hanging"],
)
async def test_what_fails_is_tried_again_where_that_may_help(
    monkeypatch: pytest.MonkeyPatch, statuses: list[int], tries: int, reason: str
) -> None:
    if not statuses[0]:
        monkeypatch.setattr(notify, "TIMEOUT_SECONDS", 0.05)
    async with hook(*statuses) as served:
        with pytest.raises(NotTold, match=re.escape(reason)):
            await deliver(served.url, b"{}", SECRET)
    # What hangs up before it was read is no request to the server.
    assert len(served.bodies) == tries or not statuses[0]


async def test_a_closed_port_is_told_without_the_url() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(NotTold, match="no connection: ") as failed:
        await deliver(f"http://127.0.0.1:{port}/in/path-secret", b"{}", SECRET)
    assert "path-secret" not in str(failed.value)


def test_the_summary_is_that_of_send_without_the_words_of_the_api() -> None:
    stopped = replace(report(RunState.STOPPED, accepted=3), reason="It says: HTTP 400: @maria is no contact\nmore")
    assert orjson.loads(payload(stopped)) == {**stopped.as_json(), "reason": "It says: HTTP 400"}
    assert orjson.loads(payload(report())) == report().as_json()


class Notices:
    """A view that keeps what a person is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def rows(self, count: int) -> None: ...
    def begun(self, report: Report) -> None: ...
    def settled(self, recipients: int, outcome: object) -> None: ...
    def paused(self, seconds: float, reason: str) -> None: ...
    def notice(self, text: str) -> None:
        self.told.append(text)


def campaign_for(folder: Path, url: str) -> Campaign:
    return load_campaign(write_campaign(folder, more=f"notify: {{url: '{url}'}}\n"), {})


async def test_a_failure_is_a_warning_and_nothing_else(tmp_path: Path) -> None:
    settings, view = read_settings({"CAMPAIGN_NOTIFY_SECRET": "s"}), Notices()
    async with hook(400) as served, telling(campaign_for(tmp_path, served.url), settings, Signals(), view) as on_end:
        on_end(report(RunState.RUNNING))
        on_end(report(RunState.COMPLETED))

    assert [orjson.loads(body)["state"] for body in served.bodies] == ["completed"]
    assert view.told == ["127.0.0.1 was not told how the run ended (HTTP 400); nothing else depends on that."]


async def test_the_last_report_is_told_even_when_an_error_ends_the_run(tmp_path: Path) -> None:
    settings, view = read_settings({}), Notices()

    async def fail(url: str) -> None:
        async with telling(campaign_for(tmp_path, url), settings, Signals(), view) as on_end:
            on_end(report(RunState.STOPPED))
            raise ZeroDivisionError

    async with hook() as served:
        with pytest.raises(ZeroDivisionError):
            await fail(served.url)
        async with telling(campaign_for(tmp_path, served.url), settings, Signals(), view):
            pass  # a `send` that found nothing left
    assert [orjson.loads(body)["state"] for body in served.bodies] == ["stopped"]
    assert view.told == []


async def test_a_signal_gives_up_the_telling_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PATIENCE_SECONDS", 0.01)
    view = Notices()
    async with hook(0) as served:
        with Signals() as signals:
            async with telling(campaign_for(tmp_path, served.url), read_settings({}), signals, view) as on_end:
                on_end(report(RunState.COMPLETED))
                asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGINT)
        assert signals.received is None
    assert view.told == [
        "Telling 127.0.0.1 how it ended; ^C gives that up.",
        "127.0.0.1 was not told how the run ended (given up); nothing else depends on that.",
    ]


async def test_a_rehearsal_tells_nobody(tmp_path: Path) -> None:
    settings, view = sandbox_settings({}, api_url="http://127.0.0.1", token="sandbox"), Notices()
    async with hook() as served, telling(campaign_for(tmp_path, served.url), settings, Signals(), view) as on_end:
        on_end(report(RunState.COMPLETED))
    assert served.bodies == []
    assert view.told == ["A rehearsal tells nobody; the real thing tells 127.0.0.1."]


@pytest.mark.parametrize("url", ["http://hooks.example.com/x", "http://10.0.0.1/x", "http://localhost.evil.example/x"])
def test_plain_http_to_another_machine_is_refused_with_its_place(tmp_path: Path, url: str) -> None:
    with pytest.raises(Exception, match=r"spring.yaml:6:15: notify.url: .* is plain http"):
        campaign_for(tmp_path, url)


def test_the_secret_comes_from_a_variable_or_a_file_and_prints_as_stars(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    found = read_settings({"CAMPAIGN_NOTIFY_SECRET_FILE": str(tmp_path / "secret")})
    assert found.notify_secret
    assert found.notify_secret.get_secret_value() == "from a file"
    assert "from a file" not in repr(found)
    with pytest.raises(Exception, match="the file that CAMPAIGN_NOTIFY_SECRET_FILE names can't be read"):
        read_settings({"CAMPAIGN_NOTIFY_SECRET_FILE": str(tmp_path / "none")})
