"""`status --watch` in another terminal than the sender's."""

import re
import signal
from pathlib import Path

import orjson

from sender.sandbox import Faults
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.terminal import CONTROL_C, Terminal

PEOPLE = [f"person{number}" for number in range(30)]
ENTER_SCREEN, LEAVE_SCREEN = "\x1b[?1049h", "\x1b[?1049l"
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


def test_a_run_is_watched_from_another_terminal_to_its_end(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 100/s, chunk_size: 2, workers: 1}")
    with serving() as sandbox:
        sandbox.faults = Faults(script=("ok", "500-before", "ok", "429"), retry_after_seconds=600)
        campaign = pointed_at(sandbox, tmp_path)
        sending = campaign.start("send", file, "--yes", "--json")
        sending.wait_for(lambda: "account.paused" in sending.err)

        with Terminal(campaign, "status", "--watch", environ={"COLUMNS": "40"}) as terminal:
            terminal.read_until(r"asked 100/s")
            terminal.read_until(r"the account waits until")
            terminal.read_until(r"unknown \(chunk 2")
            terminal.type(CONTROL_C)
            assert terminal.end() == 130
        assert terminal.text.endswith("The watching has ended; spring goes on.\r\n")
        assert terminal.shown.rfind(LEAVE_SCREEN) > terminal.shown.rfind(ENTER_SCREEN) >= 0
        assert terminal.shown.rfind(SHOW_CURSOR) > terminal.shown.rfind(HIDE_CURSOR) >= 0
        assert "Traceback" not in terminal.text

        watching = campaign.start("status", "spring", "--watch", "--json")
        watching.wait_for(lambda: "\n" in watching.out)
        sending.send_signal(signal.SIGINT)
        assert sending.end().code == 130
        watched = watching.end()

    documents = [orjson.loads(line) for line in watched.out.splitlines()]
    assert watched.code == 0
    assert documents[0]["state"] == "running"
    assert documents[0]["live"]["sender"]["pid"] == sending.process.pid
    assert documents[0]["live"]["pause"]["reason"].startswith("HTTP 429")
    assert documents[-1]["state"] == "interrupted"
    assert documents[-1]["live"]["sender"] is documents[-1]["live"]["pause"] is None
    assert documents[-1]["recipients"]["unknown"] == 2

    # What nobody sends is shown once: a line where there is no terminal.
    ended = campaign("status", "--watch")
    assert ended.code == 0
    assert re.fullmatch(
        r"[\d: -]+ spring interrupted, 6 of 30 recipients \(20 %\), accepted 4, unknown 2, .*\n", ended.out
    )
