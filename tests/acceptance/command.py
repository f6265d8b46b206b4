"""The command as its users run it: a process of its own, with an environment of its own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.acceptance import forkserver

EXECUTABLE = Path(sys.executable).with_name("campaign")
TOKEN = "inro-test-token-4711"
SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command printed and how it exited."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document that it is."""
        return orjson.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines on standard error."""
        return [orjson.loads(line) for line in self.err.splitlines() if line.startswith("{")]


@dataclass(kw_only=True)
class Command:
    """Runs `campaign` in `folder`. Nothing of the developer's own environment reaches it but PATH."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __call__(
        self, *arguments: str | Path, stdin: bytes | None = None, environ: Mapping[str, str | None] | None = None
    ) -> Ended:
        """Runs the command to its end. A variable that is None is unset."""
        settings = self._environ(environ or {})
        if forkserver.can_fork(settings):
            code, out, err = forkserver.run(
                list(map(str, arguments)), folder=self.folder, environ=settings, stdin=stdin or b"", seconds=SECONDS
            )
            return Ended(code=code, out=out.decode(), err=err.decode())
        done = subprocess.run(
            [EXECUTABLE, *arguments],
            cwd=self.folder,
            env=settings,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return Ended(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def start(self, *arguments: str | Path, environ: Mapping[str, str | None] | None = None) -> "Running":
        """Starts the command and returns while it runs."""
        process = subprocess.Popen(
            [EXECUTABLE, *arguments],
            cwd=self.folder,
            env=self._environ(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        return Running(process)

    def _environ(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        # No certificates: aiohttp reads the system's at import, a tenth of each start, and every server here is plain.
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "SSL_CERT_FILE": os.devnull}
        wanted = {**own, **self.environ, **changes}
        return {name: value for name, value in wanted.items() if value is not None}


class Running:
    """A command under way; its output is collected as it comes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._out: list[bytes] = []
        self._err: list[bytes] = []
        self._readers = [
            threading.Thread(target=self._collect, args=(process.stdout, self._out)),
            threading.Thread(target=self._collect, args=(process.stderr, self._err)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _collect(stream: Any, lines: list[bytes]) -> None:
        with stream:
            for line in stream:
                lines.append(line)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Returns as soon as the condition holds; fails when the command ends, or takes a minute, before."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.err}"
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.005)

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return b"".join(self._err).decode()

    @property
    def out(self) -> str:
        """What it has written to standard output so far."""
        return b"".join(self._out).decode()

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Waits for the end."""
        code = self.process.wait(SECONDS)
        for reader in self._readers:
            reader.join()
        return Ended(code=code, out=self.out, err=self.err)
