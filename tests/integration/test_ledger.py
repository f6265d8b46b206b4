"""The ledger on a real disk: what it promises, and what it says when it can't keep it."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import apsw
import orjson
import pytest
import zstandard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaigns.audience import Recipient, SourceStamp
from campaigns.model import IdentifierKind
from campaigns.plan import Chunk
from sender.errors import LedgerError
from sender.ledger import START, Attempt, Ledger, Part, Plan, StoredChunk, database, open_ledger
from sender.ledger.arbiter import Accounts
from sender.ledger.database import file_system
from sender.ledger.lock import run_lock
from sender.ledger.sqlite import SqliteLedger
from sender.ledger.writer import Writer
from sender.outcome import ChunkState, Outcome, RunState, Then
from sender.report import make_report
from tests.integration.plans import NOW, at, claimed, new_run, pending, people, plan_of, sealed_run

T = TypeVar("T")
ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202, seconds=0.5)
LATER = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429, reason="HTTP 429")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


def looked_up(path: Path, query: str, *values: object) -> list[Any]:
    """What another process would see: a connection of its own, which reads only."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


# Planning


async def test_a_plan_is_planning_until_one_commit_seals_it(ledger: Ledger) -> None:
    draft = await ledger.begin_plan(new_run())
    await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, people(0, 3))])
    assert draft.state is RunState.PLANNING
    stamp = SourceStamp(path="/a.csv", size=3, mtime_ns=4, inode=5)

    await ledger.seal(
        draft.id,
        Plan(audience_fingerprint="f", sources=(stamp,), exclusions=(), counts={"rows": 4, "kept": 3}, planned=3),
    )

    run = await ledger.find_run("spring")
    assert run is not None
    assert run.state is not RunState.PLANNING
    assert run.plan.sources == (stamp,)
    assert (run.plan.planned, run.plan.counts) == (3, {"rows": 4, "kept": 3})
    assert (run.campaign, run.account, run.origin) == ("spring", "default", "https://api.example.com")


async def test_an_unsealed_plan_is_thrown_away_by_the_next_of_its_name(ledger: Ledger, path: Path) -> None:
    first = await ledger.begin_plan(new_run())
    await ledger.add_chunks(first.id, 0, [Chunk(IdentifierKind.USERNAME, people(0, 3))])

    second = await ledger.begin_plan(new_run())

    assert second.key != first.key
    assert [run.id for run in await ledger.runs()] == [second.id]
    assert looked_up(path, "select count(*) from chunk") == looked_up(path, "select count(*) from chunk_recipients")
    assert looked_up(path, "select count(*) from chunk") == [(0,)]


async def test_a_plan_that_is_discarded_leaves_nothing_behind(ledger: Ledger, path: Path) -> None:
    draft = await ledger.begin_plan(new_run())
    await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, people(0, 3))])

    await ledger.discard_plan(draft.id)

    assert await ledger.find_run("spring") is None
    assert looked_up(path, "select * from chunk_recipients") == []


async def test_a_sealed_plan_is_neither_discarded_nor_planned_again(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [3])

    await ledger.discard_plan(run.id)
    with pytest.raises(LedgerError):
        await ledger.begin_plan(new_run())

    assert await ledger.find_run("spring") == run
    assert [chunk.size for chunk in await pending(ledger, run)] == [3]


async def test_recipients_that_an_earlier_version_packed_come_back(path: Path) -> None:
    both = (Recipient(7, "ann", None, 0, 2), Recipient(None, "bob", "bob@x.io", 0, 5))
    async with open_ledger(path) as ledger:
        draft = await ledger.begin_plan(new_run())
        await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, both)])
        await ledger.add_ties(draft.id, both)
        await ledger.seal(draft.id, plan_of(2))
    earlier = zstandard.compress(orjson.dumps([[7, None], ["ann", "bob"], [None, "bob@x.io"], [0, 0], [2, 3]]))
    with apsw.Connection(str(path)) as old:
        old.execute("update chunk_recipients set packed = ?", (earlier,))
        old.execute("update tie set packed = ?", (earlier,))
        old.pragma("user_version", 5)

    async with open_ledger(path) as ledger:
        [chunk] = await pending(ledger, draft)

        assert chunk.recipients == both
        assert [row async for row in ledger.ties(draft.id)] == list(both)


async def test_a_ledger_that_can_not_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with pytest.raises(LedgerError):
        async with open_ledger(tmp_path):
            pass

    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


async def test_a_ledger_whose_recipients_can_not_be_read_is_refused_in_a_sentence(path: Path) -> None:
    async with open_ledger(path) as ledger:
        draft = await ledger.begin_plan(new_run())
        await ledger.add_ties(draft.id, people(0, 1))
    with apsw.Connection(str(path)) as old:
        old.execute("update tie set packed = x'789c'")
        old.pragma("user_version", 5)

    with pytest.raises(LedgerError, match=r"before 0\.1"):
        async with open_ledger(path):
            pass


async def test_a_chunk_by_usernames_takes_in_nobody_who_has_none(ledger: Ledger) -> None:
    draft = await ledger.begin_plan(new_run())
    nameless = people(0, 2)[1]._replace(id=178, username=None)

    with pytest.raises(LookupError, match="username"):
        await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, (*people(0, 1), nameless))])


async def test_recipients_come_back_with_every_identifier(ledger: Ledger) -> None:
    draft = await ledger.begin_plan(new_run())
    two = people(0, 2)
    both = (two[0]._replace(id=178, email="p@x.io"), two[1])
    await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, both)])
    await ledger.seal(draft.id, plan_of(2))

    [chunk] = await pending(ledger, draft)

    assert chunk.recipients == both
    assert list(chunk.addresses) == ["person0", "person1"]
    assert [people async for people in ledger.planned_people("spring", draft.account_id)] == [both]


async def test_planned_people_are_those_of_sealed_runs_of_that_campaign_and_account(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1])
    await sealed_run(ledger, [1, 1], "spring+2")
    await sealed_run(ledger, [5], "autumn", campaign="autumn")
    await sealed_run(ledger, [6], "elsewhere", account="second")
    draft = await ledger.begin_plan(new_run("spring+3"))
    await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, people(0, 9))])
    [chunk] = await pending(ledger, run)
    await ledger.split(chunk, [Part(recipients=chunk.recipients, first=0, state=ChunkState.CANCELLED)], NOW)

    planned = [recipient async for people in ledger.planned_people("spring", run.account_id) for recipient in people]
    assert {recipient.username for recipient in planned} == {"person0", "person1"}


async def test_pending_chunks_come_in_plan_order_a_few_at_a_time(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [2, 2, 2, 2, 2])
    chunks = await pending(ledger, run)
    await ledger.split(
        chunks[1],
        [Part(recipients=chunks[1].recipients[:1], first=2), Part(recipients=chunks[1].recipients[1:], first=3)],
        NOW,
    )
    await ledger.claim(chunks[3], at(NOW))

    order, after = list[int](), START
    while page := await ledger.pending(run.id, after=after, limit=2):
        order += [chunk.first for chunk in page]
        after = page[-1].position

    assert order == [0, 2, 3, 4, 8]
    assert [leaf.first for leaf in await ledger.leaves(run.id)] == [0, 2, 3, 4, 6, 8]
    walked = [chunk async for chunk in ledger.chunks(run.id, [ChunkState.PENDING, ChunkState.SENDING])]
    assert [name for chunk in walked for name in chunk.addresses] == [f"person{n}" for n in range(10)]


async def test_walking_over_more_chunks_than_a_page_misses_none(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [])
    await ledger.add_chunks(run.id, 0, [Chunk(IdentifierKind.USERNAME, people(n, 1)) for n in range(450)])

    walked = [chunk.first async for chunk in ledger.chunks(run.id, [ChunkState.PENDING])]

    assert walked == list(range(450))


# Sending


async def test_claiming_is_compare_and_set(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [3])
    [chunk] = await pending(ledger, run)

    attempts = await asyncio.gather(*(ledger.claim(chunk, at(NOW)) for _ in range(20)))

    won = [attempt for attempt in attempts if isinstance(attempt, Attempt)]
    assert [attempt.number for attempt in won] == [1]
    assert (await ledger.totals(run.id)).attempts == 1


async def test_a_claim_is_on_the_disk_when_it_returns(ledger: Ledger, path: Path) -> None:
    run = await sealed_run(ledger, [3])
    [chunk] = await pending(ledger, run)

    await ledger.claim(chunk, at(NOW))

    assert looked_up(path, "select state, attempts from chunk") == [("sending", 1)]
    assert looked_up(path, "select number, recipients, sent_at, result from attempt") == [(1, 3, NOW, None)]


async def test_what_a_call_came_to_is_kept_with_the_chunk_and_the_attempt(ledger: Ledger, path: Path) -> None:
    run = await sealed_run(ledger, [3])
    [chunk] = await pending(ledger, run)
    first = await claimed(ledger, chunk, NOW)
    await ledger.settle(first, LATER, NOW + 1)
    [waiting] = await ledger.pending(run.id, after=START, limit=9)
    assert (waiting.state, waiting.decided_at, waiting.reason) == (ChunkState.PENDING, None, "HTTP 429")

    second = await claimed(ledger, chunk, NOW + 2)
    assert second.number == 2
    outcome = Outcome(
        chunk=ChunkState.ACCEPTED,
        status=202,
        seconds=0.25,
        not_found=("person1",),
        not_found_count=2,
        request_id="r",
        batch_task_id="b",
    )
    await ledger.settle(second, outcome, NOW + 3)

    [leaf] = await ledger.leaves(run.id)
    assert leaf.state is ChunkState.ACCEPTED
    assert (leaf.not_found, leaf.not_found_count, leaf.decided_at) == (("person1",), 2, NOW + 3)
    assert looked_up(path, "select number, status, result, reason from attempt order by id") == [
        (1, 429, "wait", "HTTP 429"),
        (2, 202, "accepted", ""),
    ]
    assert looked_up(path, "select request_id, batch_task_id from chunk") == [("r", "b")]
    totals = await ledger.totals(run.id)
    assert (totals.attempts, totals.retried, totals.rate_limited, totals.not_found) == (2, 1, 1, 2)


async def test_a_decided_chunk_is_not_decided_again(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [3])
    [chunk] = await pending(ledger, run)
    attempt = await claimed(ledger, chunk, NOW)
    await ledger.settle(attempt, ACCEPTED, NOW)

    await ledger.settle(attempt, LATER, NOW)

    assert [leaf.state for leaf in await ledger.leaves(run.id)] == [ChunkState.ACCEPTED]


async def test_only_what_is_pending_can_be_split(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [4])
    [chunk] = await pending(ledger, run)
    halves = [Part(recipients=chunk.recipients[:2], first=0), Part(recipients=chunk.recipients[2:], first=2)]

    assert len(await ledger.split(chunk, halves, NOW)) == len(halves)
    assert await ledger.split(chunk, halves, NOW) == []
    assert await ledger.claim(chunk, at(NOW)) is None

    assert [(leaf.first, leaf.size) for leaf in await ledger.leaves(run.id)] == [(0, 2), (2, 2)]


@pytest.mark.parametrize("ends", ["start_session", "end_session"])
async def test_what_was_being_sent_when_a_session_ends_or_died_is_unknown(ledger: Ledger, ends: str) -> None:
    run = await sealed_run(ledger, [3, 4])
    await ledger.start_session(run.id, NOW)
    await ledger.claim((await pending(ledger, run))[0], at(NOW))

    stranded = (
        await ledger.start_session(run.id, NOW + 9)
        if ends == "start_session"
        else await ledger.end_session(run.id, RunState.INTERRUPTED, "", NOW + 9)
    )

    assert stranded == 3
    assert (await ledger.totals(run.id)).recipients == {ChunkState.UNKNOWN: 3, ChunkState.PENDING: 4}
    [unknown] = [leaf for leaf in await ledger.leaves(run.id) if leaf.state is ChunkState.UNKNOWN]
    assert unknown.reason
    assert unknown.decided_at == NOW + 9


async def test_the_time_of_all_sessions_adds_up_that_of_a_dead_one_to_its_last_call(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1, 1])
    first, second = await pending(ledger, run)
    await ledger.start_session(run.id, NOW)
    attempt = await claimed(ledger, first, NOW + 10)
    await ledger.settle(attempt, ACCEPTED, NOW + 11)  # 0.5 s after it was sent; then the process is killed
    await ledger.start_session(run.id, NOW + 5000)
    await ledger.claim(second, at(NOW + 5001))
    await ledger.end_session(run.id, RunState.INTERRUPTED, "", NOW + 5004)

    ended = await ledger.find_run("spring")

    assert ended is not None
    assert ended.elapsed_seconds == pytest.approx(10.5 + 4)
    assert (ended.session_started_at, ended.ended_at) == (None, NOW + 5004)


async def test_the_last_call_is_that_of_the_account_whichever_run_it_was_for(ledger: Ledger) -> None:
    ours = await sealed_run(ledger, [1, 2, 3])
    theirs = await sealed_run(ledger, [4], "other", account="second")
    another_of_ours = await sealed_run(ledger, [5], "autumn", campaign="autumn")
    for run in (ours, theirs, another_of_ours):
        for chunk in await pending(ledger, run):
            await ledger.claim(chunk, at(NOW + 10 - chunk.size))

    assert await ledger.last_call_of(ours.account_id) == NOW + 9
    assert await ledger.last_call_of(theirs.account_id) == NOW + 6
    assert await ledger.last_call_of(await ledger.account_id("https://api.example.com", "third")) is None


async def test_an_uploaded_file_is_remembered_by_its_content_for_its_account(ledger: Ledger) -> None:
    ours = await ledger.account_id("https://api.example.com", "default")
    theirs = await ledger.account_id("https://api.example.com", "second")
    assert ours == await ledger.account_id("https://api.example.com", "default") != theirs

    await ledger.keep_media_url(ours, "abc", "https://cdn/1", NOW)
    await ledger.keep_media_url(ours, "abc", "https://cdn/2", NOW)

    assert await ledger.media_url(ours, "abc") == "https://cdn/2"
    assert await ledger.media_url(theirs, "abc") is None
    assert await ledger.media_url(ours, "abd") is None


async def test_content_sources_and_exclusions_are_kept_as_they_were_given(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1])
    stamps = [SourceStamp(path="/a.csv", size=3, mtime_ns=2**62, inode=2**62)]

    await ledger.keep_content(run.id, {"fields": {"text": "Grüße 🌷"}, "file": None})
    await ledger.keep_exclusions(run.id, stamps)
    await ledger.keep_sources(run.id, "other spec", stamps)

    kept = await ledger.find_run("spring")
    assert kept is not None
    assert kept.content == {"fields": {"text": "Grüße 🌷"}, "file": None}
    assert kept.plan.exclusions == kept.plan.sources == tuple(stamps)
    assert kept.audience_spec == "other spec"


# Whatever happens in whatever order, everybody is somewhere


class Sending(RuleBasedStateMachine):
    """A run that is claimed, settled, split and interrupted at random, against a model that is only a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._path = Path(self._folder.name) / "ledger.db"
        self._attempts: list[tuple[Attempt, StoredChunk]] = []
        self._model: dict[str, str] = {}
        self._open()

    def _open(self) -> None:
        self._ledger: Ledger = SqliteLedger(self._path)
        self._do(self._ledger.start())

    def _do(self, work: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
        async def wait() -> T:
            return await work

        return self._loop.run_until_complete(wait())

    @initialize(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
    def begin(self, sizes: list[int]) -> None:
        self._run = self._do(sealed_run(self._ledger, sizes))
        self._model = {f"person{n}": "pending" for n in range(sum(sizes))}
        self._do(self._ledger.start_session(self._run.id, NOW))

    def _pending(self) -> list[StoredChunk]:
        return self._do(pending(self._ledger, self._run))

    def _note(self, chunk: StoredChunk, state: str) -> None:
        self._model.update((str(name), state) for name in chunk.addresses)

    @rule(which=st.integers(0, 20))
    def claim(self, which: int) -> None:
        if chunks := self._pending():
            chunk = chunks[which % len(chunks)]
            attempt = self._do(claimed(self._ledger, chunk))
            self._attempts.append((attempt, chunk))
            self._note(chunk, "sending")

    @rule(which=st.integers(0, 20))
    def claim_what_is_claimed(self, which: int) -> None:
        if self._attempts:
            _, chunk = self._attempts[which % len(self._attempts)]
            assert self._do(self._ledger.claim(chunk, at(NOW))) is None

    @precondition(lambda self: self._attempts)
    @rule(
        which=st.integers(0, 20),
        state=st.sampled_from([ChunkState.ACCEPTED, ChunkState.REJECTED, ChunkState.UNKNOWN, ChunkState.PENDING]),
        missing=st.integers(0, 5),
    )
    def settle(self, which: int, state: ChunkState, missing: int) -> None:
        attempt, chunk = self._attempts.pop(which % len(self._attempts))
        count = min(missing, chunk.size) if state is ChunkState.ACCEPTED else 0
        self._do(self._ledger.settle(attempt, Outcome(chunk=state, not_found_count=count), NOW))
        self._note(chunk, state)

    @precondition(lambda self: self._attempts)
    @rule(which=st.integers(0, 20), at=st.integers(1, 5))
    def divide(self, which: int, at: int) -> None:
        attempt, chunk = self._attempts.pop(which % len(self._attempts))
        bad, good = chunk.recipients[:at], chunk.recipients[at:]
        parts = [Part(recipients=bad, first=chunk.first, state=ChunkState.REJECTED, status=422, reason="no")]
        parts += [Part(recipients=good, first=chunk.first + at)] if good else []
        outcome = Outcome(chunk=ChunkState.REJECTED, status=422, reason="no")
        self._do(self._ledger.divide(attempt, outcome, chunk, parts, NOW))
        self._note(chunk, "pending")
        self._model.update((str(recipient.username), "rejected") for recipient in bad)

    @rule(which=st.integers(0, 20), at=st.integers(0, 5), is_cancelled=st.booleans())
    def split(self, which: int, at: int, is_cancelled: bool) -> None:
        if not (chunks := self._pending()):
            return
        chunk = chunks[which % len(chunks)]
        state = ChunkState.CANCELLED if is_cancelled else ChunkState.PENDING
        left, right = chunk.recipients[:at], chunk.recipients[at:]
        parts = [Part(recipients=left, first=chunk.first, state=state)] if left else []
        parts += [Part(recipients=right, first=chunk.first + at)] if right else []
        assert self._do(self._ledger.split(chunk, parts, NOW))
        self._model.update((str(recipient.username), state) for recipient in left)

    def _strand(self) -> None:
        for _, chunk in self._attempts:
            self._note(chunk, "unknown")
        self._attempts.clear()

    @rule(state=st.sampled_from([RunState.INTERRUPTED, RunState.STOPPED]))
    def interrupt(self, state: RunState) -> None:
        self._do(self._ledger.end_session(self._run.id, state, "", NOW))
        self._strand()

    @rule()
    def die_and_go_on(self) -> None:
        self._do(self._ledger.close())  # type: ignore[attr-defined]
        self._open()
        self._do(self._ledger.start_session(self._run.id, NOW))
        self._strand()

    @invariant()
    def everybody_is_in_exactly_one_state(self) -> None:
        if not self._model:
            return
        run = self._do(self._ledger.find_run("spring"))
        assert run is not None
        assert make_report(run, self._do(self._ledger.totals(run.id)), now=NOW).reconciles
        found: dict[str, str] = {}
        for leaf in self._do(self._ledger.leaves(run.id)):
            for name in self._do(self._ledger.load(leaf.id)).addresses:
                assert str(name) not in found
                found[str(name)] = leaf.state
        assert found == self._model

    def teardown(self) -> None:
        self._do(self._ledger.close())  # type: ignore[attr-defined]
        self._loop.close()
        self._folder.cleanup()


TestSending = Sending.TestCase
TestSending.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


# The file


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_the_ledgers_files_are_their_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = tmp_path / "state" / "ledger.db"
        async with open_ledger(path) as ledger:
            await sealed_run(ledger, [3])
            with run_lock(path, "spring"):
                modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(["ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db-spring.lock"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_commit_waits_for_the_disk(path: Path) -> None:
    connection = database.connect(path)

    assert connection.pragma("journal_mode") == "wal"
    assert connection.pragma("synchronous") == 2
    assert connection.pragma("foreign_keys") == 1
    connection.close()


async def opened(path: Path) -> None:
    async with open_ledger(path):
        pass


async def test_a_newer_schema_is_refused(path: Path) -> None:
    await opened(path)
    newer = database.migrations()[-1][0] + 1
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", newer)
    connection.close()

    with pytest.raises(LedgerError) as caught:
        await opened(path)

    assert str(caught.value) == (
        f"the ledger {path} has schema {newer}, and this version of campaign knows up to {newer - 1}: "
        "use the newer campaign that wrote it"
    )
    assert looked_up(path, "pragma user_version") == [(newer,)]


@pytest.mark.parametrize(
    "content", [b"username\nann\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"campaign: spring\n"]
)
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_was(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(LedgerError) as caught:
        asyncio.run(opened(path))

    assert str(caught.value) == (
        f"the ledger {path}: it is damaged, or no ledger: "
        "restore a backup (a new one would know nobody who was sent to)"
    )
    assert path.read_bytes() == content


async def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "ledger.db"

    with pytest.raises(LedgerError) as caught:
        await opened(path)

    assert str(caught.value) in (
        f"the ledger {path} can't be opened: Not a directory. CAMPAIGN_LEDGER names another place for it",
        f"the ledger {path} can't be opened: File exists. CAMPAIGN_LEDGER names another place for it",
    )


async def test_a_folder_in_the_ledgers_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError) as caught:
        await opened(tmp_path)

    assert str(caught.value) == (
        f"the ledger {tmp_path} can't be opened: Is a directory. CAMPAIGN_LEDGER names another place for it"
    )


needs_permissions = pytest.mark.skipif(os.geteuid() == 0, reason="the kernel lets root write anything")


@needs_permissions
@pytest.mark.parametrize("what", ["file", "folder"])
async def test_a_ledger_without_permission_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "state" / "ledger.db"
    await opened(path)
    guarded = path if what == "file" else path.parent
    guarded.chmod(0o400 if what == "file" else 0o000)
    try:
        with pytest.raises(LedgerError, match="can't be opened: Permission denied"):
            await opened(path)
    finally:
        guarded.chmod(0o700)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.FullError, "the disk is full: make room, then start the same command again"),
        (apsw.ReadOnlyError, "it can't be written: see to its owner and permissions"),
        (apsw.CantOpenError, "it can't be opened: see that its folder exists and is yours"),
        (apsw.BusyError, "another program keeps it locked: end that one, then start the same command again"),
    ],
)
async def test_what_sqlite_reports_in_the_middle_is_a_sentence(
    ledger: Ledger, path: Path, error: type[Exception], words: str
) -> None:
    def work(_: apsw.Connection) -> None:
        raise error("no")

    assert isinstance(ledger, SqliteLedger)
    with pytest.raises(LedgerError) as caught:
        await ledger._writer.run(work)

    assert str(caught.value) == f"the ledger {path}: {words}"
    assert isinstance(caught.value.__cause__, error)


async def test_a_full_disk_fails_what_could_not_be_written_and_keeps_what_was(ledger: Ledger, path: Path) -> None:
    await fill_the_disk(ledger, path)


async def test_a_full_disk_is_called_so(ledger: Ledger, path: Path) -> None:
    assert await fill_the_disk(ledger, path) == (
        f"the ledger {path}: the disk is full: make room, then start the same command again"
    )


async def fill_the_disk(ledger: Ledger, path: Path) -> str:
    """What the ledger says of a commit that finds no room; everything before it stays, and what fits goes on."""
    run = await sealed_run(ledger, [3])
    assert isinstance(ledger, SqliteLedger)
    pages = looked_up(path, "pragma page_count")[0][0]
    await ledger._writer.run(lambda connection: connection.execute(f"pragma max_page_count = {pages + 1}").fetchall())

    with pytest.raises(LedgerError) as caught:
        await ledger.keep_content(run.id, {"fields": {"text": "x" * 100_000}})

    await ledger.claim((await pending(ledger, run))[0], at(NOW))
    assert looked_up(path, "select chunk.state, content from chunk join run on run.id = run_id") == [("sending", None)]
    return str(caught.value)


# The writer's thread


class Counting:
    """The connections of a Writer whose commits are counted."""

    def __init__(self) -> None:
        self.commits = 0

    def connect(self, path: Path) -> apsw.Connection:
        connection = database.connect(path)
        connection.set_commit_hook(self._committed)
        return connection

    def _committed(self) -> bool:
        self.commits += 1
        return False


@asynccontextmanager
async def a_writer(path: Path, counting: Counting) -> AsyncIterator[Writer]:
    writer = Writer(partial(counting.connect, path), path, Accounts(path))
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def keep(label: str) -> Callable[[apsw.Connection], None]:
    def work(connection: apsw.Connection) -> None:
        connection.execute("insert into account (origin, label) values ('x', ?)", (label,))

    return work


async def test_jobs_that_wait_together_share_a_commit(path: Path) -> None:
    counting, gate = Counting(), threading.Event()
    async with a_writer(path, counting) as writer:
        blocked = asyncio.ensure_future(writer.run(lambda _: gate.wait(10)))
        jobs = [asyncio.ensure_future(writer.run(keep(str(number)))) for number in range(100)]
        await asyncio.sleep(0)
        before = counting.commits
        gate.set()
        await asyncio.gather(blocked, *jobs)

        assert counting.commits - before <= 3
    assert looked_up(path, "select count(*) from account") == [(100,)]


async def test_a_job_that_fails_takes_no_other_with_it(path: Path) -> None:
    gate = threading.Event()

    def fail(connection: apsw.Connection) -> None:
        keep("half")(connection)
        raise ValueError("no")

    async with a_writer(path, Counting()) as writer:
        blocked = asyncio.ensure_future(writer.run(lambda _: gate.wait(10)))
        jobs = [asyncio.ensure_future(writer.run(work)) for work in (keep("a"), fail, keep("b"), keep("a"), keep("c"))]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        await blocked

    assert [type(result) for result in results] == [type(None), ValueError, type(None), LedgerError, type(None)]
    assert looked_up(path, "select label from account order by label") == [("a",), ("b",), ("c",)]


async def test_when_a_commit_fails_what_comes_after_it_is_not_done(path: Path) -> None:
    gate = threading.Event()

    def fail(_: apsw.Connection) -> None:
        raise ValueError("no")

    def keep_in_vain(connection: apsw.Connection) -> None:
        keep("lost")(connection)
        connection.set_commit_hook(lambda: True)

    async with a_writer(path, Counting()) as writer:
        blocked = asyncio.ensure_future(writer.run(lambda _: gate.wait(10)))
        jobs = [asyncio.ensure_future(writer.run(work)) for work in (fail, keep("a"), keep_in_vain, keep("b"))]
        await asyncio.sleep(0)
        gate.set()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        await blocked

    assert [type(result) for result in results] == [ValueError, type(None), LedgerError, LedgerError]
    assert looked_up(path, "select label from account") == [("a",)]


async def test_a_job_that_is_cancelled_before_its_turn_is_never_done(path: Path) -> None:
    entered, gate = threading.Event(), threading.Event()

    def block(_: apsw.Connection) -> None:
        entered.set()
        gate.wait(10)

    async with a_writer(path, Counting()) as writer:
        blocked = asyncio.ensure_future(writer.run(block))
        await asyncio.to_thread(entered.wait, 10)
        job = asyncio.ensure_future(writer.run(keep("never")))
        await asyncio.sleep(0)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        gate.set()
        await blocked
        await writer.run(keep("a"))

    assert looked_up(path, "select label from account") == [("a",)]


async def test_closing_lets_what_is_queued_finish(path: Path) -> None:
    async with a_writer(path, Counting()) as writer:
        jobs = [asyncio.ensure_future(writer.run(keep(str(number)))) for number in range(600)]
        await asyncio.sleep(0)
    await asyncio.gather(*jobs)

    assert looked_up(path, "select count(*) from account") == [(600,)]


# Other processes


def python(code: str, *arguments: str | Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


KILLED = """
import sys
from pathlib import Path
from sender.ledger import database
connection = database.connect(Path(sys.argv[1]))
connection.execute("begin immediate")
connection.execute("update chunk set state = 'accepted'")
connection.execute("insert into account (origin, label) values ('x', 'half')")
print("in the middle", flush=True)
sys.stdin.read()
"""


async def test_a_process_killed_in_the_middle_of_a_transaction_leaves_the_ledger_as_it_was(path: Path) -> None:
    async with open_ledger(path) as ledger:
        run = await sealed_run(ledger, [3, 4])
    with python(KILLED, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in the middle\n"
        process.send_signal(signal.SIGKILL)

    async with open_ledger(path) as ledger:
        assert (await ledger.totals(run.id)).recipients == {ChunkState.PENDING: 7}
        assert await ledger.claim((await pending(ledger, run))[0], at(NOW)) is not None
    assert looked_up(path, "pragma integrity_check") == [("ok",)]
    assert looked_up(path, "select label from account") == [("default",)]


WRITING = """
import asyncio, sys
from pathlib import Path
from sender.ledger import open_ledger

async def main():
    async with open_ledger(Path(sys.argv[1])) as ledger:
        for number in range(100):
            await ledger.account_id(sys.argv[2], str(number))

asyncio.run(main())
"""


async def test_two_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    await opened(path)
    processes = [python(WRITING, path, name) for name in ("one", "two")]
    for process in processes:
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"")

    assert looked_up(path, "select origin, count(*) from account group by origin") == [("one", 100), ("two", 100)]
    assert looked_up(path, "pragma integrity_check") == [("ok",)]


def test_a_first_start_waits_for_another_one(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("begin immediate")
    release = threading.Timer(0.1, other.execute, ["commit"])
    release.start()

    try:
        database.connect(path).close()
    finally:
        release.join()
        other.close()


async def test_a_writer_sees_what_another_process_wrote_meanwhile(ledger: Ledger, path: Path) -> None:
    run = await sealed_run(ledger, [3])
    async with open_ledger(path) as other:
        [chunk] = await pending(other, run)
        assert await other.claim(chunk, at(NOW)) is not None

    assert await ledger.claim(chunk, at(NOW)) is None


# Network file systems

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/share rw,relatime shared:9 master:2 - nfs4 nas:/export rw,vers=4.2
31 22 0:41 / /mnt/share/disk rw - ext4 /dev/sdb1 rw
32 22 0:42 / /mnt/with\040space rw - cifs //nas/x rw
33 22 0:43 / /mnt/shar rw - tmpfs tmpfs rw
34 22 0:44 / /mnt/over rw - ext4 /dev/sdc1 rw
35 34 0:45 / /mnt/over rw - cifs //nas/y rw
36 22 0:46 / /mnt/under rw - nfs4 nas:/z rw
37 36 0:47 / /mnt/under rw - ext4 /dev/sdd1 rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/home/ann/ledger.db", "ext4"),
        ("/mnt/share/ledger.db", "nfs4"),
        ("/mnt/share/deep/er/ledger.db", "nfs4"),
        ("/mnt/share/disk/ledger.db", "ext4"),
        ("/mnt/shared/ledger.db", "ext4"),
        ("/mnt/with space/ledger.db", "cifs"),
        ("/mnt/shar/ledger.db", "tmpfs"),
    ],
)
def test_the_kind_of_file_system_is_that_of_the_innermost_mount(tmp_path: Path, place: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.lstrip())

    assert file_system(Path(place), mounts) == kind


def test_of_two_mounts_on_one_point_the_later_one_counts(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.lstrip())

    kinds = [file_system(Path(f"/mnt/{name}/ledger.db"), mounts) for name in ("over", "under")]

    assert kinds == ["cifs", "ext4"]


def test_where_the_kernel_does_not_tell_nothing_is_refused(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize("kind", sorted(database.NETWORK_FILE_SYSTEMS))
async def test_a_ledger_on_a_network_file_system_is_refused(
    path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "file_system", lambda _: kind)

    with pytest.raises(LedgerError) as caught:
        await opened(path)

    assert str(caught.value) == (
        f"the ledger {path} lies on a network file system ({kind}), where locks and durability can't be relied on: "
        "let CAMPAIGN_LEDGER name a path on a local disk"
    )
