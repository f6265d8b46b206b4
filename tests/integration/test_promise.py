"""Never twice, never silently lost: random sessions, crashes and levers on the real ledger and the real pool.

Thirty stories, the same ones each time, in which the event loop waits for the ledger's thread. Others, with the
thread left to itself and as many as wanted: PROMISE_STORIES=20000 pytest tests/integration/test_promise.py
"""

import asyncio
import logging
import os
import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import hypothesis.strategies as st
import structlog
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns.audience import Recipient
from campaigns.model import Audience, IdentifierKind, Rate
from campaigns.plan import Chunk
from sender.backlog import Backlog
from sender.canary import end_of_first
from sender.gate import Gate
from sender.ledger import Position, Run, StoredChunk
from sender.ledger.sqlite import SqliteLedger
from sender.ledger.writer import _Job
from sender.outcome import ChunkState, Lever, Outcome, RunState
from sender.pool import Pool
from sender.report import make_report
from sender.retry import Policy, Tally
from sender.suppression import LEAVES, Suppression
from sender.throttle import Throttle
from tests.integration.faulty_api import Answer, FaultyApi
from tests.integration.plans import NOW, new_run, plan_of

STORIES = os.environ.get("PROMISE_STORIES")
PATIENCE_SECONDS = 30.0
MOST = 60
PERSON = st.integers(0, MOST - 1)
USER = "ops"
SILENT: Any = structlog.wrap_logger(
    structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)
T = TypeVar("T")


class Ending(Enum):
    """How a session ends, unless nothing is left to send before."""

    FINISH = auto()
    GENTLE_STOP = auto()
    CRASH = auto()
    ABORT = auto()  # a second signal: everything is cancelled, but the session ends properly


class Meddling(Enum):
    """What an operator does while a session is under way."""

    CANCEL = auto()
    PAUSE = auto()
    PAUSE_AND_RESUME = auto()
    RETRY = auto()
    RESEND_ONE = auto()
    ASSUME_SENT = auto()
    OPT_OUT = auto()


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One session.

    script      how its calls are answered; after that the API is well
    delays      turns of the event loop that calls take before and after the API has done its part
    calls       with the how manyth call the ending comes
    ticks       so many turns of the event loop later
    meddles_at  with the how manyth call the operator comes
    is_resumed  whether somebody lifts a pause that the session begins with
    """

    workers: int
    script: tuple[Answer, ...]
    probes: tuple[bool, ...]
    delays: tuple[int, ...]
    ending: Ending
    calls: int
    ticks: int
    limit: int | None
    max_rejected: int
    meddling: Meddling | None
    meddles_at: int
    is_resumed: bool


# Many are well, or else every story is about the circuit breaker alone; few end the story.
ANSWERS = [*Answer, *[Answer.NAMED, Answer.COUNTED, Answer.SUMMED] * 4]
ENDINGS = [Ending.FINISH, Ending.GENTLE_STOP, Ending.ABORT, Ending.ABORT, Ending.CRASH, Ending.CRASH]
MEDDLING = [*[None] * 8, *Meddling, *(meddling for meddling in Meddling if meddling is not Meddling.CANCEL)]
LEVERS = st.sampled_from([Lever.PAUSE, Lever.RESUME, *[Lever.RETRY, Lever.RESEND] * 3, Lever.ASSUME_SENT])


def thrown(seed: int) -> Plot:
    """A plot by the dice: hypothesis left to itself prefers short and simple ones, in which little goes wrong."""
    dice = random.Random(seed)
    return Plot(
        workers=dice.randint(1, 4),
        script=tuple(dice.choices(ANSWERS, k=30)),
        probes=tuple(dice.choices([True, False], k=dice.randint(0, 3))),
        delays=tuple(dice.choices(range(5), k=5)),
        ending=dice.choice(ENDINGS),
        calls=dice.randint(1, 8),
        ticks=dice.randint(0, 12),
        limit=dice.randint(1, MOST) if dice.random() < 0.3 else None,
        max_rejected=dice.choice([0, 2, 50, 50, 50, 50]),
        meddling=dice.choice(MEDDLING),
        meddles_at=dice.randint(1, 6),
        is_resumed=dice.random() < 0.7,
    )


PLOTS = st.integers(0, 2**32 - 1).map(thrown)


@dataclass
class Nobody:
    """Watches nothing."""

    def settled(self, recipients: int, outcome: Outcome) -> None: ...

    def paused(self, seconds: float, reason: str) -> None: ...


class Story(RuleBasedStateMachine):
    """One run from its plan on, through sessions that end well, badly, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="promise")
        self._path = Path(self._folder.name) / "ledger.db"
        self._exclusions = Path(self._folder.name) / "optouts.csv"
        self._exclusions.write_text("email\n", "utf-8")
        self._runner = asyncio.Runner()
        self._ledger = self._do(_opened(self._path))
        self._disk = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
        self._planned: list[str] = []
        self._resent: Counter[str] = Counter()
        self._never_again: dict[str, int] = {}
        self._crashed_workers: int | None = None
        self._sends = 0

    def teardown(self) -> None:
        self._disk.close()
        self._do(self._ledger.close())
        self._runner.close()
        self._folder.cleanup()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await work

        return self._runner.run(bounded())

    # What happens

    @initialize(
        sizes=st.lists(st.integers(1, 5), min_size=8, max_size=20),
        unfindable=st.sets(PERSON, max_size=6),
        poisoned=st.sets(PERSON, max_size=6),
        has_failed_before=st.booleans(),
    )
    def plan(self, sizes: list[int], unfindable: set[int], poisoned: set[int], has_failed_before: bool) -> None:
        total = sum(sizes)
        people = [Recipient(None, f"person{n}", f"person{n}@example.com", 0, n + 2) for n in range(total)]
        self._planned = [f"person{n}" for n in range(total)]
        self._api = FaultyApi(
            unfindable=frozenset(f"person{n}" for n in unfindable - poisoned),
            poisoned={f"person{n}" for n in poisoned},
        )
        if has_failed_before:
            self._do(self._draft(sizes[:1], people))
            self._reopen()
        self._run_id = self._do(self._draft(sizes, people))
        self._do(self._ledger.seal(self._run_id, plan_of(total)))

    async def _draft(self, sizes: list[int], people: list[Recipient]) -> int:
        draft = await self._ledger.begin_plan(new_run())
        first = 0
        for size in sizes:
            chunk = Chunk(IdentifierKind.USERNAME, tuple(people[first : first + size]))
            await self._ledger.add_chunks(draft.id, first, [chunk])
            first += size
        return draft.id

    @rule()
    def close_and_open_the_ledger(self) -> None:
        self._reopen()

    def _reopen(self) -> None:
        self._do(self._ledger.close())
        self._ledger = self._do(_opened(self._path))

    @rule(number=PERSON)
    def poison_or_heal(self, number: int) -> None:
        self._api.poisoned ^= {f"person{number}"} - self._api.unfindable

    @rule(lever=LEVERS)
    def pull_a_lever(self, lever: Lever) -> None:
        self._do(self._pull(lever))

    @rule()
    @precondition(lambda self: self._sends > 3)
    def cancel(self) -> None:
        self._do(self._pull(Lever.CANCEL))

    async def _pull(self, lever: Lever) -> None:
        unknown = [name for leaf in await self._leaves(ChunkState.UNKNOWN) for name in _names(leaf)]
        command = await self._ledger.give(self._run_id, lever, "", USER, NOW)
        assert await self._ledger.open_commands(self._run_id) == [command]
        changed = await self._ledger.obey(command, NOW)
        if lever is Lever.RESEND:
            assert changed == sum(name not in self._never_again for name in unknown)
            self._resent.update(unknown)

    @rule(numbers=st.sets(PERSON, min_size=1, max_size=3))
    def exclude(self, numbers: set[int]) -> None:
        self._do(self._opt_out({f"person{number}" for number in numbers}))
        pending = {name for leaf in self._do(self._leaves(ChunkState.PENDING)) for name in _names(leaf)}
        assert pending.isdisjoint(self._never_again)

    async def _opt_out(self, names: set[str]) -> None:
        with self._exclusions.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}@example.com\n" for name in sorted(names))
        await self._exclude(names)

    async def _exclude(self, excluded: set[str]) -> None:
        """Applies the list. Whoever is in it and was not accepted is called no more but by a call that has begun."""
        audience = Audience.model_construct(csv=("gone.csv",), exclude=(str(self._exclusions),))
        await Suppression(await self._run(), audience, cast("Any", self._ledger), SILENT).apply()
        claimed = {name for leaf in await self._leaves(ChunkState.SENDING) for name in _names(leaf)}
        for name in excluded & {*self._planned}:
            may_come = name in claimed and name not in self._api.under_way
            self._never_again.setdefault(name, self._calls_to(name) + may_come)

    @rule(first=PLOTS, second=PLOTS)
    def send_and_send_again(self, first: Plot, second: Plot) -> None:
        self._send(first)
        self._send(second)

    @rule(plot=PLOTS)
    def send(self, plot: Plot) -> None:
        self._send(plot)

    def _send(self, plot: Plot) -> None:
        self._sends += 1
        if self._do(_Session(self, plot).play()):
            self._reopen()

    # What always holds

    @invariant()
    @precondition(lambda self: self._planned)
    def everybody_is_in_one_leaf_and_the_ledger_says_of_them_what_the_api_did(self) -> None:
        leaves = self._do(self._leaves(*LEAVES))
        assert sorted(name for leaf in leaves for name in _names(leaf)) == sorted(self._planned)
        assert all(leaf.size == len(leaf.recipients) for leaf in leaves)
        for leaf in leaves:
            self._compare(leaf)
        for name, calls in self._never_again.items():
            assert self._calls_to(name) <= calls, f"{name} was excluded, and sent to afterwards"

    def _compare(self, leaf: StoredChunk) -> None:
        names = _names(leaf)
        missing = [name for name in names if name in self._api.unfindable]
        if leaf.state is ChunkState.ACCEPTED:
            assert leaf.not_found_count == len(missing), leaf
            assert {*leaf.not_found} <= {*missing}, leaf
        for name in names:
            times, resent = self._api.accepted[name], self._resent[name]
            assert times <= 1 + resent, f"{name} got it {times} times, resent {resent} times"
            match leaf.state:
                case ChunkState.ACCEPTED:
                    assert times == 0 if name in missing else times >= 1, f"{name} is {leaf.state}, but got it {times}×"
                case ChunkState.PENDING | ChunkState.REJECTED | ChunkState.CANCELLED:
                    assert times <= resent, f"{name} is {leaf.state}, but got it {times}×"

    @invariant()
    @precondition(lambda self: self._planned)
    def the_totals_reconcile(self) -> None:
        run, totals = self._do(self._run()), self._do(self._ledger.totals(self._run_id))
        assert sum(totals.recipients.values()) == len(self._planned)
        report = make_report(run, totals, now=NOW)
        assert report.reconciles
        assert min(report.recipients.values()) >= 0
        assert totals.attempts >= len(self._api.calls)  # an attempt is noted before its call, which may then not come

    @invariant()
    @precondition(lambda self: self._planned)
    def nothing_is_being_sent_while_no_session_is_open(self) -> None:
        if self._do(self._run()).session_started_at is None:
            assert not self._do(self._leaves(ChunkState.SENDING))

    # What the above needs

    def _calls_to(self, name: str) -> int:
        return sum(name in call for call in self._api.calls)

    async def _run(self) -> Run:
        run = await self._ledger.find_run("spring")
        assert run is not None
        return run

    async def _leaves(self, *states: ChunkState) -> list[StoredChunk]:
        return [chunk async for chunk in self._ledger.chunks(self._run_id, states)]


class _Session:
    """One session of a story, as `sender.session` holds it."""

    def __init__(self, story: Story, plot: Plot) -> None:
        self._story = story
        self._plot = plot
        self._api = story._api
        self._ledger = story._ledger
        self._run_id = story._run_id
        self._calls = 0
        self._beside: list[asyncio.Task[None]] = []
        self._is_cut_off = False
        self._is_meddled_with = False

    async def play(self) -> bool:
        """Plays it; returns whether it crashed."""
        until = await self._boundary()
        allowed = [leaf for leaf in await self._story._leaves(*LEAVES) if until is None or leaf.position < until]
        await self._start()
        self._gate = Gate()
        self._pool = await self._make_pool(until)
        if (await self._story._run()).held:
            self._hold(is_resumed=self._plot.is_resumed)
        called = len(self._api.calls)
        self._api.script, self._api.probes = deque(self._plot.script), deque(self._plot.probes)
        self._api.before, self._api.after = self._before, self._after
        self._task = asyncio.create_task(self._pool.run())
        with suppress(asyncio.CancelledError):
            await self._task
        for task in self._beside:
            await task
        reached = {name for call in self._api.calls[called:] for name in call}
        assert reached <= {name for leaf in allowed for name in _names(leaf)}, "sent to somebody beyond the limit"
        return await self._end({name for leaf in allowed for name in _names(leaf)})

    async def _boundary(self) -> Position | None:
        limit = self._plot.limit
        return await end_of_first(cast("Any", self._ledger), self._run_id, limit) if limit else None

    async def _start(self) -> None:
        sending = await self._story._leaves(ChunkState.SENDING)
        crashed, self._story._crashed_workers = self._story._crashed_workers, None
        assert len(sending) <= (crashed or 0), "a crash leaves at most one chunk for each worker in doubt"
        assert await self._ledger.start_session(self._run_id, NOW) == sum(chunk.size for chunk in sending)
        assert not await self._story._leaves(ChunkState.SENDING)

    async def _make_pool(self, until: Position | None) -> Pool:
        totals = await self._ledger.totals(self._run_id)
        return Pool(
            backlog=Backlog(self._ledger, self._run_id, until=until),
            ledger=self._ledger,
            messenger=self._api,
            throttle=Throttle(Rate(count=1_000_000, period_seconds=1.0)),
            policy=Policy(base_seconds=0.0, max_rejected=self._plot.max_rejected),
            tally=Tally(
                accepted=totals.recipients.get(ChunkState.ACCEPTED, 0),
                rejected=totals.recipients.get(ChunkState.REJECTED, 0),
                decided=sum(totals.recipients.values()) - totals.recipients.get(ChunkState.PENDING, 0),
            ),
            workers=self._plot.workers,
            watcher=Nobody(),
            gate=self._gate,
            log=SILENT,
        )

    async def _before(self, chunk: StoredChunk) -> None:
        query = "select state from chunk where id = ?"
        assert self._story._disk.execute(query, (chunk.id,)).fetchall() == [("sending",)], "not noted before its call"
        self._calls += 1
        number = self._calls
        if number == self._plot.calls:
            self._beside.append(asyncio.create_task(self._cut_off()))
        if number == self._plot.meddles_at and self._plot.meddling:
            self._is_meddled_with = True
            self._beside.append(asyncio.create_task(self._meddle(self._plot.meddling)))
        await _turns(self._plot.delays[number % len(self._plot.delays)])

    async def _after(self, chunk: StoredChunk) -> None:
        await _turns(self._plot.delays[chunk.id % len(self._plot.delays)])

    async def _cut_off(self) -> None:
        await _turns(self._plot.ticks)
        match self._plot.ending:
            case Ending.GENTLE_STOP:
                self._pool.stop()
            case Ending.CRASH | Ending.ABORT:
                self._task.cancel()
            case Ending.FINISH:
                return
        self._is_cut_off = True

    async def _meddle(self, meddling: Meddling) -> None:
        match meddling:
            case Meddling.CANCEL:
                await self._pull(Lever.CANCEL)
                self._pool.stop()
            case Meddling.PAUSE | Meddling.PAUSE_AND_RESUME:
                await self._pull(Lever.PAUSE)
                self._hold(is_resumed=meddling is Meddling.PAUSE_AND_RESUME)
            case Meddling.RETRY:
                await self._pull(Lever.RETRY)
            case Meddling.ASSUME_SENT:
                await self._pull(Lever.ASSUME_SENT)
            case Meddling.OPT_OUT:
                await self._story._opt_out({f"person{number}" for number in range(self._plot.ticks, MOST, 7)})
            case Meddling.RESEND_ONE:
                for leaf in (await self._story._leaves(ChunkState.UNKNOWN))[:1]:
                    await self._pull(Lever.RESEND, str(leaf.id))
                    self._story._resent.update(_names(leaf))

    async def _pull(self, lever: Lever, argument: str = "") -> int:
        command = await self._ledger.give(self._run_id, lever, argument, USER, NOW)
        return await self._ledger.obey(command, NOW)

    def _hold(self, *, is_resumed: bool) -> None:
        self._gate.hold()
        self._beside.append(asyncio.create_task(self._unhold(is_resumed=is_resumed)))

    async def _unhold(self, *, is_resumed: bool) -> None:
        await _turns(self._plot.ticks)
        if is_resumed:
            await self._pull(Lever.RESUME)
            self._gate.release()
        else:
            self._pool.stop("it is paused still")

    async def _end(self, allowed: set[str]) -> bool:
        if self._plot.ending is Ending.CRASH:
            self._story._crashed_workers = self._plot.workers
            return True
        pending = {name for leaf in await self._story._leaves(ChunkState.PENDING) for name in _names(leaf)}
        if not (self._is_cut_off or self._is_meddled_with or self._pool.stop_reason):
            assert pending.isdisjoint(allowed), "ended, though nothing stood in the way of who is pending"
        state = RunState.INTERRUPTED if pending else RunState.COMPLETED
        sending = await self._story._leaves(ChunkState.SENDING)
        assert self._plot.ending is Ending.ABORT or not sending, "what is in flight is let finish"
        await self._ledger.end_session(self._run_id, state, self._pool.stop_reason or "", NOW)
        return False


async def _opened(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(path)
    await ledger.start()
    if not STORIES:
        ledger._writer.run = _in_lockstep(ledger)  # type: ignore[method-assign]
    return ledger


def _in_lockstep(ledger: SqliteLedger) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The ledger's way to the disk, but the same every time: one turn of the loop, the job, another turn."""

    async def run(work: Callable[[apsw.Connection], Any], *, writes: bool = True, is_brief: bool = False) -> Any:
        await asyncio.sleep(0)
        future = asyncio.get_running_loop().create_future()
        [(_, result, failure)] = ledger._writer._do([_Job(work, future, writes, is_brief)])
        await asyncio.sleep(0)  # a crash here comes after the commit, and before anybody knows of it
        if failure:
            raise failure
        return result

    return run


def _names(leaf: StoredChunk) -> list[str]:
    return [recipient.username or "" for recipient in leaf.recipients]


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


TestPromise = Story.TestCase
TestPromise.settings = settings(
    max_examples=int(STORIES or 30),
    stateful_step_count=14,
    deadline=None,
    derandomize=STORIES is None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
