"""Campaigns from a CI job: the GitHub action, and what the command tells a step that runs it."""

import json
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.action import Runner
from tests.acceptance.command import TOKEN, Command
from tests.acceptance.files import write_campaign
from tests.acceptance.received import addresses, nothing_came

EVIL = "x\"; touch pwned; $(touch pwned) `touch pwned` ' && touch pwned #"
BAD = "campaign: spring\naudience: {csv: people.csv}\nmesage: {text: Hello, colour: red}\n"


@pytest.fixture
def runner(tmp_path: Path, sandbox: Sandbox) -> Runner:
    """A runner whose step has the sandbox's address and token."""
    workspace = tmp_path / "shop"
    (workspace / "campaigns").mkdir(parents=True)
    environ = {"INRO_API_URL": sandbox.url, "INRO_API_TOKEN": TOKEN}
    return Runner(workspace=workspace, temp=tmp_path / "temp", environ=environ)


def test_a_check_shows_what_is_wrong_at_its_line_of_the_pull_request(runner: Runner, sandbox: Sandbox) -> None:
    folder = runner.workspace / "campaigns"
    write_campaign(folder, "username\nann\nb b\n", name="good")
    (folder / "spring.yaml").write_text(BAD, "utf-8")

    step = runner(command="check", files="campaigns/*.yaml\n--help\n")

    assert (step.code, step.outputs["exit-code"]) == (2, "2")
    assert step.annotations == [
        "::warning file=campaigns/people.csv,line=3,title=campaign::rejected: found the username 'b b'; accepted are "
        "1 to 30 of a-z, 0-9, '.' and '_', with or without '@', or a link to a profile",
        "::error file=campaigns/spring.yaml,line=1,col=1,title=campaign::message: missing; accepted is for example "
        "message: {text: Hello}",
        "::error file=campaigns/spring.yaml,line=3,col=1,title=campaign::mesage: unknown key; did you mean message?",
        "::error file=--help,title=campaign::can't be read: no such file or directory; accepted is a campaign file in "
        "YAML",
    ]
    assert step.out == "campaigns/good.yaml: ok, 1 recipient, 1 rejected row\n"
    assert step.summary.startswith("### campaign check: 2 files of 3 can't be sent\n")
    assert "  - `campaigns/spring.yaml:3:1: mesage: unknown key; did you mean message?`\n" in step.summary
    assert [file["ok"] for file in json.loads(step.outputs["json"])["files"]] == [True, False, False]
    installed = (runner.temp / "runner temp" / "installed").read_text("utf-8")
    assert "--constraint" in installed
    assert nothing_came(sandbox)


def test_a_send_sends_and_tells_the_step_what_came_of_it(runner: Runner, sandbox: Sandbox) -> None:
    write_campaign(runner.workspace / "campaigns", ["ann", "bob", "carl"])

    step = runner(
        command="send",
        files="campaigns/spring.yaml\n",
        expect="3",
        strict="true",
        args="--run\nspring 1st\n--limit=2\n".replace(" ", "-"),
        ledger="state of it/ledger.db",
    )

    assert step.code == 0, step.err
    assert addresses(sandbox) == ["ann", "bob"]
    assert (runner.workspace / "state of it" / "ledger.db").exists()
    assert step.annotations == []
    assert "### campaign send: `spring-1st` interrupted\n" in step.summary
    assert "| planned | 3 |\n| accepted | 2 |\n| pending | 1 |\n" in step.summary
    assert "1 recipient pending: the same command, without --limit, with the same ledger, goes on." in step.summary
    document = json.loads(step.outputs.pop("json"))
    assert step.outputs == {"exit-code": "0", "state": "interrupted", "recipients": "3", "accepted": "2"}
    assert document["recipients"]["accepted"] == 2
    assert TOKEN not in step.out + step.err + step.summary + str(document)


def test_a_send_that_the_api_stops_fails_the_step_and_says_why(runner: Runner, sandbox: Sandbox) -> None:
    file = write_campaign(runner.workspace)
    runner.environ["INRO_API_TOKEN"] = "not-the-token"

    step = runner(command="send", files=str(file), args="--yes", ledger="ledger.db")

    assert step.code == 4
    [line] = step.annotations
    assert line.startswith("::error title=campaign::spring stopped: HTTP 401: ")
    assert line.endswith("the same command, with the same ledger, goes on with 2 recipients.")
    assert "HTTP 401: " in step.summary
    assert (step.outputs["exit-code"], step.outputs["state"], step.outputs["accepted"]) == ("4", "stopped", "0")
    assert "not-the-token" not in step.out + step.err + step.summary


def test_a_send_whose_ledger_would_die_with_the_job_fails_the_step(runner: Runner, sandbox: Sandbox) -> None:
    file = write_campaign(runner.workspace)

    step = runner(command="send", files=str(file), args="--yes")

    assert step.code == 2
    assert step.annotations[0].startswith("::error title=campaign::CI is set, and the default ledger (")
    assert step.summary.startswith("### campaign send: failed\n")
    assert step.outputs == {"exit-code": "2"}
    assert nothing_came(sandbox)


@pytest.mark.parametrize("names", [("command",), ("strict",), ("files", "args", "expect", "ledger")])
def test_no_input_is_ever_a_script(runner: Runner, sandbox: Sandbox, names: tuple[str, ...]) -> None:
    # Two lines, since in some inputs each line is one value.
    evil = dict.fromkeys(names, f"{EVIL}\n{EVIL}")

    step = runner(**{"command": "send", "files": "spring.yaml", **evil})

    assert step.code == 2
    assert list(runner.workspace.iterdir()) == [runner.workspace / "campaigns"]
    assert not list(runner.temp.rglob("*pwned*"))
    assert "pwned" not in "".join(step.annotations)
    assert nothing_came(sandbox)


def test_with_json_standard_output_stays_one_document_and_an_extra_that_fails_changes_nothing(
    campaign: Command, tmp_path: Path
) -> None:
    (tmp_path / "spring.yaml").write_text(BAD, "utf-8")
    unwritable = {"GITHUB_STEP_SUMMARY": "/dev/full", "GITHUB_OUTPUT": str(tmp_path)}

    checked = campaign("check", "spring.yaml", "--json", environ={"GITHUB_ACTIONS": "true", **unwritable})

    assert checked.code == 2
    assert len(checked.json["files"][0]["problems"]) == 2
    places = [line.partition(",title=")[0] for line in checked.err.splitlines()]
    assert places == ["::error file=spring.yaml,line=1,col=1", "::error file=spring.yaml,line=3,col=1"]


def test_a_plan_is_the_same_to_the_byte_from_anywhere(campaign: Command, tmp_path: Path) -> None:
    people = "username,email,id\nann,,\n,b@example.com,\n,,7\nann,,\ncarl,c@example.com,8\nb b,,\n"
    file = write_campaign(tmp_path, people, delivery="{rate: 7/s, chunk_size: 1}", audience="  exclude: [out.csv]\n")
    (tmp_path / "out.csv").write_text("username\ncarl\n", "utf-8")
    elsewhere = Command(folder=tmp_path / "elsewhere", environ=campaign.environ)
    elsewhere.folder.mkdir()

    first = campaign("plan", file.name, "--json", environ={"PYTHONHASHSEED": "1"})
    second = elsewhere("plan", "../spring.yaml", "--json", environ={"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"})

    assert first.code == second.code == 0
    assert first.json["recipients"]["planned"] == 3
    assert first.out == second.out
