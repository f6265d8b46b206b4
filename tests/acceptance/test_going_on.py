"""A run that has ended, or was cut off, and is started again."""

import signal
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = [f"person{number}" for number in range(200)]


def test_the_same_file_again_sends_nothing(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE)
    assert campaign("send", file, "--yes").code == 0

    again = campaign("send", file, "--json")

    assert again.code == 0
    assert again.json["requests"]["sent"] == 1
    assert sandbox.stats()["messages"]["accepted"] == 1
    assert "Nothing is left to send" in again.err


def test_one_row_more_is_refused_and_only_new_sends_exactly_that_one(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE)
    assert campaign("send", file, "--yes").code == 0
    write_campaign(tmp_path, [*PEOPLE, "late_comer"])

    refused = campaign("send", file, "--yes")
    assert refused.code == 6
    assert "the audience has changed since it began: 200 rows then, 201 rows now" in refused.err
    assert "--only-new" in refused.err

    extended = campaign("send", file, "--yes", "--only-new", "--json")
    assert extended.code == 0
    assert extended.json["run"] == "spring+2"
    assert extended.json["audience"]["already_planned"] == 200
    assert extended.json["recipients"]["accepted"] == 1
    assert sandbox.requests()[-1]["json"]["contact_username"] == "late_comer"
    assert sandbox.stats()["most_to_one"] == 1

    nobody = campaign("send", file, "--yes", "--only-new")
    assert nobody.code == 0
    assert "Nobody is new" in nobody.err
    assert sandbox.stats()["deliveries_total"] == 201


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_lets_what_is_in_flight_finish_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 10, workers: 2}")
    with serving(faults=None) as sandbox:
        sandbox.faults = sandbox.faults.parse({"latency": "100ms"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes", "--json")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 4)
        running.send_signal(number)
        ended = running.end()

        assert ended.code == code
        summary = ended.json
        assert summary["state"] == "interrupted"
        assert summary["recipients"]["unknown"] == summary["recipients"]["sending"] == 0
        assert summary["recipients"]["accepted"] == sandbox.stats()["deliveries_total"]
        assert summary["recipients"]["pending"] == 200 - summary["recipients"]["accepted"] > 0

        finished = campaign("send", file, "--json")
        assert finished.code == 0
        assert finished.json["recipients"]["accepted"] == 200
        assert sandbox.stats()["deliveries_total"] == 200
        assert sandbox.stats()["most_to_one"] == 1


def test_a_second_signal_stops_at_once_and_what_was_in_flight_is_unknown(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 50, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"rate-hang": "1"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes", "--json")
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 100)
        running.send_signal(signal.SIGINT)
        running.wait_for(lambda: "run.stopping" in running.err)
        running.send_signal(signal.SIGINT)
        ended = running.end()

        assert ended.code == 130
        assert ended.json["recipients"]["unknown"] == 100
        assert ended.json["recipients"]["pending"] == 100


def test_what_was_being_sent_when_the_process_was_killed_is_unknown_and_never_resent(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 50, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"rate-hang": "1"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 100)
        running.send_signal(signal.SIGKILL)
        running.end()
        dead = campaign("status", "--json")
        assert dead.json["state"] == "interrupted"
        assert dead.json["recipients"]["sending"] == 100

        sandbox.faults = sandbox.faults.parse({})
        finished = campaign("send", file, "--json")

        assert finished.code == 3
        assert finished.json["recipients"]["unknown"] == 100
        assert finished.json["recipients"]["accepted"] == 100
        assert sandbox.stats()["deliveries_total"] == 200
        assert sandbox.stats()["most_to_one"] == 1


def test_a_second_sender_is_told_who_holds_the_run(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE)
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"rate-hang": "1"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 200)

        second = campaign("send", file, "--yes")

        running.send_signal(signal.SIGKILL)
        running.end()
        assert second.code == 5
        assert f"process {running.process.pid} on " in second.err
        assert sandbox.stats()["messages"]["accepted"] == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("username,email\nmaria,\nmaria,maria@example.com\n", "username,email\n,maria@example.com\nnew_one,\n"),
        ("username,email\nmaria,\n", "username,email\n,maria@example.com\nmaria,maria@example.com\nnew_one,\n"),
    ],
    ids=["a row of the earlier audience", "a later row of the new audience"],
)
def test_only_new_knows_a_person_by_whatever_any_row_ties_to_them(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, before: str, after: str
) -> None:
    assert campaign("send", write_campaign(tmp_path, before), "--yes").code == 0

    extended = campaign("send", write_campaign(tmp_path, after), "--yes", "--only-new", "--json")

    assert extended.code == 0
    assert extended.json["recipients"]["planned"] == extended.json["recipients"]["accepted"] == 1
    assert sorted(sandbox.stats()["deliveries"]) == ["username:maria", "username:new_one"]


def test_an_unfinished_only_new_run_goes_on_and_says_that_others_are_new_since(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    slow = "{rate: 1000/s, chunk_size: 1, workers: 1}"
    assert campaign("send", write_campaign(tmp_path, ["ann"], delivery=slow), "--yes").code == 0
    two_more = write_campaign(tmp_path, ["ann", "bob", "cleo"], delivery=slow)
    assert campaign("send", two_more, "--yes", "--only-new", "--limit", "1").code == 0
    file = write_campaign(tmp_path, ["ann", "bob", "cleo", "dan"], delivery=slow)

    going_on = campaign("send", file, "--yes", "--only-new")
    assert "spring+2 goes on with its plan; run this once more for whoever is new since it was made." in going_on.err
    assert campaign("send", file, "--yes", "--only-new").code == 0
    assert sandbox.stats()["deliveries_total"] == 4
    assert sandbox.stats()["most_to_one"] == 1


def test_levers_on_a_run_whose_sender_died_decide_about_what_was_in_flight(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 50, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"rate-hang": "1"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 100)
        running.send_signal(signal.SIGKILL)
        running.end()

        assert "100 recipients assumed sent" in campaign("resolve", "spring", "--assume-sent").out
        assert "100 recipients get nothing" in campaign("cancel", "spring").out
        ended = campaign("status", "--json").json
        assert ended["state"] == "cancelled"
        assert ended["recipients"]["assumed_sent"] == ended["recipients"]["cancelled"] == 100
        assert campaign("send", file, "--yes", "--json").json["state"] == "cancelled"
