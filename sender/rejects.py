"""The rejected rows of an audience: the first few to show, all of them in a CSV."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TextIO

from campaigns.audience import RejectedRow
from sender.errors import InputError
from sender.tables import REJECTS_HEADER, csv_line, reject_line


class Rejects:
    """Takes rejected rows as they come. `first` holds the first `keep` of them.

    The file at `out`, when one is wanted, is readable by its owner alone.
    """

    def __init__(self, out: Path | None, *, keep: int) -> None:
        self.first: list[RejectedRow] = []
        self._out = out
        self._keep = keep
        self._stack = ExitStack()
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        if self._out:
            try:
                descriptor = os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            except OSError as error:
                raise InputError(f"--rejects: {self._out} can't be written: {error.strerror}") from error
            self._stream = self._stack.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline=""))
            self._stream.write(csv_line(REJECTS_HEADER))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, row: RejectedRow) -> None:
        """One more rejected row."""
        if len(self.first) < self._keep:
            self.first.append(row)
        if self._stream:
            self._stream.write(reject_line(row))
