"""What a person at a terminal sees and types; and what nobody sees where there is no terminal."""

import re
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import TOKEN, Command
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.terminal import CONTROL_C, Terminal

PEOPLE = [f"person{number}" for number in range(1200)]
PROMPT = "This sends to 1,200 recipients. Type the number to go ahead: "
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.mark.parametrize("typed", ["1200\n", " 1,200 \n"])
def test_the_right_number_sends_with_a_bar(campaign: Command, sandbox: Sandbox, tmp_path: Path, typed: str) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 600}")

    with Terminal(campaign, "send", file) as terminal:
        terminal.read_until(PROMPT)
        assert sandbox.requests() == []
        terminal.type(typed)
        assert terminal.end() == 0

    assert sandbox.stats()["deliveries_total"] == 1200
    shown = terminal.shown
    assert "Sending" in shown.partition(PROMPT)[2]
    assert re.search("1,?200 ?(/|of) ?1,?200", terminal.text)
    assert "━" in shown
    assert "spring" in shown
    assert "completed" in shown
    assert "run.started" not in shown
    assert "{" not in shown
    assert TOKEN not in shown
    assert shown.rfind(SHOW_CURSOR) > shown.rfind(HIDE_CURSOR)


@pytest.mark.parametrize("typed", ["1199\n", "yes\n", "\n", "\x04"], ids=["off by one", "yes", "nothing", "^D"])
def test_a_wrong_number_sends_nothing(campaign: Command, sandbox: Sandbox, tmp_path: Path, typed: str) -> None:
    file = write_campaign(tmp_path, PEOPLE)

    with Terminal(campaign, "send", file) as terminal:
        terminal.read_until(PROMPT)
        terminal.type(typed)
        assert terminal.end() == 2

    assert "campaign: that is not 1,200: nothing was sent" in terminal.shown
    assert terminal.shown.rfind(SHOW_CURSOR) > terminal.shown.rfind(HIDE_CURSOR)
    assert sandbox.requests() == []
    assert campaign("runs").out == "No run yet.\n"


def test_a_job_that_is_given_a_terminal_is_not_asked(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    with Terminal(campaign, "send", write_campaign(tmp_path), environ={"CI": "true"}) as terminal:
        assert terminal.end() == 2

    assert "needs consent: add --yes, or --expect 2" in terminal.text
    assert sandbox.requests() == []


def test_control_c_at_the_prompt_ends_it_quietly_and_the_next_send_asks_again(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE)

    with Terminal(campaign, "send", file) as terminal:
        terminal.read_until(PROMPT)
        assert terminal.interrupt() == 130
    assert "Traceback" not in terminal.shown
    assert "KeyboardInterrupt" not in terminal.shown
    assert terminal.shown.rfind(SHOW_CURSOR) > terminal.shown.rfind(HIDE_CURSOR)
    assert sandbox.requests() == []

    with Terminal(campaign, "send", file) as terminal:
        terminal.read_until(PROMPT)
        terminal.type("1200\n")
        assert terminal.end() == 0
    assert sandbox.stats()["deliveries_total"] == 1200


def test_control_c_while_sending_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, chunk_size: 20, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"latency": "50ms"})
        campaign = pointed_at(sandbox, tmp_path)

        with Terminal(campaign, "send", file, "--yes") as terminal:
            terminal.read_until("[1-9][0-9]* ?(/|of) ?1,?200")
            terminal.type(CONTROL_C)
            assert terminal.end() == 130

        assert PROMPT not in terminal.shown
        assert "Stopping: what is in flight is let finish. A second signal stops at once." in terminal.shown
        assert "Traceback" not in terminal.shown
        assert terminal.shown.rfind(SHOW_CURSOR) > terminal.shown.rfind(HIDE_CURSOR)
        recipients = campaign("status", "--json").json["recipients"]
        assert recipients["accepted"] == sandbox.stats()["deliveries_total"]
        assert recipients["unknown"] == recipients["sending"] == 0
        assert recipients["pending"] > 0

        # A run that has begun asks nothing, even of a person.
        sandbox.faults = sandbox.faults.parse({})
        with Terminal(campaign, "send", file) as terminal:
            assert terminal.end() == 0
        assert PROMPT not in terminal.shown
        assert sandbox.stats()["deliveries_total"] == 1200
        assert sandbox.stats()["most_to_one"] == 1


def test_no_color_is_kept_to(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, [*PEOPLE[:20], "nobody.here"])

    with Terminal(campaign, "send", file, "--yes") as terminal:
        assert terminal.end() == 0
    assert "\x1b[32m" in terminal.shown
    assert "not found" in terminal.shown

    with Terminal(campaign, "report", "spring", environ={"NO_COLOR": "1"}) as terminal:
        assert terminal.end() == 0
    assert "not found" in terminal.shown
    assert not any(f"\x1b[{code}" in terminal.shown for code in range(30, 50))


def test_where_no_terminal_is_there_is_no_bar_and_no_colour(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, [*PEOPLE[:20], "nobody.here"])

    forced = {"TERM": "xterm-256color", "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "GITHUB_ACTIONS": "true"}
    ended = campaign("send", file, "--yes", environ=forced)

    assert ended.code == 0
    assert "\x1b" not in campaign("--help", environ=forced).out
    assert "\x1b" not in ended.out + ended.err
    assert "━" not in ended.out + ended.err
    assert len(ended.events) == len(ended.err.splitlines())
    assert [event["event"] for event in ended.events] == [
        "plan.built",
        "run.started",
        "chunk.sending",
        "chunk.accepted",
        "run.finished",
    ]
    assert "person1" not in ended.err
