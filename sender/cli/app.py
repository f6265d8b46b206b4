"""The group of all commands, and how every ending becomes an exit code and a sentence."""

import gc
import os
import sys
from typing import NoReturn

import rich_click as click

from sender.cli import authoring, doctor, ledger, levers, looking, mcp, media, sandbox, scheduling, sending

# Rows and recipients are many and form no cycles: looking for some at every 700 takes a third of the time.
GARBAGE_THRESHOLDS = 500_000, 20, 100

click.rich_click.COMMAND_GROUPS = {
    "*": [
        {"name": "Write and check", "commands": ["init", "schema", "check", "plan"]},
        {"name": "Send", "commands": ["test", "send", "schedule", "due"]},
        {"name": "Look", "commands": ["status", "runs", "report"]},
        {"name": "Steer", "commands": ["pause", "resume", "cancel", "rate", "retry", "resolve"]},
        {"name": "Media", "commands": ["medias", "media-files"]},
        {"name": "Look after", "commands": ["doctor", "ledger"]},
        {"name": "Rehearse", "commands": ["sandbox"]},
        {"name": "Let agents do it", "commands": ["mcp"]},
    ]
}
click.rich_click.MAX_WIDTH = 110
# Left alone, rich-click takes FORCE_COLOR and GITHUB_ACTIONS for a terminal, and colours what is piped.
click.rich_click.FORCE_TERMINAL = None if sys.stdout and sys.stdout.isatty() else False
click.rich_click.TEXT_PARAGRAPH_LINEBREAKS = "\n\n"
click.rich_click.PADDING_HELPTEXT_FIRST_LINE = (0, 0, 1, 0)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="inro-campaigns", prog_name="campaign")
def campaign() -> None:
    """Send a bulk campaign of Instagram direct messages through the Inrō API: nobody twice, nobody lost.

    \b
    campaign init spring && cd spring      # a campaign and a CSV to start from
    campaign plan campaign.yaml            # who would get it, nothing is sent
    campaign send campaign.yaml --sandbox  # a rehearsal on this machine
    campaign send campaign.yaml            # the real thing, or going on with it
    """


for module in (authoring, sending, scheduling, looking, levers, media, doctor, ledger, sandbox, mcp):
    for command in module.COMMANDS:
        campaign.add_command(command)


def _occupy_closed_streams() -> None:
    """A socket or a file must not get the number of a standard stream that was closed: uvloop aborts on that."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest free number
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def main() -> NoReturn:
    """Runs the command and exits with one of the documented codes; only a bug shows a traceback."""
    _occupy_closed_streams()
    stdout = sys.stdout
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # not every encoding has an ō
    try:
        code = campaign(standalone_mode=False) or 0
        sys.stdout.flush()
    except BrokenPipeError:
        code = _nobody_reads()
    except SystemExit as error:
        # This is how click reports a broken pipe, having put a wrapper around the stream.
        code = _nobody_reads() if sys.stdout is not stdout else int(error.code or 0)
    except click.exceptions.Exit as error:  # type: ignore[attr-defined]  # rich-click re-exports it untyped
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:
        from sender.cli.endings import explain

        code = explain(error)
    _flush_errors()
    gc.freeze()  # to look through all modules for cycles once more takes a fifth of a short command
    sys.exit(code)


def _flush_errors() -> None:
    # What can't be written to standard error would turn every exit code into 120.
    try:
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _nobody_reads() -> int:
    # Whoever read our output has gone, as `campaign runs | head` does: nothing is wrong.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0
