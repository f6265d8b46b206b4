"""Every command of docs/runbook.md, run by a shell against the sandbox in the situation that its section is about."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sender.sandbox import Faults, Sandbox
from tests.acceptance.command import EXECUTABLE, TOKEN, Command, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text("utf-8")
BASH = shutil.which("bash") or "/bin/sh"
EXIT_CODES = {  # of the commands that show what is wrong
    ("The token was revoked", "campaign send spring.yaml --yes"): {4},
    ("The token was revoked", "campaign doctor"): {4},
    ("The host died", "campaign send spring.yaml"): {0, 3},  # nothing was in flight, or something
    ("It was started twice", "campaign send spring.yaml --yes"): {5},
}
NEW_TOKEN = "inro-test-token-4712"
PEOPLE = [f"person{number}" for number in range(60)]
SLOW = "{rate: 1/s, chunk_size: 2, workers: 2}"  # half a minute: longer than any section takes
QUICK = "{rate: 1000/s, chunk_size: 10, workers: 1}"

Situation = Callable[[Path], Iterator[Command]]


def sections() -> dict[str, list[tuple[str, str]]]:
    """Each section's commands with what the page says that they print, by its heading."""
    found: dict[str, list[tuple[str, str]]] = {}
    for part in re.split(r"^## ", RUNBOOK, flags=re.MULTILINE):
        heading = part.splitlines()[0]
        blocks = re.findall(r"```console\n(.*?)```", part, re.DOTALL)
        commands = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
        found[heading] = [(lines[0], "\n".join(lines[1:])) for lines in map(str.splitlines, commands)]
    return found


SECTIONS = sections()


def pattern(printed: str) -> str:
    """What a block's output has to match: `…` is anything on a line, and on a line of its own any lines."""
    lines = [
        r"(?:.*\n)*?" if line == "…" else re.sub(r"(\\ )+", " +", re.escape(line)).replace("…", ".*") + " *\n"
        for line in printed.splitlines()
    ]
    return "".join(lines)


@contextmanager
def sending(folder: Path, sandbox: Sandbox, delivery: str = SLOW) -> Iterator[tuple[Command, Running]]:
    campaign = pointed_at(sandbox, folder)
    write_campaign(folder, PEOPLE, delivery=delivery, name="spring")
    rename(folder)
    running = campaign.start("send", "spring.yaml", "--yes")
    running.wait_for(lambda: int(sandbox.stats()["messages"]["accepted"]) >= 1)
    try:
        yield campaign, running
    finally:
        if running.process.poll() is None:
            running.send_signal(signal.SIGKILL)
        running.end()


def rename(folder: Path) -> None:
    file = folder / "spring.yaml"
    file.write_text(file.read_text("utf-8").replace("campaign: spring\n", "campaign: spring-drop\n"), "utf-8")


def under_way(folder: Path) -> Iterator[Command]:
    with serving() as sandbox, sending(folder, sandbox) as (campaign, _):
        yield campaign


def paused(folder: Path) -> Iterator[Command]:
    with serving() as sandbox, sending(folder, sandbox) as (campaign, _):
        campaign("pause", "spring-drop")
        yield campaign


def limited(folder: Path) -> Iterator[Command]:
    faults = Faults(script=("ok", "429"))
    with serving(faults=faults) as sandbox, sending(folder, sandbox) as (campaign, running):
        running.wait_for(lambda: "account.paused" in running.err)
        yield campaign


def unknown(folder: Path) -> Iterator[Command]:
    with serving(faults=Faults(script=("ok", "500-after", "ok"))) as sandbox:
        write_campaign(folder, PEOPLE[:30], delivery=QUICK)
        rename(folder)
        campaign = pointed_at(sandbox, folder)
        assert campaign("send", "spring.yaml", "--yes").code == 3
        yield campaign


def revoked(folder: Path) -> Iterator[Command]:
    with serving(token=NEW_TOKEN) as sandbox:
        write_campaign(folder, PEOPLE[:30], delivery=QUICK)
        rename(folder)
        yield pointed_at(sandbox, folder)


def died(folder: Path) -> Iterator[Command]:
    with (
        serving() as sandbox,
        sending(folder, sandbox, "{rate: 10/s, chunk_size: 10, workers: 1}") as (campaign, running),
    ):
        running.send_signal(signal.SIGKILL)
        running.end()
        yield campaign


def over(folder: Path) -> Iterator[Command]:
    with serving() as sandbox:
        write_campaign(folder, PEOPLE[:2], delivery=QUICK)
        rename(folder)
        campaign = pointed_at(sandbox, folder)
        assert campaign("send", "spring.yaml", "--yes").code == 0
        yield campaign


SITUATIONS: dict[str, Situation] = {
    "# Runbook": under_way,
    "It is stuck": paused,
    "It is rate-limited": limited,
    "Chunks are unknown": unknown,
    "The token was revoked": revoked,
    "The wrong message is going out": under_way,
    "The host died": died,
    "The ledger is full, or damaged": over,
    "It was started twice": under_way,
}


def test_every_section_of_the_runbook_has_a_situation() -> None:
    assert set(SECTIONS) == set(SITUATIONS)
    assert all(SECTIONS.values())


@pytest.mark.parametrize("heading", SITUATIONS)
def test_the_runbooks_commands_print_what_it_says(heading: str, tmp_path: Path) -> None:
    with contextmanager(SITUATIONS[heading])(tmp_path) as campaign:
        environ = {**campaign.environ, "HOME": str(tmp_path), "NEW_TOKEN": NEW_TOKEN}
        environ["PATH"] = f"{EXECUTABLE.parent}{os.pathsep}{os.environ['PATH']}"
        assert campaign.environ["INRO_API_TOKEN"] == TOKEN
        for command, printed in SECTIONS[heading]:
            done = subprocess.run(
                [BASH, "-c", command],
                cwd=tmp_path,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
            said = done.stdout.decode()
            assert done.returncode in EXIT_CODES.get((heading, command), {0}), f"$ {command}\n{said}"
            assert re.fullmatch(pattern(printed), said), f"$ {command}\n{said}\ndoes not look like\n{printed}"
