"""Campaigns whose sender is killed again and again, against an API that fails in every way it knows."""

import csv
import io
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from sender.sandbox import Faults, Sandbox
from tests.acceptance.command import Command, Ended, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = 240
EXIT_CODES = frozenset({0, 3, 4})
MAX_STARTS = 60
DELIVERY = "{rate: 2000/s, chunk_size: 8, workers: 4, timeout: 0.4s, max_wait: 30s, max_rejected: 100%}"
FAULTS = {
    "latency": "0ms-25ms",
    "retry_after_seconds": 0,
    "rate_429": 0.03,
    "rate_429_bare": 0.02,
    "rate_503": 0.02,
    "rate_500_before": 0.03,
    "rate_500_after": 0.03,
    "rate_502_before": 0.02,
    "rate_reset_before": 0.02,
    "rate_reset_after": 0.03,
    "rate_hang": 0.01,
    "rate_hang_before": 0.01,
    "rate_cut": 0.03,
    "rate_html": 0.005,
    "rate_redirect": 0.005,
}


@dataclass(kw_only=True)
class Figures:
    """What all campaigns together came to."""

    campaigns: int = 0
    starts: int = 0
    kills: int = 0
    recipients: int = 0
    delivered: int = 0
    delivered_twice: int = 0
    lost: list[str] = field(default_factory=list)
    unreconciled: int = 0
    by_state: dict[str, int] = field(default_factory=dict)
    wrong_exits: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(self.by_state.items()))
        return (
            f"{self.campaigns} campaigns, {self.starts} starts, {self.kills} killed with SIGKILL\n"
            f"{self.recipients:,} recipients: {states}\n"
            f"{self.delivered:,} deliveries; delivered twice: {self.delivered_twice}; lost: {self.lost or 0}; "
            f"summaries that do not reconcile: {self.unreconciled}; "
            f"exit codes outside the table: {self.wrong_exits or 0}"
        )


def torment(folder: Path, figures: Figures, dice: random.Random, *, kills: int) -> None:
    """One campaign, killed up to `kills` times, then started again until it ends; adds to the figures."""
    people = [f"person{number}" for number in range(PEOPLE - 4)] + ["nobody.1", "nobody.2", "poison.1", "poison.2"]
    dice.shuffle(people)
    file = write_campaign(folder, people, delivery=DELIVERY)
    options = {"faults": Faults.parse(FAULTS), "poison": ("poison.1", "poison.2"), "seed": dice.randrange(2**32)}
    with serving(**options) as sandbox:
        campaign = pointed_at(sandbox, folder)
        for _ in range(kills):
            figures.starts += 1
            ended = _start_and_kill(campaign, sandbox, file, dice)
            if ended.code == -signal.SIGKILL:
                figures.kills += 1
            else:
                _note_exit(figures, ended)
        _finish(campaign, sandbox, file, figures)
        _count(campaign, sandbox, people, figures)


def _start_and_kill(campaign: Command, sandbox: Sandbox, file: Path, dice: random.Random) -> Ended:
    running = campaign.start("send", file, "--yes", "--json")
    _moment(running, sandbox, file.parent / "state" / "ledger.db-wal", dice)
    if running.process.poll() is None:
        running.send_signal(signal.SIGKILL)
    return running.end()


def _moment(running: Running, sandbox: Sandbox, wal: Path, dice: random.Random) -> None:
    """Waits for a random moment: of time, of a call's arrival, or of a write to the ledger."""
    deadline = time.monotonic() + dice.uniform(0.1, 0.8)
    calls = sandbox.stats()["messages"]["received"] + dice.randrange(1, 12)
    written = _size(wal)
    moments: list[Callable[[], bool]] = [
        lambda: time.monotonic() > deadline,
        lambda: sandbox.stats()["messages"]["received"] >= calls,
        lambda: _size(wal) != written and dice.random() < 0.2,
    ]
    is_time = dice.choice(moments)
    until = time.monotonic() + 5
    while running.process.poll() is None and not is_time() and time.monotonic() < until:
        time.sleep(0.0005)


def _size(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _finish(campaign: Command, sandbox: Sandbox, file: Path, figures: Figures) -> None:
    for start in range(MAX_STARTS):
        if start == MAX_STARTS // 2:
            sandbox.faults = Faults()  # an API that fails for ever lets nobody finish
        figures.starts += 1
        ended = campaign("send", file, "--yes", "--json")
        _note_exit(figures, ended)
        if ended.code in (0, 3) and ended.json["recipients"]["pending"] == 0:
            return
    raise AssertionError(f"never finished: {ended}")


def _note_exit(figures: Figures, ended: Ended) -> None:
    if ended.code not in EXIT_CODES:
        figures.wrong_exits.append(ended.code)


def _count(campaign: Command, sandbox: Sandbox, people: list[str], figures: Figures) -> None:
    summary = campaign("status", "--json").json["recipients"]
    planned = summary.pop("planned")
    deliveries = {name.removeprefix("username:"): n for name, n in sandbox.stats()["deliveries"].items()}
    states = _states(campaign)
    figures.campaigns += 1
    figures.recipients += len(people)
    figures.delivered += sum(deliveries.values())
    figures.delivered_twice += sum(1 for count in deliveries.values() if count > 1)
    figures.unreconciled += planned != len(people) or sum(summary.values()) != planned
    for person in people:
        state = states.get(person, "absent")
        figures.by_state[state] = figures.by_state.get(state, 0) + 1
        if not _is_accounted_for(person, state, deliveries.get(person, 0)):
            figures.lost.append(f"{person} is {state} and was delivered to {deliveries.get(person, 0)} times")


def _is_accounted_for(person: str, state: str, delivered: int) -> bool:
    """Whether what the report says of a recipient is true of what the API has seen."""
    match state:
        case "accepted" if person.startswith("nobody"):
            return delivered == 0  # the call was accepted, and its reply cut off before it could say who was not found
        case "accepted":
            return delivered == 1
        case "not_found" | "rejected":
            return delivered == 0
        case "unknown":
            return delivered in (0, 1)
        case _:
            return False


def _states(campaign: Command) -> dict[str, str]:
    report = campaign("report", "--format", "csv").out
    return {row["username"]: row["state"] for row in csv.DictReader(io.StringIO(report))}
