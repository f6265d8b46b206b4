"""The workers on a real ledger, with an API made by hand: what is claimed, when, and what follows from each outcome."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest
import structlog

from campaigns.model import Rate
from sender.backlog import Backlog
from sender.errors import LedgerError
from sender.gate import Gate
from sender.inro.wire import Request
from sender.ledger import Attempt, Clock, Later, Ledger, Part, Rates, Run, StoredChunk, open_ledger
from sender.ledger.lock import run_lock
from sender.ledger.sqlite import SqliteLedger
from sender.ledger.writer import Writer
from sender.outcome import ChunkState, Outcome, RunState, Then
from sender.pool import Pool
from sender.retry import Policy, Tally
from sender.throttle import Throttle
from tests import clock
from tests.integration.plans import NOW, at, pending, sealed_run

ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202)
UNREACHED = Outcome(chunk=ChunkState.PENDING, then=Then.BACK_OFF, reason="no connection")
REFUSED = Outcome(chunk=ChunkState.PENDING, then=Then.STOP, status=401, reason="HTTP 401: bad token")


def told_to_wait(seconds: float) -> Outcome:
    return Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429, reason="HTTP 429", retry_after_seconds=seconds)


@dataclass
class Api:
    """Answers each call from `outcomes`, then accepts; every call lasts `seconds`."""

    outcomes: Sequence[Outcome | BaseException] = ()
    seconds: float = 0.0
    on_call: Callable[[StoredChunk], Coroutine[Any, Any, None]] | None = None
    calls: list[tuple[float, int]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: list[Outcome] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    def request(self, chunk: StoredChunk) -> Request:
        return Request(idempotency_key=f"key-{chunk.id}", body=b" ".join(str(a).encode() for a in chunk.addresses))

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        number = len(self.calls)
        self.calls.append((time.monotonic(), chunk.first))
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.on_call:
                await self.on_call(chunk)
            await asyncio.sleep(self.seconds)
        finally:
            self.in_flight -= 1
        said = self.outcomes[number] if number < len(self.outcomes) else ACCEPTED
        if isinstance(said, BaseException):
            raise said
        return said

    async def probe(self) -> Outcome:
        self.probes.append(time.monotonic())
        return self.answers.pop(0) if self.answers else ACCEPTED

    @property
    def order(self) -> list[int]:
        """The position of each call's first recipient."""
        return [first for _, first in self.calls]


@dataclass
class Audience:
    """Who is told how it goes."""

    outcomes: list[Outcome] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    decided: int = 0

    def settled(self, recipients: int, outcome: Outcome) -> None:
        self.decided += recipients
        self.outcomes.append(outcome)

    def paused(self, seconds: float, reason: str) -> None:
        self.pauses.append(seconds)


@dataclass
class Desk:
    """A run, an API and the pool between them."""

    path: Path
    ledger: Ledger
    run: Run
    api: Api
    audience: Audience
    pool: Pool

    def states(self) -> dict[int, str]:
        """The leaves' states by position, as another process sees them on the disk."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        query = "select first, state from chunk where state <> 'split' order by first, id"
        try:
            found: list[Any] = connection.execute(query).fetchall()
            return dict(found)
        finally:
            connection.close()

    async def pending(self) -> list[StoredChunk]:
        return await pending(self.ledger, self.run)


async def a_desk(
    path: Path,
    ledger: Ledger,
    sizes: list[int],
    api: Api,
    *,
    workers: int = 4,
    rate: str = "1000/s",
    policy: Policy | None = None,
    tally: Tally | None = None,
    through: Ledger | None = None,
    name: str = "spring",
    gate: Gate | None = None,
) -> Desk:
    run = await sealed_run(ledger, sizes, name)
    await ledger.start_session(run.id, NOW)
    audience = Audience()
    pool = Pool(
        backlog=Backlog(ledger, run.id),
        ledger=through or ledger,
        messenger=api,
        throttle=Throttle(Rate.parse(rate)),
        policy=policy or Policy(),
        tally=tally or Tally(accepted=1, decided=1),
        workers=workers,
        watcher=audience,
        gate=gate or Gate(),
        log=structlog.get_logger(),
    )
    return Desk(path, ledger, run, api, audience, pool)


Story = Callable[[Path, Ledger], Coroutine[Any, Any, None]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)


def _drop(*_: object) -> str:
    raise structlog.DropEvent


def tell(story: Story, path: Path) -> None:
    """Runs the story on a clock that jumps, but never while the ledger's thread is at work."""
    jobs, run = 0, Writer.run

    async def counted(writer: Writer, work: Any, **options: bool) -> Any:
        nonlocal jobs
        jobs += 1
        try:
            return await run(writer, work, **options)
        finally:
            jobs -= 1

    async def whole() -> None:
        async with open_ledger(path) as ledger:
            await story(path, ledger)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "run", counted)
        clock.run(whole(), is_busy=lambda: jobs > 0)


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


async def test_everything_pending_is_sent_once(path: Path, ledger: Ledger) -> None:
    desk = await a_desk(path, ledger, [3] * 40, Api())

    await desk.pool.run()

    assert desk.pool.stop_reason is None
    assert sorted(desk.api.order) == [3 * n for n in range(40)]
    assert set(desk.states().values()) == {"accepted"}
    assert len(desk.audience.outcomes) == 40


async def test_a_run_with_nothing_pending_ends_at_once(path: Path, ledger: Ledger) -> None:
    desk = await a_desk(path, ledger, [], Api())

    await desk.pool.run()

    assert desk.api.calls == []


@pytest.mark.parametrize("workers", [1, 3, 8])
async def test_as_many_calls_as_workers_are_under_way_and_no_more(path: Path, ledger: Ledger, workers: int) -> None:
    everyone, api = asyncio.Event(), Api()

    async def wait_for_everyone(_: StoredChunk) -> None:
        if api.in_flight == workers:
            everyone.set()
        await everyone.wait()

    api.on_call = wait_for_everyone
    desk = await a_desk(path, ledger, [1] * 30, api, workers=workers)

    await desk.pool.run()

    assert api.most_in_flight == workers
    assert len(api.calls) == 30


async def test_one_worker_sends_in_the_order_of_the_plan(path: Path, ledger: Ledger) -> None:
    desk = await a_desk(path, ledger, [2] * 300, Api(), workers=1, rate="100000/s")

    await desk.pool.run()

    assert desk.api.order == [2 * n for n in range(300)]


async def test_a_claim_is_on_the_disk_before_the_call_is_made(path: Path, ledger: Ledger) -> None:
    seen: list[str] = []

    async def look(chunk: StoredChunk) -> None:
        seen.append(desk.states()[chunk.first])

    desk = await a_desk(path, ledger, [2] * 10, Api(on_call=look))

    await desk.pool.run()

    assert seen == ["sending"] * 10


def test_what_only_waits_for_the_rate_is_not_claimed(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [2] * 4, Api(), rate="1/min")
        task = asyncio.create_task(desk.pool.run())
        await asyncio.sleep(30)
        assert list(desk.states().values()) == ["accepted", "pending", "pending", "pending"]
        desk.pool.stop()
        await task
        assert list(desk.states().values()) == ["accepted", "pending", "pending", "pending"]

    tell(story, path)


async def test_what_is_in_flight_when_it_is_stopped_finishes_and_nothing_more_is_claimed(
    path: Path, ledger: Ledger
) -> None:
    gate, everyone, api = asyncio.Event(), asyncio.Event(), Api()

    async def hold(_: StoredChunk) -> None:
        if api.in_flight == 3:
            desk.pool.stop()
            everyone.set()
        await gate.wait()

    api.on_call = hold
    desk = await a_desk(path, ledger, [1] * 10, api, workers=3)
    task = asyncio.create_task(desk.pool.run())
    await everyone.wait()
    assert not task.done()
    gate.set()
    await task

    assert desk.pool.stop_reason is None
    assert list(desk.states().values()) == ["accepted"] * 3 + ["pending"] * 7


async def test_a_stop_says_why_and_leaves_the_chunk_pending(path: Path, ledger: Ledger) -> None:
    desk = await a_desk(path, ledger, [1] * 5, Api([ACCEPTED, REFUSED]), workers=1)

    await desk.pool.run()

    assert desk.pool.stop_reason == "HTTP 401: bad token"
    assert desk.api.order == [0, 1]
    assert list(desk.states().values()) == ["accepted", "pending", "pending", "pending", "pending"]


async def test_the_first_reason_to_stop_is_the_one_that_is_told(path: Path, ledger: Ledger) -> None:
    async def stop(_: StoredChunk) -> None:
        desk.pool.stop("an exclusion list can't be read")
        desk.pool.stop("too late")

    desk = await a_desk(path, ledger, [1] * 9, Api([REFUSED], on_call=stop), workers=1)

    await desk.pool.run()

    assert desk.pool.stop_reason == "an exclusion list can't be read"
    assert len(desk.api.calls) == 1


@pytest.mark.parametrize("state", [ChunkState.REJECTED, ChunkState.UNKNOWN])
async def test_what_is_rejected_or_unknown_is_not_sent_again(path: Path, ledger: Ledger, state: ChunkState) -> None:
    desk = await a_desk(path, ledger, [1] * 4, Api([Outcome(chunk=state, reason="HTTP 500")]), workers=1)

    await desk.pool.run()

    assert desk.api.order == [0, 1, 2, 3]
    assert list(desk.states().values()) == [state, "accepted", "accepted", "accepted"]


def test_a_429_pauses_everyone_for_as_long_as_told_and_the_chunk_goes_again(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [1] * 8, Api([ACCEPTED, told_to_wait(60)]), workers=4, rate="2/s")
        began = time.monotonic()
        await desk.pool.run()

        before = [first for moment, first in desk.api.calls if moment < began + 60]
        assert before == [0, 1]
        assert 1 in desk.api.order[2:4]  # the dispatcher may hold the next one already
        assert len(desk.api.calls) == 9
        assert desk.audience.pauses == [60]
        assert set(desk.states().values()) == {"accepted"}

    tell(story, path)


def test_a_429_costs_no_attempt_however_often_it_comes(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [1], Api([told_to_wait(1)] * 20))
        await desk.pool.run()

        assert desk.pool.stop_reason is None
        assert len(desk.api.calls) == 21
        assert desk.states() == {0: "accepted"}

    tell(story, path)


def test_a_429_that_asks_for_longer_than_max_wait_stops(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [1, 1], Api([told_to_wait(7200)]), workers=1)
        await desk.pool.run()

        assert desk.pool.stop_reason is not None
        assert desk.pool.stop_reason.startswith("the API asks to wait for 7200 s, longer than max_wait")
        assert list(desk.states().values()) == ["pending", "pending"]

    tell(story, path)


def test_what_was_not_reached_is_tried_again_with_the_very_same_request(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [2], Api([UNREACHED] * 6))
        await desk.pool.run()

        assert len(desk.api.requests) == 7
        assert all(request is desk.api.requests[0] for request in desk.api.requests)
        assert desk.states() == {0: "accepted"}
        totals = await ledger.totals(desk.run.id)
        assert (totals.attempts, totals.retried) == (7, 6)

    tell(story, path)


def test_an_api_that_is_never_reached_stops_after_max_wait(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [1] * 3, Api([UNREACHED] * 5000), policy=Policy(max_wait_seconds=120))
        began = time.monotonic()
        await desk.pool.run()

        assert time.monotonic() - began <= 121
        assert desk.pool.stop_reason is not None
        assert desk.pool.stop_reason.endswith("the last word was: no connection")
        assert list(desk.states().values()) == ["pending"] * 3

    tell(story, path)


def test_a_429_with_a_sign_of_acceptance_pauses_and_goes_on(path: Path) -> None:
    doubtful = Outcome(chunk=ChunkState.UNKNOWN, then=Then.WAIT, status=429, reason="HTTP 429", retry_after_seconds=5)

    async def story(path: Path, ledger: Ledger) -> None:
        desk = await a_desk(path, ledger, [1, 1], Api([doubtful]), workers=1)
        await desk.pool.run()

        assert list(desk.states().values()) == ["unknown", "accepted"]

    tell(story, path)


# Refusals and an ill API

REFUSAL = Outcome(chunk=ChunkState.REJECTED, status=422, reason="HTTP 422: no")
DOUBTFUL = Outcome(chunk=ChunkState.UNKNOWN, status=500, reason="HTTP 500")


@dataclass
class Picky(Api):
    """Refuses any call to somebody it dislikes, and names nobody."""

    dislikes: frozenset[str] = frozenset()

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        said = await super().send(chunk, request)
        return said if self.dislikes.isdisjoint(map(str, chunk.addresses)) else REFUSAL


@pytest.mark.parametrize("workers", [1, 4])
async def test_one_bad_recipient_costs_nobody_else_the_message(path: Path, ledger: Ledger, workers: int) -> None:
    api = Picky(dislikes=frozenset({"person37", "person64"}))
    desk = await a_desk(path, ledger, [50, 50], api, workers=workers)

    await desk.pool.run()

    totals = await ledger.totals(desk.run.id)
    assert totals.recipients == {ChunkState.ACCEPTED: 98, ChunkState.REJECTED: 2}
    assert desk.audience.decided == 100
    accepted = [
        name
        for request in api.requests
        for name in request.body.decode().split()
        if api.dislikes.isdisjoint(request.body.decode().split())
    ]
    assert len(accepted) == len(set(accepted)) == 98
    assert len(api.calls) <= 2 * 2 * 7 + 2


async def test_a_message_that_is_refused_for_everybody_stops_after_three_tried_singly(
    path: Path, ledger: Ledger
) -> None:
    api = Api([REFUSAL] * 100)
    desk = await a_desk(path, ledger, [10] * 10, api, workers=1, tally=Tally())

    await desk.pool.run()

    assert desk.pool.stop_reason is not None
    assert desk.pool.stop_reason.endswith("three recipients were tried singly. It says: HTTP 422: no")
    assert [len(request.body.split()) for request in api.requests] == [10, 1, 1, 1]
    assert (await ledger.totals(desk.run.id)).recipients == {ChunkState.REJECTED: 3, ChunkState.PENDING: 97}


def test_after_three_unknown_in_a_row_nothing_is_sent_until_the_api_answers_and_then_one_recipient_first(
    path: Path,
) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        api = Api([DOUBTFUL] * 3, answers=[UNREACHED] * 3)
        desk = await a_desk(path, ledger, [5] * 6, api, workers=1)
        await desk.pool.run()

        assert len(api.probes) == 4
        assert desk.pool.stop_reason is None
        assert [len(request.body.split()) for request in api.requests[:4]] == [5, 5, 5, 1]
        assert sum(len(request.body.split()) for request in api.requests) == 30
        assert api.calls[3][0] >= api.probes[-1]
        totals = await ledger.totals(desk.run.id)
        assert totals.recipients == {ChunkState.UNKNOWN: 15, ChunkState.ACCEPTED: 15}

    tell(story, path)


def test_an_api_that_answers_but_leaves_three_trials_unknown_stops(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        api = Api([DOUBTFUL] * 50)
        desk = await a_desk(path, ledger, [5] * 6, api, workers=1)
        await desk.pool.run()

        assert desk.pool.stop_reason is not None
        assert "3 single recipients in a row are unknown" in desk.pool.stop_reason
        assert [len(request.body.split()) for request in api.requests] == [5, 5, 5, 1, 1, 1]

    tell(story, path)


async def test_a_stop_during_the_trial_of_one_recipient_lets_it_finish(path: Path, ledger: Ledger) -> None:
    async def stop(chunk: StoredChunk) -> None:
        if chunk.size == 1:
            desk.pool.stop()
            await asyncio.sleep(0)

    desk = await a_desk(path, ledger, [5] * 6, Api([DOUBTFUL] * 3, on_call=stop), workers=1)

    await desk.pool.run()

    totals = await ledger.totals(desk.run.id)
    assert totals.recipients == {ChunkState.UNKNOWN: 15, ChunkState.ACCEPTED: 1, ChunkState.PENDING: 14}
    assert desk.pool.stop_reason is None


async def test_what_is_held_takes_no_chunk_before_it_is_released(path: Path, ledger: Ledger) -> None:
    async def hold(chunk: StoredChunk) -> None:
        if chunk.first == 0:
            gate.hold()
            asyncio.get_running_loop().call_later(0.05, release)

    def release() -> None:
        assert desk.api.order == [0]
        gate.release()

    gate = Gate()
    desk = await a_desk(path, ledger, [1] * 4, Api(on_call=hold), workers=1, gate=gate)

    await desk.pool.run()

    assert desk.api.order == [0, 1, 2, 3]


# The ledger in the way


class Faulty:
    """The ledger, but for what fails or does something else first."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def test_a_ledger_that_can_not_record_cancels_every_call(path: Path, ledger: Ledger) -> None:
    cancelled = 0
    everyone, api = asyncio.Event(), Api()

    class Full(Faulty):
        async def settle(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
            raise LedgerError("the disk is full")

    async def hold(chunk: StoredChunk) -> None:
        nonlocal cancelled
        if api.in_flight == 3:
            everyone.set()
        await everyone.wait()
        if chunk.first:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise

    api.on_call = hold
    faulty: Any = Full(ledger)
    desk = await a_desk(path, ledger, [1] * 9, api, workers=3, through=faulty)

    with pytest.raises(ExceptionGroup) as caught:
        await desk.pool.run()

    assert [type(error) for error in caught.value.exceptions] == [LedgerError]
    assert cancelled == 2
    assert list(desk.states().values()) == ["sending"] * 3 + ["pending"] * 6
    assert await ledger.end_session(desk.run.id, RunState.STOPPED, "", NOW) == 3
    assert list(desk.states().values()) == ["unknown"] * 3 + ["pending"] * 6


async def test_when_an_outcome_can_not_be_recorded_nothing_is_claimed_any_more(path: Path, ledger: Ledger) -> None:
    assert isinstance(ledger, SqliteLedger)
    writer, claims_wait, failed = ledger._writer, threading.Event(), threading.Event()

    def fail_once() -> bool:
        if failed.is_set():
            return False
        claims_wait.wait(10)
        failed.set()
        return True

    async def all_under_way(_chunk: StoredChunk) -> None:
        if api.in_flight == 4:
            writer._connection.set_commit_hook(fail_once)

    async def look() -> None:
        while len(writer._waiting) < 2:  # noqa: ASYNC110  # the writer has no event for that
            await asyncio.sleep(0)
        claims_wait.set()

    api = Api(seconds=0.05, on_call=all_under_way)
    desk = await a_desk(path, ledger, [1] * 40, api)
    looking = asyncio.create_task(look())

    with pytest.raises(ExceptionGroup) as caught:
        await desk.pool.run()

    await looking
    await ledger.totals(desk.run.id)  # comes after whatever is under way
    assert {type(error) for error in caught.value.exceptions} == {LedgerError}
    assert [first for first, state in desk.states().items() if state != "pending"] == sorted(api.order)


async def test_a_claim_that_fails_sends_nothing(path: Path, ledger: Ledger) -> None:
    class Full(Faulty):
        async def claim(self, chunk: StoredChunk, clock: Clock) -> Attempt | None:
            raise LedgerError("the disk is full")

    faulty: Any = Full(ledger)
    desk = await a_desk(path, ledger, [1] * 5, Api(), through=faulty)

    with pytest.raises(ExceptionGroup):
        await desk.pool.run()

    assert desk.api.calls == []
    assert set(desk.states().values()) == {"pending"}


async def test_a_chunk_that_was_split_meanwhile_is_sent_by_its_parts(path: Path, ledger: Ledger) -> None:
    is_split = False

    async def split_the_last(_: StoredChunk) -> None:
        nonlocal is_split
        if is_split:
            return
        is_split = True
        last = (await desk.pending())[-1]
        parts = [
            Part(recipients=last.recipients[:1], first=last.first),
            Part(recipients=last.recipients[1:3], first=last.first + 1, state=ChunkState.CANCELLED),
            Part(recipients=last.recipients[3:], first=last.first + 3),
        ]
        assert await ledger.split(last, parts, NOW)

    desk = await a_desk(path, ledger, [5] * 4, Api(on_call=split_the_last), workers=1)

    await desk.pool.run()

    sent = [name for request in desk.api.requests for name in request.body.decode().split()]
    assert sorted(sent) == sorted(f"person{n}" for n in range(20) if n not in (16, 17))
    assert desk.states() == {
        0: "accepted",
        5: "accepted",
        10: "accepted",
        15: "accepted",
        16: "cancelled",
        18: "accepted",
    }


async def test_a_chunk_that_somebody_else_claimed_is_left_to_them(path: Path, ledger: Ledger) -> None:
    async def claim_the_last(chunk: StoredChunk) -> None:
        if chunk.first == 0:
            await ledger.claim((await desk.pending())[-1], at(NOW))

    desk = await a_desk(path, ledger, [1] * 4, Api(on_call=claim_the_last), workers=1)

    await desk.pool.run()

    assert desk.api.order == [0, 1, 2]
    assert list(desk.states().values()) == ["accepted"] * 3 + ["sending"]


async def test_a_run_ends_at_the_boundary_of_its_backlog(path: Path, ledger: Ledger) -> None:
    desk = await a_desk(path, ledger, [1] * 6, Api())
    boundary = (await desk.pending())[3].position
    desk.pool._backlog = Backlog(ledger, desk.run.id, until=boundary)

    await desk.pool.run()

    assert sorted(desk.api.order) == [0, 1, 2]


async def test_a_messenger_that_breaks_is_a_bug_that_ends_the_pool_and_its_chunk_is_in_doubt(
    path: Path, ledger: Ledger
) -> None:
    desk = await a_desk(path, ledger, [1] * 3, Api([ValueError("a bug")]), workers=1)

    with pytest.raises(ExceptionGroup):
        await desk.pool.run()

    assert list(desk.states().values()) == ["sending", "pending", "pending"]


# The account's rate


def arrivals_within(seconds: float, *apis: Api) -> int:
    """The most calls in any window of that length."""
    moments = [moment for api in apis for moment, _ in api.calls]
    return max(sum(at <= moment < at + seconds - 1e-6 for moment in moments) for at in moments)


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_a_call_that_is_put_back_after_a_429_does_not_leave_together_with_the_next(path: Path, workers: int) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        refusals = [ACCEPTED] * 3 + [told_to_wait(1)] * 2 + [ACCEPTED] * 4 + [told_to_wait(0)] * 3
        desk = await a_desk(path, ledger, [1] * 24, Api(refusals, seconds=0.3), workers=workers, rate="4/s")
        await desk.pool.run()

        assert set(desk.states().values()) == {"accepted"}
        assert arrivals_within(1.0, desk.api) <= 4
        assert arrivals_within(0.14, desk.api) == 1  # a quarter of a second, less what a busy machine may catch up

    tell(story, path)


def test_a_single_recipient_who_is_tried_waits_for_the_account_s_room_like_everybody(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        busy = 2

        class Busy(Faulty):
            async def claim(self, chunk: StoredChunk, clock: Clock) -> Attempt | Later | None:
                nonlocal busy
                busy -= chunk.size == 1
                if chunk.size == 1 and busy >= 0:
                    return Later(seconds=7)
                return await ledger.claim(chunk, clock)

        through: Any = Busy(ledger)
        desk = await a_desk(path, ledger, [5] * 6, Api([DOUBTFUL] * 3), workers=2, through=through)
        began = time.monotonic()
        await desk.pool.run()

        assert time.monotonic() - began >= 13.9
        names = [name for request in desk.api.requests for name in request.body.split()]
        assert len(names) == len(set(names)) == 30

    tell(story, path)


def test_a_slow_disk_lets_no_calls_leave_together(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        class Slow(Faulty):
            async def claim(self, chunk: StoredChunk, clock: Clock) -> Attempt | Later | None:
                await asyncio.sleep(3 if chunk.first == 5 else 0)
                return await ledger.claim(chunk, clock)

        slow: Any = Slow(ledger)
        desk = await a_desk(path, ledger, [1] * 40, Api(), workers=30, rate="10/s", through=slow)
        await ledger.start_session(desk.run.id, time.time(), Rates(calls=Rate.parse("10/s")))
        await desk.pool.run()

        assert set(desk.states().values()) == {"accepted"}
        assert arrivals_within(1.0, desk.api) <= 10
        assert arrivals_within(0.09, desk.api) <= 3

    tell(story, path)


def test_two_pools_in_one_process_keep_their_account_s_rate_together_and_share_it(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        names, apis, rate = ("spring", "autumn"), [Api(seconds=0.02), Api(seconds=0.02)], Rate.parse("10/s")
        desks = [
            await a_desk(path, ledger, [1] * 50, api, rate="10/s", name=name)
            for name, api in zip(names, apis, strict=True)
        ]
        with run_lock(path, "spring"), run_lock(path, "autumn"):
            for desk in desks:
                await ledger.start_session(desk.run.id, time.time(), Rates(calls=rate))
            async with asyncio.TaskGroup() as pools:
                for desk in desks:
                    pools.create_task(desk.pool.run())

        everything = sorted(at for api in apis for at, _ in api.calls)
        assert len(everything) == 100
        assert arrivals_within(1.0, *apis) <= 10
        assert everything[-1] - everything[0] <= 99 / 10 * 1.05
        assert 32 <= sum(at <= everything[79] for at, _ in apis[0].calls) <= 48

    tell(story, path)


def test_a_429_of_one_sender_pauses_the_others_of_its_account(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        throttled = Api([ACCEPTED, told_to_wait(60)])
        first = await a_desk(path, ledger, [1] * 4, throttled, workers=1, rate="1/s", name="spring")
        second = await a_desk(path, ledger, [1] * 9, Api(), workers=1, rate="1/s", name="autumn")
        with run_lock(path, "spring"), run_lock(path, "autumn"):
            for desk in (first, second):
                await ledger.start_session(desk.run.id, time.time(), Rates(calls=Rate.parse("1/s")))
            async with asyncio.TaskGroup() as pools:
                pools.create_task(first.pool.run())
                pools.create_task(second.pool.run())

        refused_at = throttled.calls[1][0]
        assert not [at for at, _ in second.api.calls if refused_at + 0.1 < at < refused_at + 59.9]
        assert second.audience.pauses

    tell(story, path)
