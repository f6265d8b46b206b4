"""Whoever `notify` names is told how a `send` ended, and nothing of the run depends on it."""

import signal
from pathlib import Path

import orjson

from sender.sandbox import Faults
from tests.acceptance.command import TOKEN
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.servers import answering, reply

PEOPLE = [f"person{number}" for number in range(6)]
SECRET = "only-the-reader-knows"


def test_every_end_of_a_send_is_told_and_a_send_with_nothing_left_is_not(tmp_path: Path) -> None:
    answers = [reply("204 No Content"), reply("404 Not Found")]
    with serving() as sandbox, answering(lambda _: answers.pop(0)) as hook:
        more = f"notify: {{url: '{hook.url}?key=path-secret'}}\n"
        file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 100/s, chunk_size: 2, workers: 1}", more=more)
        sandbox.faults = Faults(script=("ok", "429"), retry_after_seconds=3)
        campaign = pointed_at(sandbox, tmp_path)
        campaign.environ["CAMPAIGN_NOTIFY_SECRET"] = SECRET

        sending = campaign.start("send", file, "--yes", "--json")
        sending.wait_for(lambda: "account.paused" in sending.err)
        sending.send_signal(signal.SIGINT)
        interrupted = sending.end()
        finished = campaign("send", file, "--json")
        nothing_left = campaign("send", file)

    assert (interrupted.code, finished.code, nothing_left.code) == (130, 0, 0)
    bodies = [request.partition(b"\r\n\r\n")[2] for request in hook.received]
    assert [orjson.loads(body) for body in bodies] == [interrupted.json, finished.json]
    assert interrupted.json["state"] == "interrupted"
    assert all(b"\r\nX-Campaign-Signature: t=" in request for request in hook.received)
    assert all(TOKEN.encode() not in request and b"person" not in request for request in hook.received)
    failed = [event for event in finished.events if event["event"] == "notify.failed"]
    assert [(event["level"], event["reason"]) for event in failed] == [("warning", "HTTP 404")]
    for ended in (interrupted, finished, nothing_left):
        assert SECRET not in ended.out + ended.err
        assert "path-secret" not in ended.out + ended.err


def test_check_says_whether_the_news_are_signed(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, more="notify: {url: https://hooks.example.com/x}\n")
    with serving() as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        assert "hooks.example.com is told how a run ended; not signed" in campaign("check", file).out
