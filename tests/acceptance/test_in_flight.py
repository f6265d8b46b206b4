"""Who opts out, or is cancelled, while their call is under way, and the call is not processed."""

from pathlib import Path
from typing import Any

from sender.sandbox import Sandbox
from tests.acceptance.command import Command, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = [f"person{number}" for number in range(4)]
SLOW = {"latency": "3s", "retry_after_seconds": 0}


def begun(folder: Path, sandbox: Sandbox, faults: dict[str, Any]) -> tuple[Command, Path, Running]:
    """A send whose first call has arrived, and takes three seconds; the exclusion list is empty so far."""
    sandbox.faults = sandbox.faults.parse(faults)
    (folder / "optouts.csv").write_text("username\n", "utf-8")
    file = write_campaign(folder, PEOPLE, audience="  exclude: optouts.csv\n")
    campaign = pointed_at(sandbox, folder)
    running = campaign.start("send", file, "--yes", "--json")
    running.wait_for(lambda: "chunk.sending" in running.err)
    return campaign, file, running


def opt_out(folder: Path, name: str) -> None:
    (folder / "optouts.csv").write_text(f"username\n{name}\n", "utf-8")


def test_who_opts_out_while_their_call_is_answered_with_429_gets_nothing(tmp_path: Path) -> None:
    with serving() as sandbox:
        _, _, running = begun(tmp_path, sandbox, {**SLOW, "script": "429"})
        opt_out(tmp_path, "person1")
        ended = running.end()
        deliveries = sandbox.stats()["deliveries"]
    assert ended.json["recipients"]["cancelled"] == 1
    assert "username:person1" not in deliveries


def test_who_opted_out_after_a_refusal_gets_nothing_when_the_refused_are_tried_again(tmp_path: Path) -> None:
    with serving(poison=("person1",)) as sandbox:
        campaign, file, running = begun(tmp_path, sandbox, {})
        assert running.end().json["recipients"]["rejected"] == 1
        opt_out(tmp_path, "person1")
        campaign("send", file, "--yes")
        assert campaign("retry", "spring").code == 0
        ended = campaign("send", file, "--yes", "--json")
    assert ended.json["recipients"]["rejected"] == 0, "the poisoned call went out again"
    assert ended.json["recipients"]["cancelled"] == 1


def test_who_is_under_way_when_the_run_is_cancelled_is_cancelled_when_the_call_is_not_processed(tmp_path: Path) -> None:
    with serving() as sandbox:
        campaign, file, running = begun(tmp_path, sandbox, {**SLOW, "script": "429"})
        assert campaign("cancel", "spring").code == 0
        summary = running.end().json
        sandbox.faults = sandbox.faults.parse({})
        campaign("send", file, "--yes")
        delivered = sandbox.stats()["deliveries_total"]
    assert delivered == 0
    assert summary["recipients"]["cancelled"] == len(PEOPLE)
    assert summary["state"] == "cancelled"
