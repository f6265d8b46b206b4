"""A run watched through the ledger, as another process sees it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from sender.errors import InputError
from sender.ledger import Ledger, open_ledger
from sender.ledger.lock import run_lock
from sender.noting import Noting
from sender.outcome import ChunkState, Outcome, RunState, Then
from sender.ports import Watcher
from sender.watch import Moment, moments
from tests.integration.plans import claimed, pending, sealed_run

ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202, seconds=0.1)
UNKNOWN = Outcome(chunk=ChunkState.UNKNOWN, status=500, reason="HTTP 500", seconds=0.1)
LATER = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429, reason="HTTP 429")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


async def look(path: Path, name: str | None = None) -> Moment:
    """The first moment that a watcher sees."""
    async with aclosing(moments(path, name)) as seen:
        return await anext(seen)


async def test_a_moment_tells_pace_rate_pause_failures_and_sender(path: Path, ledger: Ledger) -> None:
    run, now = await sealed_run(ledger, [10] * 8), time.time()
    with run_lock(path, run.name):
        await ledger.start_session(run.id, now - 100)
        await ledger.note_rate(run.id, "120/min")
        outcomes = [ACCEPTED, UNKNOWN, LATER, ACCEPTED]
        for chunk, outcome, ago in zip(await pending(ledger, run), outcomes, (50, 8, 4, 2), strict=False):
            attempt = await claimed(ledger, chunk, now - ago)
            assert attempt
            await ledger.settle(attempt, outcome, now - ago)
        await ledger.note_pause(run.id, now + 60, "HTTP 429")
        moment = await look(path)

    assert not moment.is_over
    assert moment.sender
    assert moment.sender.pid == os.getpid()
    assert moment.calls_per_second == pytest.approx(0.3)
    assert moment.rate_asked == "120/min"
    assert moment.pause
    assert moment.pause.until == pytest.approx(now + 60)
    assert [(each.result, each.recipients, each.reason) for each in moment.failures] == [("unknown", 10, "HTTP 500")]
    # 40 recipients of the last minute, two seconds of it idle; 50 are left, after the pause.
    assert moment.seconds_left == pytest.approx(60 + 50 * 58 / 40, abs=3)
    live = moment.as_json()["live"]
    assert isinstance(live, dict)
    assert set(live) == {
        "at", "calls_per_second", "rate_asked", "seconds_left", "pause", "sender", "failures"
    }  # fmt: skip


async def test_the_time_left_is_never_less_than_the_rate_allows(path: Path, ledger: Ledger) -> None:
    run, now = await sealed_run(ledger, [10] * 3), time.time()
    with run_lock(path, run.name):
        await ledger.start_session(run.id, now - 2)
        await ledger.note_rate(run.id, "1/h")
        attempt = await claimed(ledger, (await pending(ledger, run))[0], now - 1)
        await ledger.settle(attempt, ACCEPTED, now - 1)
        moment = await look(path)

    assert moment.seconds_left == pytest.approx(2 * 3600, abs=10)


async def test_a_pause_ends_with_its_time_and_with_its_session(path: Path, ledger: Ledger) -> None:
    run, now = await sealed_run(ledger, [10]), time.time()
    with run_lock(path, run.name):
        await ledger.start_session(run.id, now)
        await ledger.note_pause(run.id, now - 1, "HTTP 429")
        assert (await look(path)).pause is None
        await ledger.note_pause(run.id, now + 60, "HTTP 429")
        assert (await look(path)).pause is not None
        await ledger.start_session(run.id, now)
        assert (await look(path)).pause is None


async def test_a_sender_that_died_ends_the_watching_and_one_that_has_ended_did_not_die(
    path: Path, ledger: Ledger
) -> None:
    run = await sealed_run(ledger, [10])
    await ledger.start_session(run.id, time.time() - 5)
    died = await look(path)
    assert died.is_over
    assert died.report.state is RunState.INTERRUPTED
    assert "died" in died.report.reason

    await ledger.end_session(run.id, RunState.STOPPED, "HTTP 401", time.time())
    ended = await look(path)
    assert ended.is_over
    assert (ended.report.state, ended.report.reason) == (RunState.STOPPED, "HTTP 401")


async def test_the_watching_ends_when_the_run_does(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sender.watch.LOOK_SECONDS", 0.0)
    run = await sealed_run(ledger, [10])
    async with aclosing(moments(path, run.name)) as seen:
        with run_lock(path, run.name):
            assert not (await anext(seen)).is_over  # a sender that reads its audience still
            await ledger.start_session(run.id, time.time())
            assert not (await anext(seen)).is_over
            await ledger.end_session(run.id, RunState.COMPLETED, "", time.time())
            assert not (await anext(seen)).is_over
        assert [moment.is_over async for moment in seen] == [True]


async def test_without_a_name_it_is_the_run_that_is_being_sent_else_the_newest(path: Path, ledger: Ledger) -> None:
    older = await sealed_run(ledger, [10], "older")
    await sealed_run(ledger, [10], "newer")
    assert (await look(path)).report.run == "newer"
    with run_lock(path, "older"):
        await ledger.start_session(older.id, time.time())
        assert (await look(path)).report.run == "older"
        assert (await look(path, "newer")).report.run == "newer"


async def test_a_run_that_does_not_exist_is_the_same_error_as_without_watching(path: Path) -> None:
    with pytest.raises(InputError, match="nothing was ever sent from here"):
        await look(path)
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [10])
    with pytest.raises(InputError, match="there is no run 'sprnig'; the ledger has: spring"):
        await look(path, "sprnig")


class Told:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.pauses: list[tuple[float, str]] = []

    def settled(self, recipients: int, outcome: Outcome) -> None:
        pass

    def paused(self, seconds: float, reason: str) -> None:
        self.pauses.append((seconds, reason))


async def test_pauses_are_noted_the_longest_last_and_passed_on(ledger: Ledger) -> None:
    run, told = await sealed_run(ledger, [10]), Told()
    noting: Watcher
    noting = keeping = Noting(told, ledger, run.id)
    began = time.time()
    noting.paused(60.0, "HTTP 429")
    noting.paused(5.0, "no connection")
    task = asyncio.create_task(keeping.keep())
    noted = run
    while noted.paused_until is None:
        await asyncio.sleep(0)
        noted = await ledger.find_run(run.name) or run
    task.cancel()

    assert told.pauses == [(60.0, "HTTP 429"), (5.0, "no connection")]
    assert noted.paused_until >= began + 60
    assert noted.pause_reason == "HTTP 429"
