"""The command on a pseudo-terminal, as a person at a keyboard runs it."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.acceptance.command import EXECUTABLE, SECONDS, Command

CONTROL_C = "\x03"
# Only the terminal that a session calls its own turns ^C into a signal.
LAUNCHER = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """`campaign` in a session of its own, whose controlling terminal this is: what is typed here reaches it there."""

    def __init__(self, campaign: Command, *arguments: str | Path, environ: Mapping[str, str] | None = None) -> None:
        self.shown = ""
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, EXECUTABLE, *arguments],
            cwd=campaign.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(campaign.folder),
                "TERM": "xterm-256color",
                "COLUMNS": "100",
                **campaign.environ,
                **(environ or {}),
            },
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    def read_until(self, pattern: str) -> None:
        """Returns as soon as this has been shown; fails when the command ends, or takes a minute, before."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.text):
            assert time.monotonic() < deadline, f"never shown: {pattern!r}, but {self.shown!r}"
            assert self._read(1.0) or self._process.poll() is None, f"ended without {pattern!r}: {self.shown!r}"

    @property
    def text(self) -> str:
        """All that has been shown so far, without what colours it and moves the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.shown)

    def type(self, keys: str) -> None:
        """Presses these keys."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> int:
        """The exit code, with ^C pressed once."""
        self.type(CONTROL_C)
        return self.end()

    def end(self) -> int:
        """The exit code, once the command has ended and all that it has shown is read."""
        deadline = time.monotonic() + SECONDS
        while self._process.poll() is None:
            assert time.monotonic() < deadline, f"does not end: {self.shown!r}"
            self._read(0.02)
        while self._read(0.0):
            pass
        return self._process.returncode

    def _read(self, seconds: float) -> bool:
        readable, _, _ = select.select([self._ours], [], [], seconds)
        if not readable:
            return False
        try:
            self.shown += os.read(self._ours, 65_536).decode("utf-8", "replace")
        except OSError:  # on Linux a terminal that everybody has closed is an error, not an end
            return False
        return True
