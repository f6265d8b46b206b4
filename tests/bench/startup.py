"""The CPU time of a start beside that of `python -c pass`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.figures import Figure
from tests.bench.processes import used_by

PYTHON = sys.executable
CAMPAIGN = str(Path(sys.executable).with_name("campaign"))
ROUNDS = 15
BOUNDS = {("--help",): 15.0, ("send", "--help"): 15.0, ("status",): 20.0}
CAMPAIGN_FILE = """
campaign: spring
audience: {csv: people.csv}
message: {type: text, text: Hello}
"""


def measure() -> Iterator[Figure]:
    """One ratio for each call."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home, "CAMPAIGN_LEDGER": f"{home}/ledger.db"}
        _send_something(Path(home), environ)
        for arguments, bound in BOUNDS.items():
            ratio = _ratio([CAMPAIGN, *arguments], [PYTHON, "-c", "pass"], environ)
            name = f"campaign {' '.join(arguments)} / python -c pass"
            yield Figure(name=name, value=ratio, bound=bound, is_ceiling=True)


def _send_something(folder: Path, environ: dict[str, str]) -> None:
    """A run for `status` to tell of."""
    (folder / "campaign.yaml").write_text(CAMPAIGN_FILE, "utf-8")
    (folder / "people.csv").write_text("username\nanna\n", "utf-8")
    command = [CAMPAIGN, "send", str(folder / "campaign.yaml"), "--sandbox"]
    subprocess.run(command, env=environ, capture_output=True, check=True)
    (folder / "ledger-sandbox.db").rename(folder / "ledger.db")


def _ratio(command: list[str], base: list[str], environ: dict[str, str]) -> float:
    # Turn about, so that whatever else the machine does falls on both.
    pairs = [(used_by(command, environ), used_by(base, environ)) for _ in range(ROUNDS)]
    return median(one.cpu_seconds for one, _ in pairs) / median(other.cpu_seconds for _, other in pairs)
