"""The rejected rows of an audience: the first few to show, all of them in a CSV."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self, TextIO

from campaigns.audience import RejectedRow
from sender.errors import InputError
from sender.tables import REJECTS_HEADER, csv_line, reject_line


class Rejects:
    """Takes rejected rows as they come. `first` holds the first `keep` of them.

    The file at `out`, when one is wanted, is readable by its owner alone, and is none of `inputs`.
    """

    def __init__(self, out: Path | None, *, keep: int, inputs: Iterable[str | Path] = ()) -> None:
        self.first: list[RejectedRow] = []
        self._out = out
        self._keep = keep
        self._inputs = tuple(inputs)
        self._stream: TextIO | None = None

    def __enter__(self) -> Self:
        if self._out:
            self._refuse_inputs(self._out)
            try:
                descriptor = os.open(self._out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            except OSError as error:
                raise self._failure(error) from error
            self._stream = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")
            self._write(csv_line(REJECTS_HEADER))
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            try:
                self._stream.close()
            except OSError as error:
                raise self._failure(error) from error

    def add(self, row: RejectedRow) -> None:
        """One more rejected row. Raises InputError when it can't be written."""
        if len(self.first) < self._keep:
            self.first.append(row)
        if self._stream:
            self._write(reject_line(row))

    def _write(self, line: str) -> None:
        assert self._stream  # noqa: S101 – both callers have looked
        try:
            self._stream.write(line)
        except OSError as error:
            raise self._failure(error) from error

    def _refuse_inputs(self, out: Path) -> None:
        if any(out.exists() and os.path.exists(path) and os.path.samefile(out, path) for path in self._inputs):  # noqa: PTH110, PTH121
            raise InputError(f"--rejects: {out} is what the audience is read from: name another file")

    def _failure(self, error: OSError) -> InputError:
        return InputError(f"--rejects: {self._out} can't be written: {error.strerror}")
