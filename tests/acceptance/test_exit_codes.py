"""Every exit code of the documented table, by the shortest way to it. 5, 130 and 143 are in test_going_on.py.

1 is a bug: no test knows how to get it.
"""

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import EXECUTABLE, SECONDS, Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.received import nothing_came


def test_0_when_everybody_was_accepted(campaign: Command, tmp_path: Path) -> None:
    assert campaign("send", write_campaign(tmp_path), "--yes").code == 0


USAGE = {
    "an unknown command": (["sned"], "No such command 'sned'"),
    "an unknown flag": (["send", "spring.yaml", "--fast"], "No such option"),
    "no file": (["send"], "Missing argument 'FILE'"),
    "a limit of nobody": (["send", "spring.yaml", "--limit", "0"], "0 is not in the range x>=1"),
    "a number in words": (["send", "spring.yaml", "--expect", "many"], "'many' is not a valid integer range"),
    "a rate in words": (
        ["send", "spring.yaml", "--rate", "fast"],
        "campaign: --rate: 'fast' is not a rate; accepted are 2/s, 120/min, 500/h, 300/5min",
    ),
    "a run's name that leads out of the folder": (
        ["send", "spring.yaml", "--yes", "--run", "../spring"],
        "campaign: --run is '../spring': expected letters, digits and . _ - @ : +, at most 100",
    ),
    "a contact that is none": (
        ["test", "spring.yaml", "--to", "a b"],
        "campaign: --to: found the username 'a b'; accepted are 1 to 30 of a-z, 0-9, '.' and '_'",
    ),
    "a state that does not exist": (["report", "--format", "csv", "--state", "lost"], "'lost' is no state"),
    "a state without csv": (["report", "--state", "unknown"], "--state goes with --format csv"),
    "a report on nothing": (["report"], "campaign: there is no ledger at "),
    "a fault that does not exist": (["sandbox", "--fault", "rate-42=1"], "no fault is called 'rate-42'"),
}


@pytest.mark.parametrize("case", USAGE)
def test_2_for_flags_that_make_no_sense(campaign: Command, sandbox: Sandbox, tmp_path: Path, case: str) -> None:
    arguments, words = USAGE[case]
    write_campaign(tmp_path)

    refused = campaign(*arguments)

    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err
    assert nothing_came(sandbox)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        (
            {"CAMPAIGN_LEDGER": "postgres://db/campaigns"},
            "CAMPAIGN_LEDGER is 'postgres://db/campaigns': expected a path, or a URL sqlite:///absolute/path/ledger.db",
        ),
        (
            {"CAMPAIGN_LOG_LEVEL": "loud"},
            "CAMPAIGN_LOG_LEVEL is 'loud': expected one of debug, info, warning, error",
        ),
        ({"CAMPAIGN_LOG_FORMAT": "xml"}, "CAMPAIGN_LOG_FORMAT is 'xml': expected one of json, console"),
        (
            {"INRO_API_URL": "ftp://example.com"},
            "INRO_API_URL is 'ftp://example.com': expected https://HOST/PATH, such as https://api.inro.social/api/v1",
        ),
        (
            {"INRO_API_URL": "https://me:secret@example.com/"},
            "INRO_API_URL may hold no user name, password, query or fragment",
        ),
    ],
)
def test_2_for_an_environment_that_makes_no_sense(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    refused = campaign("send", write_campaign(tmp_path), "--yes", environ=environ)

    assert (refused.code, refused.out, refused.err) == (2, "", f"campaign: {words}\n")
    assert nothing_came(sandbox)


def test_3_when_somebody_was_rejected(tmp_path: Path) -> None:
    with serving(poison=["bob"]) as sandbox:
        file = write_campaign(tmp_path, delivery="{rate: 1000/s, chunk_size: 1, workers: 1}")
        ended = pointed_at(sandbox, tmp_path)("send", file, "--yes", "--json")

        assert ended.code == 3
        assert ended.json["state"] == "completed"
        assert (ended.json["recipients"]["accepted"], ended.json["recipients"]["rejected"]) == (1, 1)
        assert sandbox.stats()["deliveries_total"] == 1


def test_3_with_strict_when_somebody_was_not_found_and_0_without(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, ["ann", "nobody_here"])

    strict, lenient = campaign("send", file, "--yes", "--strict", "--json"), campaign("send", file)

    assert (strict.code, lenient.code) == (3, 0)
    assert strict.json["recipients"]["not_found"] == 1
    assert sandbox.stats()["most_to_one"] == 1


def test_3_when_nobody_knows_whether_somebody_was_written_to(tmp_path: Path) -> None:
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"script": "500-after"})
        file = write_campaign(tmp_path, ["ann"])
        ended = pointed_at(sandbox, tmp_path)("send", file, "--yes", "--json")

        assert ended.code == 3
        assert ended.json["recipients"]["unknown"] == 1
        assert sandbox.stats()["most_to_one"] == 1


def test_3_when_a_test_message_reaches_nobody(campaign: Command, tmp_path: Path) -> None:
    ended = campaign("test", write_campaign(tmp_path), "--to", "@nobody_here")

    assert (ended.code, ended.out) == (3, "Not accepted: no such contact\n")


def test_4_when_the_api_asks_for_a_longer_wait_than_max_wait(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, delivery="{rate: 1000/s, max_wait: 10s}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"script": "429", "retry-after-seconds": "7200"})
        campaign = pointed_at(sandbox, tmp_path)
        stopped, finished = campaign("send", file, "--yes", "--json"), campaign("send", file, "--json")

        assert stopped.code == 4
        assert stopped.json["state"] == "stopped"
        assert stopped.json["reason"] == (
            "the API asks to wait for 7200 s, longer than max_wait (10 s): start the same command again after that"
        )
        assert stopped.json["recipients"]["pending"] == 2
        assert finished.code == 0
        assert sandbox.stats()["most_to_one"] == 1


def test_4_when_what_answers_is_not_the_api(tmp_path: Path) -> None:
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"script": "html"})
        ended = pointed_at(sandbox, tmp_path)("send", write_campaign(tmp_path), "--yes", "--json")

        assert ended.code == 4
        assert ended.json["recipients"]["unknown"] == 2
        assert ended.json["reason"].startswith("HTTP 200: ")


def test_6_when_the_message_the_account_or_the_api_is_another_one(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert campaign("send", write_campaign(tmp_path), "--yes").code == 0
    with serving() as other:
        api = campaign("send", "spring.yaml", "--yes", environ={"INRO_API_URL": other.url})
        assert nothing_came(other)
    message = campaign("send", write_campaign(tmp_path, message="{text: Goodbye}"), "--yes")
    account = campaign("send", write_campaign(tmp_path, more="account: second\n"), "--yes")

    assert (api.code, message.code, account.code) == (6, 6, 6)
    assert f"it began at the API {sandbox.url}, and this is {other.url}" in api.err
    assert "the message has changed since it began" in message.err
    assert (
        "it belongs to campaign spring, account default; the file says campaign spring, account second" in account.err
    )
    assert sandbox.stats()["deliveries_total"] == 2


def a_folder(path: Path) -> str:
    path.mkdir(parents=True)
    return f"the ledger {path} can't be opened: Is a directory"


def below_a_file(path: Path) -> str:
    path.parent.write_text("", "utf-8")
    return f"the ledger {path} can't be opened: "


def no_database(path: Path) -> str:
    path.parent.mkdir()
    path.write_text("This is no database at all, but a letter to somebody.\n" * 40, "utf-8")
    return f"the ledger {path}: it is damaged, or no ledger: restore a backup "


def a_newer_ledger(path: Path) -> str:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version = 9999")
    connection.close()
    return f"the ledger {path} has schema 9999, and this version of campaign knows up to "


@pytest.mark.parametrize("spoil", [a_folder, below_a_file, no_database, a_newer_ledger])
def test_7_when_the_ledger_can_not_be_used(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    words = spoil(tmp_path / "state" / "ledger.db")

    sent, listed = campaign("send", write_campaign(tmp_path), "--yes"), campaign("runs")

    assert (sent.code, sent.out) == (7, "")
    assert sent.err.startswith(f"campaign: {words}")
    assert sent.err.count("\n") == 1
    assert nothing_came(sandbox)
    assert "Traceback" not in listed.err


def read_by_nobody(campaign: Command, *arguments: str) -> tuple[int, str]:
    """The exit code and the standard error of a command whose standard output is closed at the other end."""
    reading, writing = os.pipe()
    os.close(reading)
    left = subprocess.run(
        [EXECUTABLE, *arguments],
        cwd=campaign.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(campaign.folder), **campaign.environ},
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    os.close(writing)
    return left.returncode, left.stderr.decode()


def test_who_reads_the_output_may_leave_early_without_noise(campaign: Command, tmp_path: Path) -> None:
    assert campaign("send", write_campaign(tmp_path), "--yes").code == 0

    assert read_by_nobody(campaign, "runs", "--json") == (0, "")


@pytest.mark.parametrize("arguments", [["report", "--format", "csv"], ["plan", "spring.yaml"]])
def test_who_reads_text_may_leave_early_without_an_exit_code_that_means_a_bug(
    campaign: Command, tmp_path: Path, arguments: list[str]
) -> None:
    people = [f"person{number}" for number in range(2_000)] if "csv" in arguments else ["ann"]
    assert campaign("send", write_campaign(tmp_path, people), "--yes").code == 0

    assert read_by_nobody(campaign, *arguments) == (0, "")


def test_0_after_429s_in_the_middle_which_cost_nobody_a_message_and_nobody_a_second(tmp_path: Path) -> None:
    people = [f"person{number}" for number in range(40)]
    file = write_campaign(tmp_path, people, delivery="{rate: 1000/s, chunk_size: 5, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"script": "ok,ok,429,ok,429", "retry-after-seconds": "1"})
        ended = pointed_at(sandbox, tmp_path)("send", file, "--yes", "--json")

        assert ended.code == 0
        assert ended.json["recipients"]["accepted"] == 40
        assert ended.json["requests"] == {"sent": 10, "retried": 2, "rate_limited": 2}
        assert sandbox.stats()["messages"]["rate_limited"] == 2
        assert (sandbox.stats()["deliveries_total"], sandbox.stats()["most_to_one"]) == (40, 1)
