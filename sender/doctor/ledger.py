"""The ledger: where it lies, whether it is healthy, and which of its runs wait for a person."""

import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sender.doctor.finding import THIS_MACHINE, Finding, problem, warning, well
from sender.ledger import checkup
from sender.ledger.checkup import RunHealth
from sender.ledger.sizes import free_bytes, ledger_bytes, sized
from sender.report import spelled

CLOCK_SLACK_SECONDS: Final = 60.0  # as `send` allows
# A plan takes some 30 bytes for each recipient with three identifiers; the log may take as much once more.
LOW_DISK_BYTES: Final = 200_000_000
SHOWN: Final = 5


def ledger_healthy(path: Path) -> Finding:
    """Where the ledger is, and whether it can be relied on."""
    if kind := checkup.network_file_system(path):
        says = f"{path} lies on a network file system ({kind}), where locks and durability can't be relied on"
        return problem("ledger", says, "let CAMPAIGN_LEDGER name a path on a local disk", THIS_MACHINE)
    if not path.exists():
        return _none_yet(path)
    found = checkup.integrity(path)
    if found.damage:
        says = f"{path} is damaged: {'; '.join(found.damage)}"
        do = "send nothing, keep the file, and restore a backup: see docs/ledger.md"
        return problem("ledger", says, do, THIS_MACHINE)
    if found.schema > found.newest:
        says = f"{path} has schema {found.schema}, and this version of campaign knows up to {found.newest}"
        return problem("ledger", says, "use the newer campaign that wrote it", THIS_MACHINE)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return problem("ledger", f"{path} can't be written", "see to its owner and permissions", THIS_MACHINE)
    if found.schema == 0:
        return well("ledger", f"{path} is empty as yet; `send` makes a ledger of it")
    schema = f"schema {found.schema}"
    if found.schema < found.newest:
        schema += f" (the next command makes it {found.newest})"
    return well("ledger", f"{path} is sound: {sized(ledger_bytes(path))}, {schema}")


def ledger_private(path: Path) -> Finding:
    """Whether the ledger's owner alone can read it."""
    files = checkup.open_to_others(path)
    if not files:
        return well("ledger permissions", "readable by its owner alone")
    more = f" and {len(files) - 1:,} more" if len(files) > 1 else ""
    says = f"others may read or write {files[0]}{more}, and a ledger holds people's names"
    return warning("ledger permissions", says, f"chmod go= {shlex.quote(str(path))}*")


def runs_in_order(path: Path) -> list[Finding]:
    """How many runs there are; then whose sender died, and who is in doubt, where there is somebody."""
    runs = checkup.run_health(path)
    sent = sum(run.is_sent for run in runs)
    findings = [well("runs", spelled(len(runs), "run") + (f", {sent:,} being sent now" if sent else ""))]
    if dead := [run for run in runs if run.has_died]:
        says = f"the sender died of {_names(dead)}"
        findings.append(warning("dead senders", says, "the same `campaign send` goes on where it stopped"))
    if doubtful := [run for run in runs if run.unknown]:
        count = sum(run.unknown for run in doubtful)
        says = f"{spelled(count, 'recipient')} may or may not have got the message, in {_names(doubtful)}"
        do = f"campaign resolve {doubtful[0].name} --inspect, then decide: nobody is sent to again by itself"
        findings.append(warning("unknown recipients", says, do))
    return findings


def last_call_past(path: Path, now: float) -> Finding:
    """Whether the last call in the ledger lies in the past."""
    last = checkup.last_call_at(path)
    if last is None:
        return well("last call", "none yet")
    when = f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if last > now + CLOCK_SLACK_SECONDS:
        says = f"was at {when}, which is yet to come by this machine's clock"
        return problem("last call", says, "set the clock right: `send` refuses until then", THIS_MACHINE)
    return well("last call", f"was at {when}")


def disk_has_room(path: Path) -> Finding:
    """How much room there is where the ledger is, or will be."""
    folder = _existing(path.parent)
    free = free_bytes(folder)
    says = f"{sized(free)} free at {folder}"
    if free == 0:
        return problem("disk", says, "make room: nothing can be sent that can't be written down first", THIS_MACHINE)
    if free < LOW_DISK_BYTES:
        do = f"make room: below {sized(LOW_DISK_BYTES)} a large audience may not fit, and a full disk stops a run"
        return warning("disk", says, do)
    return well("disk", says)


def _none_yet(path: Path) -> Finding:
    folder = _existing(path.parent)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        do = "see to its owner and permissions, or let CAMPAIGN_LEDGER name another place"
        return problem("ledger", f"there is none yet, and {folder} can't be written", do, THIS_MACHINE)
    return well("ledger", f"none yet; `send` makes it at {path}")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def _names(runs: list[RunHealth]) -> str:
    shown = ", ".join(run.name for run in runs[:SHOWN])
    return shown + (f" and {len(runs) - SHOWN:,} more" if len(runs) > SHOWN else "")
