"""Files that vanish, streams that are closed, disks that are full, names that are no text."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import EXECUTABLE, SECONDS, Command, Ended
from tests.acceptance.files import write_campaign
from tests.acceptance.received import addresses, nothing_came

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def in_shell(campaign: Command, redirection: str, *arguments: str) -> Ended:
    """The command with its streams as a shell redirects them."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {shlex.join([str(EXECUTABLE), *arguments])} {redirection}"],
        cwd=campaign.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(campaign.folder), **campaign.environ},
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def test_a_run_goes_on_from_its_frozen_plan_when_its_csv_is_gone(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, ["ann", "bob", "carl"])
    assert campaign("send", file, "--yes", "--limit", "1").code == 0
    (tmp_path / "people.csv").unlink()

    ended = campaign("send", file, "--json")

    assert ended.code == 0
    assert "can't be read again, so the plan goes on as it was made" in ended.err
    assert addresses(sandbox) == ["ann", "bob", "carl"]


def test_a_run_from_standard_input_goes_on_without_it(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    file.write_text(file.read_text("utf-8").replace("people.csv", '"-"'), "utf-8")
    assert campaign("send", file, "--yes", "--limit", "1", stdin=b"username\nann\nbob\n").code == 0

    assert campaign("send", file).code == 0
    assert addresses(sandbox) == ["ann", "bob"]


@FULL
def test_a_log_that_can_not_be_written_costs_nobody_the_message(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_campaign(tmp_path)

    ended = in_shell(campaign, "2>/dev/full", "send", "spring.yaml", "--yes")

    assert ended.code == 0
    assert addresses(sandbox) == ["ann", "bob"]


@FULL
@pytest.mark.parametrize("arguments", [("plan", "spring.yaml"), ("send", "spring.yaml", "--yes"), ("schema",)])
def test_a_report_that_can_not_be_written_is_a_sentence(
    campaign: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write_campaign(tmp_path)

    ended = in_shell(campaign, ">/dev/full", *arguments)

    assert ended.code == 7
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("arguments", [("plan", "spring.yaml"), ("send", "spring.yaml", "--yes")])
def test_a_closed_standard_input_is_no_matter_to_who_does_not_read_it(
    campaign: Command, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    write_campaign(tmp_path)

    assert in_shell(campaign, "<&-", *arguments).code == 0


def test_with_every_standard_stream_closed_a_campaign_is_sent_all_the_same(
    campaign: Command, tmp_path: Path, sandbox: Sandbox
) -> None:
    write_campaign(tmp_path)

    assert in_shell(campaign, "<&- >&- 2>&-", "send", "spring.yaml", "--yes").code == 0
    assert addresses(sandbox) == ["ann", "bob"]


@pytest.mark.parametrize("arguments", [("runs", "--json"), ("status",), ("plan", "spring.yaml")])
def test_a_closed_standard_output_is_no_bug(campaign: Command, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    campaign("send", write_campaign(tmp_path), "--yes")

    ended = in_shell(campaign, ">&-", *arguments)

    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(
    "environ",
    [{"CAMPAIGN_LEDGER": "~no-such-user/l.db"}, {"INRO_API_TOKEN": "", "INRO_API_TOKEN_FILE": "~no-such-user/t"}],
)
def test_the_home_of_nobody_is_refused_in_a_sentence(
    campaign: Command, tmp_path: Path, environ: dict[str, str]
) -> None:
    ended = campaign("send", write_campaign(tmp_path), "--yes", environ=environ)

    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_a_ledger_with_too_long_a_name_is_a_sentence(campaign: Command) -> None:
    ended = campaign("runs", environ={"CAMPAIGN_LEDGER": "l" * 300})

    assert ended.code in (2, 7)
    assert "Traceback" not in ended.err


def test_a_folder_whose_name_is_no_text_is_sent_from(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/drop\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes text alone")

    assert campaign("send", write_campaign(folder), "--yes").code == 0
    assert addresses(sandbox) == ["ann", "bob"]


def test_names_in_many_alphabets_are_read_and_sent(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "drøp ∂ 🌱" / 'it\'s "here"'
    folder.mkdir(parents=True)

    sent = campaign("send", write_campaign(folder), "--yes")
    found = campaign("report", "--format", "csv")

    assert (sent.code, found.code) == (0, 0)
    assert addresses(sandbox) == ["ann", "bob"]
    assert "drøp ∂ 🌱/it's" in found.out


def test_a_csv_that_vanishes_before_the_first_call_is_refused(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    (tmp_path / "people.csv").unlink()

    assert campaign("send", file, "--yes").code == 2
    assert nothing_came(sandbox)


@pytest.mark.parametrize("flags", [("--limit", "9" * 30), ("--rate", "999999999/s")])
def test_huge_numbers_are_numbers(campaign: Command, sandbox: Sandbox, tmp_path: Path, flags: tuple[str, ...]) -> None:
    assert campaign("send", write_campaign(tmp_path), "--yes", *flags).code == 0
    assert addresses(sandbox) == ["ann", "bob"]
