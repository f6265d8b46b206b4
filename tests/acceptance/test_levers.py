"""Levers on a run from another terminal."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sender.sandbox import Faults, Sandbox
from tests.acceptance.command import Command, Ended, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = [f"person{number}" for number in range(300)]


class Sending:
    """A slow run under way: ten calls a second of two recipients each."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.campaign = pointed_at(sandbox, folder)
        self.file = write_campaign(folder, PEOPLE, delivery="{rate: 10/s, chunk_size: 2, workers: 2}")
        self.running = self.start()

    def start(self, *more: str) -> Running:
        already = self.accepted
        running = self.campaign.start("send", self.file, "--yes", "--json", *more)
        if not already:
            running.wait_for(lambda: self.accepted >= 2)
        return running

    @property
    def accepted(self) -> int:
        """Calls that the API took on."""
        return int(self.sandbox.stats()["messages"]["accepted"])


@pytest.fixture
def sending(tmp_path: Path) -> Iterator[Sending]:
    with serving() as sandbox:
        begun = Sending(tmp_path, sandbox)
        yield begun
        if begun.running.process.poll() is None:
            begun.running.send_signal(signal.SIGKILL)
        begun.running.end()


def test_pause_holds_a_running_sender_survives_its_kill_and_resume_lets_it_finish(sending: Sending) -> None:
    campaign = sending.campaign
    assert campaign("pause", "spring").out == "spring is paused; `campaign resume` lifts that.\n"
    held_at = sending.accepted
    assert campaign("status", "--json").json["state"] == "paused"
    sending.running.send_signal(signal.SIGKILL)
    sending.running.end()

    sending.running = sending.start("--rate", "500/s")
    sending.running.wait_for(lambda: "run.started" in sending.running.err)
    assert campaign("status", "--json").json["state"] == "paused"
    assert sending.accepted <= held_at + 1, "one call may have been under way when it was paused"

    assert campaign("resume", "spring").out == "spring is no longer paused.\n"
    ended = sending.running.end()
    summary = ended.json["recipients"]
    assert summary["accepted"] + summary["unknown"] == len(PEOPLE)
    assert sending.sandbox.stats()["most_to_one"] == 1


def test_cancel_in_the_middle_leaves_a_summary_that_reconciles(sending: Sending) -> None:
    assert "spring is cancelled" in sending.campaign("cancel", "spring").out
    ended = sending.running.end()

    assert ended.code == 3
    summary = ended.json
    assert summary["state"] == "cancelled"
    assert summary["recipients"]["pending"] == 0
    assert summary["recipients"]["accepted"] == sending.sandbox.stats()["deliveries_total"]
    assert summary["recipients"]["cancelled"] == len(PEOPLE) - summary["recipients"]["accepted"] > 0
    assert "Nothing is left" in sending.campaign("send", sending.file, "--yes").err


def test_rate_changes_a_running_sender(sending: Sending) -> None:
    assert sending.campaign("rate", "spring", "1000/s").out == "spring has another rate.\n"
    assert sending.running.end().json["recipients"]["accepted"] == len(PEOPLE)


def stop_outside_a_commit(sending: Sending) -> Ended:
    """Stops the sender and pulls a lever; stopped in the middle of a commit, it would keep the ledger locked."""
    ledger = apsw.Connection(sending.campaign.environ["CAMPAIGN_LEDGER"])
    while True:
        sending.running.send_signal(signal.SIGSTOP)
        try:
            ledger.execute("begin immediate; rollback")
            break
        except apsw.BusyError:
            sending.running.send_signal(signal.SIGCONT)
            time.sleep(0.01)
    ledger.close()
    return sending.campaign("pause", "spring")


def test_a_stopped_sender_does_not_look_and_the_operator_is_told(sending: Sending) -> None:
    told = stop_outside_a_commit(sending)
    status = sending.campaign("status")
    sending.running.send_signal(signal.SIGCONT)
    assert "has not looked yet (is it stopped?)" in told.out
    assert f"process {sending.running.process.pid} on " in status.out
    assert "stopped; `kill -CONT` wakes it" in status.out
    sending.running.wait_for(lambda: "lever.obeyed" in sending.running.err)


def unknown_run(campaign: Command, sandbox: Sandbox, folder: Path) -> Path:
    """A finished run of three chunks of ten, of which the second is unknown though it was accepted."""
    sandbox.faults = Faults(script=("ok", "500-after", "ok"))
    file = write_campaign(folder, PEOPLE[:30], delivery="{rate: 1000/s, chunk_size: 10, workers: 1}")
    ended = campaign("send", file, "--yes", "--json")
    assert ended.code == 3
    assert ended.json["recipients"]["unknown"] == 10
    return file


def test_resolve_inspect_shows_what_the_api_created_around_an_unknown_chunk(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    unknown_run(campaign, sandbox, tmp_path)
    inspected = campaign("resolve", "spring", "--inspect", "--json").json["unknown"]
    assert [(chunk["chunk"], chunk["recipients"]) for chunk in inspected] == [(2, 10)]
    assert [task["accepted_count"] for task in inspected[0]["tasks"]] == [10]
    assert campaign("status", "--json").json["recipients"]["unknown"] == 10


def test_resolve_assume_sent_and_resend_decide_about_unknown_recipients_and_send_nothing(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = unknown_run(campaign, sandbox, tmp_path)
    other = campaign("resolve", "spring", "--assume-sent", "--chunk", "1")
    assert (other.code, other.err) == (2, "campaign: chunk 1 of spring is not unknown; unknown are: 2\n")
    assert campaign("resolve", "spring", "--resend").code == 0
    assert sandbox.stats()["deliveries_total"] == 30
    assert campaign("status", "--json").json["recipients"]["pending"] == 10
    sandbox.faults = Faults(script=("500-before",))
    assert campaign("send", file).code == 3
    assert campaign("resolve", "spring", "--assume-sent").out == "spring has 10 recipients assumed sent.\n"
    ended = campaign("send", file, "--json")
    assert ended.code == 0
    assert ended.json["recipients"]["assumed_sent"] == 10


def test_report_follow_tells_what_became_of_the_accepted_calls(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    unknown_run(campaign, sandbox, tmp_path)
    told = campaign("report", "spring", "--follow").out.splitlines()[-1]
    assert told.startswith("  batch tasks: ")
    assert sum(int(number) for number in re.findall(r"\d+", told)) == 2  # completed or, a moment before, still pending


def test_the_unknown_of_a_report_are_an_audience_and_sending_it_is_called_a_resend(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    unknown_run(campaign, sandbox, tmp_path)
    report = campaign("report", "spring", "--format", "csv", "--state", "unknown,rejected")
    assert "sending them this file is a resend" in report.err
    again = tmp_path / "again"
    again.mkdir()
    file = write_campaign(again, report.out, name="again")
    assert campaign("plan", file, "--json").json["recipients"]["planned"] == 10
