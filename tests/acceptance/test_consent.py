"""Who agrees to a sending, and what is refused before anybody is written to."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import EXECUTABLE, SECONDS, Command
from tests.acceptance.files import write_campaign
from tests.acceptance.received import addresses, nothing_came

IN_CI = {"CI": "true", "CAMPAIGN_LEDGER": None}


def nothing_is_planned(campaign: Command) -> bool:
    runs: list[object] = campaign("runs", "--json").json["runs"]
    return not runs


def test_off_a_terminal_a_new_run_needs_consent(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    refused = campaign("send", write_campaign(tmp_path))

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "campaign: sending to 2 recipients needs consent: add --yes, or --expect 2 to send "
        "only while the plan has that number; nothing was sent\n"
    )
    assert nothing_came(sandbox)
    assert nothing_is_planned(campaign)


@pytest.mark.parametrize("consent", [("--yes",), ("--expect", "2")])
def test_consent_is_yes_or_the_number_of_recipients(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, consent: tuple[str, ...]
) -> None:
    assert campaign("send", write_campaign(tmp_path), *consent).code == 0
    assert addresses(sandbox) == ["ann", "bob"]


@pytest.mark.parametrize("number", ["1", "3"])
def test_a_number_that_is_off_by_one_is_no_consent_whatever_else_is_said(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, number: str
) -> None:
    refused = campaign("send", write_campaign(tmp_path), "--yes", "--expect", number)

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"campaign: the plan has 2 recipients, and --expect says {number}: nothing was sent\n"
    assert nothing_came(sandbox)
    assert nothing_is_planned(campaign)


def test_what_was_refused_once_is_sent_as_if_it_were_the_first_time(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    assert campaign("send", file).code == 2
    write_campaign(tmp_path, ["ann", "bob", "carl"])

    sent = campaign("send", file, "--expect", "3", "--json")

    assert (sent.code, sent.json["run"]) == (0, "spring")
    assert addresses(sandbox) == ["ann", "bob", "carl"]


def test_going_on_with_a_begun_run_asks_nothing(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    canary = campaign("send", file, "--yes", "--limit", "1", "--json")
    wrong = campaign("send", file, "--expect", "1")

    rest = campaign("send", file, "--json")

    assert (canary.code, canary.json["recipients"]["pending"]) == (0, 1)
    assert wrong.code == 2, "a number that is given is enforced, also for a run that has begun"
    assert (rest.code, rest.json["recipients"]["accepted"]) == (0, 2)
    assert addresses(sandbox) == ["ann", "bob"]


def test_in_ci_the_default_ledger_is_refused_since_it_dies_with_the_job(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    refused = campaign("send", write_campaign(tmp_path), "--yes", environ=IN_CI)

    assert (refused.code, refused.out) == (2, "")
    assert re.fullmatch(
        rf"campaign: CI is set, and the default ledger \({re.escape(str(tmp_path))}/\S+/ledger\.db\) would die with "
        r"this job, and the next one would send to everybody again: let CAMPAIGN_LEDGER name a path that lasts, "
        r"or accept it with --ephemeral-ledger; nothing was sent\n",
        refused.err,
    )
    assert nothing_came(sandbox)
    assert campaign("runs", "--json", environ=IN_CI).json == {"runs": []}


def test_in_ci_a_ledger_that_may_die_or_that_is_named_is_taken(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)

    accepted = campaign("send", file, "--yes", "--ephemeral-ledger", environ=IN_CI)
    named = campaign("send", file, "--yes", "--run", "named", environ={"CI": "true"})
    outside = campaign("send", file, "--yes", "--run", "outside", environ={"CI": "false", "CAMPAIGN_LEDGER": None})

    assert (accepted.code, named.code, outside.code) == (0, 0, 0)
    assert sandbox.stats()["deliveries_total"] == 6


def test_more_recipients_than_the_ceiling_of_the_file_are_refused(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_campaign(tmp_path, delivery="{max_recipients: 1}")

    refused = campaign("send", "spring.yaml", "--yes", "--expect", "2")

    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ("spring.yaml:5:28: the audience has 2 recipients, more than max_recipients allows (1)\n")
    assert nothing_came(sandbox)
    assert nothing_is_planned(campaign)


def typed(campaign: Command, file: Path, answer: bytes) -> tuple[int, str]:
    """The exit code of `send` on a terminal where a person answers so, and what the terminal showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [EXECUTABLE, "send", file],
        cwd=campaign.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(campaign.folder), "TERM": "dumb", **campaign.environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, asked = b"", False
    while more := read(ours):
        shown += more
        if not asked and b"Type the number to go ahead: " in shown:
            os.write(ours, answer)
            asked = True
    os.close(ours)
    return process.wait(SECONDS), shown.decode()


def read(terminal: int) -> bytes:
    """What a terminal shows next; nothing when the other side has closed, which Linux calls an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def test_on_a_terminal_the_number_of_recipients_is_consent(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    code, shown = typed(campaign, write_campaign(tmp_path), b" 2 \n")

    assert code == 0
    assert "This sends to 2 recipients. Type the number to go ahead: " in shown
    assert addresses(sandbox) == ["ann", "bob"]


@pytest.mark.parametrize("answer", [b"y\n", b"\x04"])
def test_on_a_terminal_anything_else_is_none(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, answer: bytes
) -> None:
    code, shown = typed(campaign, write_campaign(tmp_path), answer)

    assert code == 2
    assert "campaign: that is not 2: nothing was sent" in shown
    assert nothing_came(sandbox)
    assert nothing_is_planned(campaign)
