"""Calls that the API refuses: one bad recipient never costs the others, a bad message never costs the audience."""

import csv
import io
from pathlib import Path

from sender.sandbox import Faults
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign


def test_three_bad_names_among_a_thousand_cost_only_themselves(tmp_path: Path) -> None:
    people = [f"person{number}" for number in range(1000)]
    bad = [people[3], people[500], people[777]]
    file = write_campaign(tmp_path, people)
    with serving(poison=bad) as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        ended = campaign("send", file, "--yes", "--json")
        stats = sandbox.stats()

    assert ended.code == 3
    assert ended.json["recipients"]["accepted"] == 997
    assert ended.json["recipients"]["rejected"] == 3
    assert ended.json["requests"]["sent"] <= 70
    assert stats["deliveries_total"] == 997
    assert stats["most_to_one"] == 1
    report = campaign("report", "--format", "csv", "--state", "rejected").out
    rejected = {row["username"]: row["reason"] for row in csv.DictReader(io.StringIO(report))}
    assert rejected == dict.fromkeys(bad, "HTTP 422: The message cannot be sent to these contacts")


def test_a_refusal_that_shows_acceptance_is_unknown_and_never_halved(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, [f"person{number}" for number in range(800)])
    with serving(faults=Faults(script=("422-partial",))) as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        ended = campaign("send", file, "--yes", "--json")
        stats = sandbox.stats()

    assert ended.code == 3
    assert ended.json["recipients"]["unknown"] == 800
    assert ended.json["requests"]["sent"] == 1
    assert stats["deliveries_total"] == 400


def test_a_message_that_the_api_refuses_for_everybody_stops_after_three_single_recipients(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, [f"person{number}" for number in range(500)], delivery="{rate: 1000/s, workers: 1}")
    with serving(faults=Faults(script=("422",) * 50)) as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        ended = campaign("send", file, "--yes", "--json")
        assert ended.code == 4
        assert "the API refuses the message itself" in ended.json["reason"]
        assert ended.json["requests"]["sent"] == 4
        assert ended.json["recipients"]["rejected"] == 3
        assert ended.json["recipients"]["pending"] == 497
        assert sandbox.stats()["deliveries_total"] == 0


def test_too_many_rejected_recipients_stop_the_run_for_a_person_to_look(tmp_path: Path) -> None:
    people = [f"person{number}" for number in range(60)]
    file = write_campaign(
        tmp_path, people, delivery="{rate: 1000/s, chunk_size: 1, workers: 1, max_rejected: 5}", name="wary"
    )
    with serving(poison=people[1::2]) as sandbox:
        ended = pointed_at(sandbox, tmp_path)("send", file, "--yes", "--json")

    assert ended.code == 4
    assert "6 of 12 recipients were rejected, more than delivery.max_rejected allows" in ended.json["reason"]
    assert ended.json["recipients"]["pending"] == 48


def test_rejected_recipients_are_sent_to_again_after_retry(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, ["ann", "bob", "cleo", "dan"])
    with serving(faults=Faults(script=("ok",))) as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        sandbox.faults = Faults(script=("ok", "422"))
        write_campaign(tmp_path, ["ann", "bob", "cleo", "dan"], delivery="{rate: 1000/s, chunk_size: 1, workers: 1}")
        assert campaign("send", file, "--yes").code == 3

        retried = campaign("retry", "spring")
        assert retried.out == "spring has 1 recipient pending again; `campaign send` goes on with them.\n"
        assert campaign("status", "--json").json["recipients"]["pending"] == 1
        finished = campaign("send", file, "--json")

        assert finished.code == 0
        assert finished.json["recipients"]["accepted"] == 4
        assert sandbox.stats()["most_to_one"] == 1
