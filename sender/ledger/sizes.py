"""How large a ledger is, how much room is beside it, and bytes as people read them."""

import shutil
from pathlib import Path

STEP = 1000


def sized(count: int) -> str:
    """`512 B`, `16 kB`, `1.2 MB`, `3.4 GB`: powers of 1,000, as disks are sold."""
    if count < STEP:
        return f"{count} B"
    value, unit = count / STEP, "kB"
    for larger in ("MB", "GB", "TB"):
        if round(value) < STEP:
            break
        value, unit = value / STEP, larger
    return f"{value:.0f} {unit}" if unit == "kB" else f"{value:.1f} {unit}"


def ledger_bytes(path: Path) -> int:
    """The size of the ledger with what its write-ahead log holds, in bytes. Raises OSError when there is none."""
    log = beside(path, "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def free_bytes(folder: Path) -> int:
    """How many bytes this user can still write there. Raises OSError."""
    return shutil.disk_usage(folder).free


def beside(path: Path, ending: str) -> Path:
    """The file that SQLite keeps beside a database: `-wal`, `-shm`, `-journal`."""
    return path.with_name(f"{path.name}{ending}")
