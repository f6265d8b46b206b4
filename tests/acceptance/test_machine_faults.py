"""Faults of the machine: nothing more is sent than the ledger can remember, and the operator is told."""

import re
import resource
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import EXECUTABLE, SECONDS, TOKEN, Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = [f"person{number}" for number in range(300)]
SLOW = "{rate: 20/s, chunk_size: 2, workers: 2}"


def limit_files(size: int) -> None:
    """Lets no file of this process grow beyond that size, as on a disk that is full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_a_ledger_that_is_gone_while_it_is_used_stops_the_sending(tmp_path: Path, fate: str) -> None:
    file, ledger = write_campaign(tmp_path, PEOPLE, delivery=SLOW), tmp_path / "state" / "ledger.db"
    with serving() as sandbox:
        running = pointed_at(sandbox, tmp_path).start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 4)
        ledger.rename(tmp_path / "elsewhere.db")
        if fate == "replaced":
            ledger.write_bytes(b"")
        at_the_time = sandbox.stats()["messages"]["accepted"]
        ended = running.end()
        afterwards = sandbox.stats()["messages"]["accepted"]

    assert ended.code == 7
    assert str(ledger) in ended.err
    assert ("has vanished" if fate == "removed" else "was replaced") in ended.err
    assert "Traceback" not in ended.err
    assert afterwards <= at_the_time + 2, "those whose claim was on the disk before"


def test_a_disk_that_fills_up_stops_the_sending_and_the_same_command_goes_on(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 2, workers: 2}")
    assert campaign("send", file, "--yes", "--limit", "2").code == 0
    ledger = tmp_path / "state" / "ledger.db"
    room = ledger.stat().st_size + 20_000

    full = subprocess.run(
        [EXECUTABLE, "send", file],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **campaign.environ},
        preexec_fn=lambda: limit_files(room),
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    words = full.stderr.decode()
    assert full.returncode == 7, words
    assert f"campaign: the ledger {ledger}: " in words
    assert "Traceback" not in words
    sent = sandbox.stats()["deliveries_total"]
    assert sent < len(PEOPLE)

    finished = campaign("send", file, "--json")
    assert finished.code in (0, 3)
    summary = finished.json["recipients"]
    assert summary["accepted"] + summary["unknown"] == len(PEOPLE)
    assert sandbox.stats()["most_to_one"] == 1


def test_a_damaged_ledger_is_refused_before_anything_is_sent(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 2, workers: 2}")
    assert campaign("send", file, "--yes", "--limit", "2").code == 0
    ledger = tmp_path / "state" / "ledger.db"
    content = bytearray(ledger.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    ledger.write_bytes(content)

    refused = campaign("send", file)

    assert refused.code == 7
    assert "it is damaged, or no ledger: restore a backup" in refused.err
    assert "Traceback" not in refused.err
    assert sandbox.stats()["deliveries_total"] == 2


def test_the_token_is_in_no_file_that_a_failing_run_leaves_behind(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=SLOW)
    with serving() as sandbox:
        running = pointed_at(sandbox, tmp_path).start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 1)
        running.send_signal(signal.SIGKILL)
        running.end()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_clock_that_went_back_is_told_before_anything_more_is_sent(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, ["ann", "bob"], delivery="{rate: 1000/s, chunk_size: 1, workers: 1}")
    assert campaign("send", file, "--yes", "--limit", "1").code == 0
    with sqlite3.connect(tmp_path / "state" / "ledger.db") as ledger:
        ledger.execute("update attempt set sent_at = sent_at + 7200")
    ledger.close()

    refused = campaign("send", file)

    assert refused.code == 7
    assert re.search(r"this machine's clock is 7,(1\d\d|200) s behind the last call in the ledger: set it", refused.err)
    assert sandbox.stats()["deliveries_total"] == 1
