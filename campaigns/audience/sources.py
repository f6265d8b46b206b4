"""The files of an audience: opened, spooled when they flow only once, watched for changes while read."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Self

from campaigns.errors import AudienceError, Place, Problem
from campaigns.model import STANDARD_INPUT


@dataclass(frozen=True)
class SourceStamp:
    """What tells one state of a file from another; standard input has size -1."""

    path: str
    size: int
    mtime_ns: int
    inode: int


def stamp(path: str | Path) -> SourceStamp | None:
    """The stamp of the file as it is now; None when it is gone, or was standard input."""
    if str(path) == STANDARD_INPUT:
        return None
    try:
        return _stamp_of(str(path), os.stat(path))  # noqa: PTH116  # an OSError or ValueError, whatever the string
    except (OSError, ValueError):
        return None


def _stamp_of(path: str, status: os.stat_result) -> SourceStamp:
    return SourceStamp(path, status.st_size, status.st_mtime_ns, status.st_ino)


def display_name(path: str) -> str:
    """How messages name a file: relative to the current folder when it lies below it, else absolute."""
    if path == STANDARD_INPUT:
        return "<stdin>"
    absolute = os.path.abspath(path)  # noqa: PTH100  # resolve() would follow links: the user knows the link's name
    try:
        here = os.path.join(os.getcwd(), "")  # noqa: PTH109, PTH118
    except OSError:  # the current folder is gone
        return absolute
    return absolute.removeprefix(here)


def file_error(path: str, message: str) -> AudienceError:
    """An AudienceError about the file as a whole, placed at its beginning."""
    return AudienceError([Problem(place=Place(file=display_name(path), line=1, column=1), message=message)])


class Sources:
    """The files of one reading, each of which can be opened several times and must not change in between.

    What flows only once, standard input and named pipes, is first copied to a private, unnamed temporary
    file. Standard input itself is left open.
    """

    def __init__(self, stdin: BinaryIO | None = None) -> None:
        self._stdin = stdin
        self._spools: dict[str, IO[bytes]] = {}
        self._stamps: dict[str, SourceStamp] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def stamps(self) -> dict[str, SourceStamp]:
        """The stamp of every file as it was first opened, by path."""
        return dict(self._stamps)

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """The file from its beginning, seekable. Raises AudienceError when it can't be opened or has changed.

        It must be the same when it is closed as it was when it was first opened, unless reading it failed.
        """
        with ExitStack() as stack:
            with explained(path):
                stream = self._spools.get(path) or self._open(path, stack)
                stream.seek(0)
            yield stream
            if path not in self._spools:
                with explained(path):
                    self._check_unchanged(path, stream)

    def _open(self, path: str, stack: ExitStack) -> IO[bytes]:
        if path == STANDARD_INPUT:
            if self._stdin is None:
                raise file_error(path, "found no standard input; accepted is a file, or input that is piped in")
            self._stamps[path] = SourceStamp(path, -1, 0, 0)
            return self._spool(path, self._stdin)
        stream = stack.enter_context(Path(path).open("rb"))  # noqa: SIM115  # the stack closes it
        status = os.fstat(stream.fileno())
        self._stamps.setdefault(path, _stamp_of(path, status))
        if stat.S_ISFIFO(status.st_mode):
            return self._spool(path, stream)
        self._check_unchanged(path, stream)
        return stream

    def _spool(self, path: str, stream: IO[bytes]) -> IO[bytes]:
        spool = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # likewise
        shutil.copyfileobj(stream, spool)
        self._spools[path] = spool
        return spool

    def _check_unchanged(self, path: str, stream: IO[bytes]) -> None:
        if _stamp_of(path, os.fstat(stream.fileno())) != self._stamps[path]:
            raise file_error(path, "the file changed while it was being read; try again when it is complete")


@contextmanager
def explained(path: str) -> Iterator[None]:
    """Turns what the system says about the file into an AudienceError; nothing else belongs inside."""
    try:
        yield
    except FileNotFoundError as error:
        raise file_error(path, "found no such file; check the name, which is relative to the campaign file") from error
    except IsADirectoryError as error:
        raise file_error(path, "found a folder; accepted is a CSV file, or a list of them") from error
    except PermissionError as error:
        raise file_error(path, "no permission to read the file; make it readable for the user who sends") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise file_error(path, f"the file can't be read: {reason}") from error
