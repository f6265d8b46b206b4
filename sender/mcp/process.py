"""`campaign send` as a process of its own, which neither this server's end nor a client's can stop or double."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sender import logs
from sender.errors import LedgerError

HELD = 5
REFUSED = (1, 2, 6, 7)  # nothing was sent by this sender, or it is a fault of this machine


@dataclass(frozen=True)
class Sender:
    """A sender that was started, and the file that its log is appended to from `offset` on."""

    process: "subprocess.Popen[bytes]"
    log: Path
    offset: int

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it works."""
        return self.process.poll()

    def said(self) -> str:
        """The sentences with which it ended, those of a person's terminal, without its log lines."""
        try:
            written = self.log.read_bytes()[self.offset :]
        except OSError:
            return ""
        lines = [line for line in written.decode("utf-8", "replace").splitlines() if line and line[0] != "{"]
        if self.exit_code == 1:
            lines = lines[-1:]  # what is above it is a traceback
        text = "\n".join(line.removeprefix("campaign: ") for line in lines)
        return text.replace("--expect says", "`recipients` says")  # an agent knows the tool's argument, not our flag


def log_file(ledger: Path, run: str) -> Path:
    """Where the log of a run's senders is, beside the ledger."""
    return ledger.with_name(f"{ledger.name}-{run}.log")


def start_sender(
    file: Path, *, run: str, ledger: Path, expect: int, fingerprint: str, sandbox_url: str | None
) -> Sender:
    """Starts the command that sends this plan and no other. Raises LedgerError when its log can't be written."""
    log = log_file(ledger, run)
    try:
        ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(f"the log {log} beside the ledger can't be written: {error.strerror}") from error
    agreed = ["--yes", "--expect", str(expect), f"--fingerprint={fingerprint}"]
    where = ["--sandbox-at", sandbox_url] if sandbox_url else []
    command = [sys.executable, "-P", "-m", "sender", "send", "--run", run, *agreed, *where, "--json", "--no-progress"]
    try:
        offset = os.fstat(descriptor).st_size
        # A pipe would break with this server, or fill up with a client that does not read it.
        process = subprocess.Popen(  # noqa: S603 – our own command
            [*command, "--", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=descriptor,
            env={**os.environ, **logs.AS_JSON},
            start_new_session=True,  # a ^C ends the server alone
        )
    finally:
        os.close(descriptor)
    return Sender(process, log, offset)
