"""What a process takes."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Used:
    """What one process took from its start to its end; `peak_mb` is the most memory that it held."""

    cpu_seconds: float
    seconds: float
    peak_mb: float


def used_by(command: list[str], environ: Mapping[str, str] | None = None) -> Used:
    """Runs the command to its end. Raises CalledProcessError when it fails."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Used(
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        seconds=time.monotonic() - began,
        peak_mb=usage.ru_maxrss / 1024,  # kB, on Linux
    )


def cpu_seconds(pid: int) -> float:
    """What a process has taken until now, all its threads together. On Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """The memory that a process holds now. On Linux only."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6
