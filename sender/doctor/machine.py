"""What this machine and this installation bring along."""

import platform
import resource
from collections.abc import Mapping
from typing import Final

from sender import logs
from sender.doctor.finding import Finding, warning, well
from sender.ledger.checkup import sqlite_version

MOST_WORKERS: Final = 64  # the campaign file allows no more
FILES_BESIDE: Final = 64  # the program, its libraries, the ledger, the CSVs
FILES_OF_A_WORKER: Final = 2  # a connection, and a file that goes along
SOUND_SQLITE: Final = (3, 51, 3)  # 3.7.0 to 3.51.2 can corrupt a log that two connections write


def files_suffice(limit: int) -> Finding:
    """Whether as many files can be open at once as the most workers need."""
    if limit == resource.RLIM_INFINITY:
        return well("open files", "as many as one likes")
    workers = max(0, (limit - FILES_BESIDE) // FILES_OF_A_WORKER)
    if workers >= MOST_WORKERS:
        return well("open files", f"{limit:,}, enough for {MOST_WORKERS} workers")
    needed = FILES_BESIDE + FILES_OF_A_WORKER * MOST_WORKERS
    do = f"`ulimit -n {needed}` before `send`, or fewer workers"
    return warning("open files", f"{limit:,} at once, enough for {workers} workers", do)


def versions_sound() -> Finding:
    """Which Python and which SQLite this is."""
    sqlite = sqlite_version()
    says = f"Python {platform.python_version()}, SQLite {sqlite}"
    if tuple(map(int, sqlite.split("."))) < SOUND_SQLITE:
        return warning("versions", f"{says}, which can damage a ledger", "pip install --upgrade apsw")
    return well("versions", says)


def logs_can_be_written(environ: Mapping[str, str]) -> Finding:
    """Whether the log's variables can be used. Raises InputError when not."""
    logs.configure(environ, is_terminal=False)
    return well("log settings", "can be used")


def open_files_limit() -> int:
    """How many files this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
