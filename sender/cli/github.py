"""What a GitHub workflow sees of a command: annotations, the step's summary and its outputs. Elsewhere, nothing.

All of it is an extra: whatever keeps it from being written changes nothing about how the command ends.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sender.annotations import Level
    from sender.diagnosis import Finding

SUMMARY = "GITHUB_STEP_SUMMARY"
OUTPUT = "GITHUB_OUTPUT"


def annotate(level: "Level", findings: "Iterable[Finding]") -> None:
    """Annotates the findings, on standard error: standard output may be one JSON document."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from sender.annotations import annotation

    with suppress(OSError, AttributeError):
        folder = os.getcwd()  # noqa: PTH109 – a Path would have to be made text again
        workspace = os.environ.get("GITHUB_WORKSPACE") or folder
        names = (workspace, os.path.realpath(workspace))
        for finding in findings:
            sys.stderr.write(f"{annotation(level, finding, folder=folder, workspaces=names)}\n")


def tell(summary: str, outputs: Mapping[str, object]) -> None:
    """Adds to the step's summary and sets its outputs."""
    from sender.summary import output_lines

    _append(SUMMARY, f"{summary}\n")
    _append(OUTPUT, output_lines(outputs))


@contextmanager
def told_of_failure(command: str) -> Iterator[None]:
    """A step's summary and outputs for the error that ends the command inside, which goes on as it was."""
    try:
        yield
    except BrokenPipeError:  # whoever read our output has gone, which is no failure
        raise
    except Exception as error:
        from sender.diagnosis import diagnose
        from sender.summary import of_failure

        found = diagnose(error)
        tell(of_failure(command, found), {"exit-code": found.exit_code})
        raise


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if not path:
        return
    with suppress(OSError, ValueError):
        # A named pipe that nobody reads would keep the command waiting for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
