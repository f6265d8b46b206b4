"""One run, one sender: the lock between real processes."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sender.errors import LedgerError, RunHeld
from sender.ledger.lock import holder, run_lock

HOLDING = """
import sys
from pathlib import Path
from sender.ledger.lock import run_lock
with run_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextmanager
def held_by_another(ledger: Path, run: str = "spring") -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds the run's lock until its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, ledger, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_second_sender_is_told_who_holds_the_run(ledger: Path) -> None:
    before = datetime.now(UTC)
    with held_by_another(ledger) as process:
        with pytest.raises(RunHeld) as caught, run_lock(ledger, "spring"):
            pass
        found = holder(ledger, "spring")

    assert found is not None
    assert (found.host, found.pid, found.stopped) == (socket.gethostname(), process.pid, False)
    assert before - timedelta(minutes=1) < found.since <= datetime.now(UTC)
    assert str(caught.value) == (
        f"the run spring is being sent already, by process {process.pid} on {socket.gethostname()}, "
        f"since {found.since:%Y-%m-%d %H:%M:%S} UTC, running"
    )
    assert caught.value.exit_code == 5


def test_another_run_in_the_same_ledger_is_free(ledger: Path) -> None:
    with held_by_another(ledger, "spring"), run_lock(ledger, "autumn"):
        assert holder(ledger, "spring") is not None
        assert holder(ledger, "summer") is None


def test_a_stopped_holder_is_said_to_be_stopped(ledger: Path) -> None:
    with held_by_another(ledger) as process:
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)

        found = holder(ledger, "spring")

        assert found is not None
        assert found.stopped
        assert str(found).endswith("UTC, stopped; `kill -CONT` wakes it")


def test_the_lock_is_free_the_moment_its_holder_is_killed(ledger: Path) -> None:
    with held_by_another(ledger) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert holder(ledger, "spring") is None
        with run_lock(ledger, "spring"):
            found = holder(ledger, "spring")

    assert found is not None
    assert found.pid == os.getpid()


def test_the_lock_is_free_after_its_context_also_when_that_fails(ledger: Path) -> None:
    with pytest.raises(ValueError, match="no"), run_lock(ledger, "spring"):
        raise ValueError("no")

    assert holder(ledger, "spring") is None
    with run_lock(ledger, "spring"):
        pass


def test_the_lock_is_not_inherited_by_programs_that_the_sender_starts(ledger: Path) -> None:
    program = "import sys; print('here', flush=True); sys.stdin.read()"
    with run_lock(ledger, "spring"):
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
        )

    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        assert holder(ledger, "spring") is None
    finally:
        child.communicate(b"")


def test_nobody_holds_a_run_that_never_was(ledger: Path) -> None:
    assert holder(ledger, "spring") is None
    assert list(ledger.parent.iterdir()) == []


def test_a_look_at_the_holder_in_the_same_moment_does_not_make_a_sender_fail(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run_lock(ledger, "spring"):
        pass
    looking = os.open(ledger.with_name("ledger.db-spring.lock"), os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    waits = []

    def look_ends(seconds: float) -> None:
        waits.append(seconds)
        fcntl.flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr(time, "sleep", look_ends)

    with run_lock(ledger, "spring"):
        assert len(waits) == 1
    os.close(looking)


LOOKING = """
import sys
from pathlib import Path
from sender.ledger.lock import holder
print("looking", flush=True)
while True:
    holder(Path(sys.argv[1]), "spring")
"""


def test_looking_all_the_time_makes_no_sender_fail(ledger: Path) -> None:
    with run_lock(ledger, "spring"):
        pass
    process = subprocess.Popen([sys.executable, "-c", LOOKING, ledger], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"looking\n"
        for _ in range(20):
            with run_lock(ledger, "spring"):
                pass
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"host":"x"}', b'{"host":"x","pid":"y","since":"z"}'])
def test_a_holder_that_has_not_signed_yet_is_another_process(ledger: Path, content: bytes) -> None:
    with held_by_another(ledger):
        ledger.with_name("ledger.db-spring.lock").write_bytes(content)

        assert holder(ledger, "spring") is None
        with pytest.raises(RunHeld, match="the run spring is being sent already, by another process"):
            run_lock(ledger, "spring").__enter__()


def test_a_lock_that_can_not_be_opened_is_a_fault_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "none" / "ledger.db"

    with pytest.raises(LedgerError) as caught:
        run_lock(path, "spring").__enter__()

    assert str(caught.value) == (
        f"the lock {path}-spring.lock beside the ledger can't be opened: No such file or directory"
    )
