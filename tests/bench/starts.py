"""The CPU time of a start beside that of `python -c pass`."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.figures import Figure

PYTHON = sys.executable
CAMPAIGN = str(Path(sys.executable).with_name("campaign"))
ROUNDS = 15
BOUNDS = {("--help",): 15.0, ("send", "--help"): 15.0}


def measure() -> Iterator[Figure]:
    """One ratio for each call."""
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home}
        for arguments, bound in BOUNDS.items():
            ratio = _ratio([CAMPAIGN, *arguments], [PYTHON, "-c", "pass"], environ)
            name = f"campaign {' '.join(arguments)} / python -c pass"
            yield Figure(name=name, value=ratio, bound=bound, is_ceiling=True)


def _ratio(command: list[str], base: list[str], environ: dict[str, str]) -> float:
    # Turn about, so that whatever else the machine does falls on both.
    pairs = [(_cpu_seconds(command, environ), _cpu_seconds(base, environ)) for _ in range(ROUNDS)]
    return median(first for first, _ in pairs) / median(second for _, second in pairs)


def _cpu_seconds(command: list[str], environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
