"""What is due, started: each sending is a process of its own, `campaign send`, so that none can harm another.

A scheduler that is killed leaves its senders at work; the next one finds their runs held, and leaves them alone.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import orjson
import structlog

from sender import logs
from sender.agenda import Agenda, Sending, unfinished
from sender.errors import InputError, LedgerError, RunHeld
from sender.ledger import Ledger, open_ledger
from sender.ledger.lock import holder
from sender.outcome import RunState
from sender.signals import CAUGHT

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 60.0  # after a sending that failed for a reason that may pass: a CSV that is not there yet
SWEEP_SECONDS = 60.0  # between looks for what an earlier occurrence left unfinished: it reads every run
OVER = (RunState.COMPLETED, RunState.CANCELLED, RunState.STOPPED)
BAD_INPUT, THIS_MACHINE = InputError.exit_code, LedgerError.exit_code
INTERRUPTED_CODES = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGTERM)  # the last before it could catch it
FINAL_CODES = (0, 3, 4, 6, 128 + signal.SIGINT, 128 + signal.SIGTERM)  # done, or for a person to look at


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How one sending ended: its exit code, and its report as `send --json` prints it; None when it printed none."""

    run: str
    file: str
    exit_code: int
    report: Mapping[str, object] | None

    def as_json(self) -> dict[str, object]:
        """The ending as JSON."""
        return {"run": self.run, "file": self.file, "exit_code": self.exit_code, "report": self.report}


async def to_start(sending: Sending, ledger: Ledger, path: Path) -> Sending | None:
    """The sending as it is to be started now; None when it is done, under way, or waits for a person.

    A run that has begun goes on, however late; what stopped, or was paused, is left to whoever looks at it.
    """
    run = await ledger.find_run(sending.run)
    if holder(path, sending.run):
        return None  # also one whose sender is planning yet
    if run is None or run.state is RunState.PLANNING:
        return None if sending.is_forgotten else sending
    if run.state in OVER or run.held:
        return None
    return replace(sending, missed="")


@dataclass(kw_only=True)
class Scheduler:
    """Starts what is due. `run` goes on for ever, `once` does it one time; a signal lets what is being sent finish.

    agenda      the campaign files
    ledger      the ledger's path
    arguments   what every `campaign send` is given besides: `--sandbox`
    clock       seconds since 1970
    """

    agenda: Agenda
    ledger: Path
    log: structlog.typing.FilteringBoundLogger
    arguments: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    sent: list[Sent] = field(default_factory=list, init=False)
    _senders: dict[str, asyncio.subprocess.Process | None] = field(default_factory=dict, init=False)
    _not_before: dict[str, float] = field(default_factory=dict, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _told: list[str] = field(default_factory=list, init=False)
    _fault: str = field(default="", init=False)
    _swept_at: float = field(default=float("-inf"), init=False)

    async def run(self) -> None:
        """Starts what is due, whenever it is, until SIGTERM or SIGINT; returns once all senders have ended."""
        self.log.info(logs.SCHEDULE_STARTED, ledger=str(self.ledger))
        async with self._working() as (ledger, senders):
            while not self._stopping.is_set():
                await self._look_again(ledger, senders)
                await _wait(self._stopping, LOOK_SECONDS)
        self.log.info(logs.SCHEDULE_ENDED)

    async def once(self) -> list[Sent]:
        """Starts what is due now, and returns how it ended."""
        async with self._working() as (ledger, senders):
            await self._look(ledger, senders)
        return self.sent

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[tuple[Ledger, asyncio.TaskGroup]]:
        """The ledger, and the group of the senders, which are let finish whatever goes wrong in the context.

        A group that is cancelled would have asyncio kill them, in the middle of their calls.
        """
        failures: list[Exception] = []
        async with self._signals(), open_ledger(self.ledger) as ledger, asyncio.TaskGroup() as senders:
            try:
                yield ledger, senders
            except Exception as error:
                failures.append(error)
        for failure in failures:
            raise failure

    async def _look_again(self, ledger: Ledger, senders: asyncio.TaskGroup) -> None:
        fault = ""
        try:
            await self._look(ledger, senders)
        except LedgerError as error:  # a full disk may have room again
            fault = str(error)
        if fault and fault != self._fault:
            self.log.error(logs.SCHEDULE_FAULT, reason=fault)
        self._fault = fault

    async def _look(self, ledger: Ledger, senders: asyncio.TaskGroup) -> None:
        self.agenda.refresh()
        for problem in self.agenda.problems:
            if problem not in self._told:
                self.log.error(logs.SCHEDULE_BAD_FILE, problem=problem)
        self._told = self.agenda.problems
        sendings = self.agenda.due(datetime.fromtimestamp(self.clock(), UTC))
        for sending in [*sendings, *await self._unfinished(ledger)]:
            if sending.run in self._senders or self.clock() < self._not_before.get(_key(sending), 0.0):
                continue
            found = await to_start(sending, ledger, self.ledger)
            if found and not self._stopping.is_set():
                self._senders[found.run] = None
                senders.create_task(self._send(found))

    async def _unfinished(self, ledger: Ledger) -> list[Sending]:
        if 0 <= self.clock() - self._swept_at < SWEEP_SECONDS:
            return []
        self._swept_at = self.clock()
        return await unfinished((campaign for campaign, _ in self.agenda.campaigns), ledger)

    async def _send(self, sending: Sending) -> None:
        file, log = sending.campaign.file, self.log.bind(run=sending.run, campaign=sending.campaign.campaign)
        log.info(logs.SCHEDULE_DUE, file=str(file), **({"missed": sending.missed} if sending.missed else {}))
        key = _key(sending)  # the file as it is read now: another version of it is another try
        try:
            code, printed = await self._run(sending)
        except OSError as error:  # no memory, no process more
            log.error(logs.SCHEDULE_FAULT, reason=f"no sender can be started: {error.strerror or error}")
            code, printed = THIS_MACHINE, b""
        finally:
            del self._senders[sending.run]
        # What was missed and can't even be planned is given up: its time does not come again.
        is_final = code in FINAL_CODES or (sending.missed and code == BAD_INPUT)
        self._not_before[key] = float("inf") if is_final else self.clock() + AGAIN_SECONDS
        self.sent.append(Sent(run=sending.run, file=str(file), exit_code=code, report=_report(printed)))
        # 5: somebody else was faster, and sends it.
        is_well = code in (0, RunHeld.exit_code) or (self._stopping.is_set() and code in INTERRUPTED_CODES)
        (log.info if is_well else log.error)(logs.SCHEDULE_SENT, exit_code=code)

    async def _run(self, sending: Sending) -> tuple[int, bytes]:
        """The exit code of its sender, and what it printed."""
        sender = await asyncio.create_subprocess_exec(
            *self._command(sending),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # a ^C is for the scheduler alone, which passes it on once
        )
        self._senders[sending.run] = sender
        if self._stopping.is_set():
            _terminate(sender)
        printed, _ = await sender.communicate()
        return sender.returncode or 0, printed

    def _command(self, sending: Sending) -> list[str]:
        missed = ["--missed", sending.missed] if sending.missed else []
        send = ["send", str(sending.campaign.file), "--run", sending.run, "--yes", "--json", "--no-progress"]
        return [sys.executable, "-P", "-m", "sender", *send, *missed, *self.arguments]

    @asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        for number in CAUGHT:
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in CAUGHT:
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        if not self._stopping.is_set():
            self.log.info(logs.SCHEDULE_STOPPING, sending=sorted(self._senders))
        self._stopping.set()
        for sender in self._senders.values():
            if sender:
                _terminate(sender)


def _terminate(sender: asyncio.subprocess.Process) -> None:
    # Not its `terminate`, which looks first whether it has ended, and so takes its exit code from asyncio.
    if sender.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(sender.pid, signal.SIGTERM)


def _key(sending: Sending) -> str:
    """What a failed sending is remembered by: another version of its file is another try."""
    file = sending.campaign.file
    try:
        return f"{sending.run} {file.stat().st_mtime_ns}"
    except OSError:
        return sending.run


def _report(printed: bytes) -> Mapping[str, object] | None:
    try:
        found = orjson.loads(printed)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
