"""`make bench`: the CPU time of a start beside that of `python -c pass`; exits 1 when a bound is missed."""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

PYTHON = sys.executable
CAMPAIGN = str(Path(sys.executable).with_name("campaign"))
ROUNDS = 15
BOUNDS = {("--help",): 15.0, ("send", "--help"): 15.0}


def main() -> int:
    """Prints the table; returns the exit code."""
    missed = 0
    with tempfile.TemporaryDirectory() as home:
        environ = {"PATH": os.environ["PATH"], "HOME": home}
        for arguments, bound in BOUNDS.items():
            ratio = _ratio([CAMPAIGN, *arguments], [PYTHON, "-c", "pass"], environ)
            missed += ratio > bound
            print(f"campaign {' '.join(arguments):12} {ratio:5.1f} x python -c pass   (bound {bound:g})")
    return 1 if missed else 0


def _ratio(command: list[str], base: list[str], environ: dict[str, str]) -> float:
    # Turn about, so that whatever else the machine does falls on both.
    pairs = [(_cpu_seconds(command, environ), _cpu_seconds(base, environ)) for _ in range(ROUNDS)]
    return median(first for first, _ in pairs) / median(second for _, second in pairs)


def _cpu_seconds(command: list[str], environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
