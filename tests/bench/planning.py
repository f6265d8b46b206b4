"""Planning beside the script that a competent user would write; and what a run of ten million takes afterwards."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.cost import CAMPAIGN, environ, sink
from tests.bench.figures import Figure
from tests.bench.people import write_audience, write_exclusions
from tests.bench.processes import Used, resident_mb, used_by

SMALL, LARGE, EXCLUDED, MODEST = 1_000_000, 10_000_000, 100_000, 10_000
RULES = "exclude: [out.csv], where: {country: [FR, IT, DE, ES, BE, CH, PT, AT, NL]}"
CAMPAIGN_FILE = """
campaign: c{rows}
audience: {{csv: people{rows}.csv, {rules}}}
message: {{type: text, text: Hello}}
delivery: {{rate: 50/s, workers: 16}}
"""
SETTLED_SECONDS = 5.0
ROUNDS = 3


def measure() -> Iterator[Figure]:
    """All rules on, the plan durable; CPU time, since other programs run meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, SMALL, RULES)
        _write(folder, LARGE, RULES)
        _write(folder, MODEST, "identify_by: [username, id, email]")
        with sink(folder) as server:
            api = server.url
            script = used_by([sys.executable, "-m", "tests.bench.naive", str(folder / f"people{LARGE}.csv")])
            large, small = _plan(folder, LARGE, api), _plan(folder, SMALL, api)
            yield _ceiling("plan of 10 M, CPU / script", large.cpu_seconds / script.cpu_seconds, 2.5)
            yield _ceiling("plan of 10 M, peak memory / script", large.peak_mb / script.peak_mb, 0.6)
            yield _ceiling("plan of 10 M / of 1 M, CPU", large.cpu_seconds / small.cpu_seconds, 11)
            size = sum(file.stat().st_size for file in folder.glob(f"ledger{LARGE}.db*"))
            kept = _planned(folder, LARGE, api)
            yield _ceiling("ledger, MB per 10 M recipients", size / kept * LARGE / 1e6, 350)
            sent = [_send(folder, LARGE, api) for _ in range(ROUNDS)]
            yield _ceiling("going on with 10 M, seconds to the first call", min(sent)[0], 1.0)
            yield _ceiling("sending 10 M, MB resident", max(megabytes for _, megabytes in sent), 150)
            began = []
            for _ in range(ROUNDS):
                for file in folder.glob(f"ledger{MODEST}*"):
                    file.unlink()
                began.append(_send(folder, MODEST, api)[0])
            yield _ceiling("send of 10,000 rows, seconds to the first call", min(began), 1.0)


def _ceiling(name: str, value: float, bound: float) -> Figure:
    return Figure(name=name, value=value, bound=bound, is_ceiling=True)


def _write(folder: Path, rows: int, rules: str) -> None:
    write_audience(folder / f"people{rows}.csv", rows)
    write_exclusions(folder / "out.csv", EXCLUDED, of=rows)
    (folder / f"{rows}.yaml").write_text(CAMPAIGN_FILE.format(rows=rows, rules=rules), "utf-8")


def _plan(folder: Path, rows: int, api: str) -> Used:
    command = [sys.executable, "-m", "tests.bench.plan_run"]
    return used_by([*command, str(folder / f"{rows}.yaml"), str(folder / f"ledger{rows}.db"), api])


def _planned(folder: Path, rows: int, api: str) -> int:
    done = subprocess.run(
        [CAMPAIGN, "status", "--json"],
        env=environ(folder, api, ledger=f"ledger{rows}.db"),
        capture_output=True,
        check=True,
    )
    return int(json.loads(done.stdout)["recipients"]["planned"])


def _send(folder: Path, rows: int, api: str) -> tuple[float, float]:
    """Seconds from the start of `campaign send` to its first call's log line; megabytes in the midst of sending."""
    began = time.monotonic()
    process = subprocess.Popen(
        [CAMPAIGN, "send", str(folder / f"{rows}.yaml"), "--yes"],
        env=environ(folder, api, ledger=f"ledger{rows}.db"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if b"chunk.sending" in line:
                break
        seconds = time.monotonic() - began
        megabytes = 0.0
        if rows == LARGE:
            time.sleep(SETTLED_SECONDS)
            megabytes = resident_mb(process.pid)
        return seconds, megabytes
    finally:
        process.kill()
        process.communicate()
