"""What a run's calls add up to: sums that the ledger makes, against the same sums made by hand."""

from collections.abc import AsyncIterator
from math import ceil
from pathlib import Path
from random import Random

import apsw
import pytest

from campaigns.model import IdentifierKind, Rate
from sender.ledger import Bucket, Ledger, Part, Rates, Reason, Run, Span, database, open_ledger
from sender.ledger.rows import insert_chunk
from sender.outcome import ChunkState, Lever, Outcome, RunState, Then
from sender.page.facts import MOST_ROWS, gather_facts
from tests.integration.plans import NOW, claimed, new_run, pending, people, sealed_run

ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202, seconds=0.5)
LIMITED = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429, reason="HTTP 429", seconds=0.1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


async def call(ledger: Ledger, run: Run, at: float, outcome: Outcome | None) -> None:
    """One call of the next pending chunk; without an outcome its sender dies."""
    attempt = await claimed(ledger, (await pending(ledger, run))[0], NOW + at)
    assert attempt is not None
    if outcome:
        await ledger.settle(attempt, outcome, NOW + at + outcome.seconds)


async def test_a_session_is_noted_with_its_rate_and_one_that_died_ends_with_its_last_call(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1, 1, 1])
    await ledger.start_session(run.id, NOW, Rates(calls=Rate.parse("2/s")))
    await call(ledger, run, 5, ACCEPTED)
    await ledger.start_session(run.id, NOW + 100, Rates(calls=Rate.parse("500/h")))  # the first one died
    await ledger.end_session(run.id, RunState.INTERRUPTED, "", NOW + 110)
    await ledger.start_session(run.id, NOW + 200)
    await call(ledger, run, 201, ACCEPTED)

    first, second, third = await ledger.sessions(run.id)

    assert (first.started_at, first.ended_at, first.rate, first.is_open) == (NOW, NOW + 5.5, "2/s", False)
    assert (second.started_at, second.ended_at, second.rate) == (NOW + 100, NOW + 110, "500/h")
    assert (third.ended_at, third.rate, third.is_open) == (NOW + 201.5, None, True)


async def test_what_was_sent_before_sessions_were_noted_is_one(path: Path) -> None:
    with apsw.Connection(str(path)) as old:
        for number, sql in database.migrations():
            if number < 3:
                old.execute(sql)
        old.pragma("user_version", 2)
        old.execute("insert into account (id, origin, label) values (1, 'sandbox', 'default')")
        for run_id, name in ((1, "spring"), (2, "autumn")):
            old.execute(
                """
                insert into run (id, name, key, campaign, account_id, state, message_fingerprint, created_at)
                values (?, ?, 'key', 'spring', 1, 'completed', '', 0)
                """,
                (run_id, name),
            )
        insert_chunk(old, 1, None, IdentifierKind.USERNAME, Part(recipients=people(0, 1), first=0))
        old.execute("delete from chunk_recipients")
        for at in (1, 7):
            values = (NOW + at, 0.5)
            old.execute("insert into attempt values (null, 1, 1, 1, 1, ?, ?, 202, 'accepted', '')", values)

    async with open_ledger(path) as ledger:
        (session,) = await ledger.sessions(1)
        assert (session.started_at, session.ended_at, session.rate) == (NOW + 1, NOW + 7.5, None)
        assert await ledger.sessions(2) == []


async def test_calls_are_counted_by_stretch_and_bucket(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1] * 6)
    await call(ledger, run, -0.5, ACCEPTED)  # before the first stretch, as a clock set back leaves it
    await call(ledger, run, 0.4, LIMITED)
    await call(ledger, run, 0.6, ACCEPTED)
    await call(ledger, run, 25, Outcome(chunk=ChunkState.REJECTED, status=422, reason="no"))
    await call(ledger, run, 100, None)
    await call(ledger, run, 101, ACCEPTED)

    buckets = await ledger.buckets(run.id, [NOW, NOW + 100], 10.0)

    assert buckets == [
        Bucket(stretch=0, place=0, calls=3, accepted=2, rate_limited=1),
        Bucket(stretch=0, place=2, calls=1, accepted=0, rate_limited=0),
        Bucket(stretch=1, place=0, calls=2, accepted=1, rate_limited=0),
    ]
    assert sum(bucket.calls for bucket in buckets) == (await ledger.totals(run.id)).attempts


async def test_a_wait_is_the_time_after_a_429_without_a_call(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [1, 1, 1])
    await call(ledger, run, 0, LIMITED)
    await call(ledger, run, 0.1, LIMITED)
    await call(ledger, run, 30, ACCEPTED)
    await call(ledger, run, 90, LIMITED)

    first, last = await ledger.waits(run.id, 5.0)

    assert first == Span(start=NOW + 0.1, end=NOW + 30)
    assert last.start == NOW + 90
    assert last.end > NOW + 1e9


@pytest.mark.parametrize("count", [1, 2, 100, 101])
async def test_percentiles_are_those_of_the_nearest_rank(ledger: Ledger, count: int) -> None:
    run = await sealed_run(ledger, [1] * (count + 1))
    random = Random(count)
    seconds = [random.expovariate(2) for _ in range(count)]
    for chunk, each in zip(await pending(ledger, run), seconds, strict=False):
        attempt = await claimed(ledger, chunk, NOW)
        assert attempt is not None
        await ledger.settle(attempt, Outcome(chunk=ChunkState.ACCEPTED, status=202, seconds=each), NOW)
    await call(ledger, run, 0, None)

    latency = await ledger.latency(run.id, [50, 90, 99, 100])

    assert latency.calls == count
    assert latency.seconds == {p: sorted(seconds)[ceil(count * p / 100) - 1] for p in (50, 90, 99, 100)}


async def test_reasons_come_by_the_number_of_their_recipients_and_the_rarer_ones_as_sums(ledger: Ledger) -> None:
    run = await sealed_run(ledger, [5, 3, 40, 2, 1, 1, 9, 1])
    for reason in ("blocked", "too late", "blocked"):
        await call(ledger, run, 0, Outcome(chunk=ChunkState.REJECTED, status=422, reason=reason))
    await call(ledger, run, 1, Outcome(chunk=ChunkState.UNKNOWN, status=504, reason="HTTP 504"))
    await call(ledger, run, 2, LIMITED)
    for reason in ("rare", "rarer"):
        await call(ledger, run, 3, Outcome(chunk=ChunkState.REJECTED, status=422, reason=reason))
    await call(ledger, run, 4, None)
    await ledger.strand(run.id, NOW)

    reasons = await ledger.reasons(run.id, 4)

    assert reasons == [
        Reason(state=ChunkState.REJECTED, words="blocked", recipients=45, calls=2),
        Reason(state=ChunkState.UNKNOWN, words="the sender died while this was being sent", recipients=9, calls=1),
        Reason(state=ChunkState.REJECTED, words="too late", recipients=3, calls=1),
        Reason(state=ChunkState.UNKNOWN, words="HTTP 504", recipients=2, calls=1),
        Reason(state=ChunkState.REJECTED, words=None, recipients=2, calls=2, reasons=2),
        Reason(state=ChunkState.PENDING, words=None, recipients=0, calls=1),
    ]
    totals = await ledger.totals(run.id)
    undone = totals.recipients[ChunkState.REJECTED] + totals.recipients[ChunkState.UNKNOWN]
    assert sum(reason.recipients for reason in reasons) == undone


async def test_only_the_first_of_very_many_problem_recipients_are_gathered(path: Path) -> None:
    async with open_ledger(path) as ledger:
        run = await sealed_run(ledger, [900, 10, 900])
        await call(ledger, run, 0, Outcome(chunk=ChunkState.REJECTED, status=422, reason="no"))
        names = tuple(f"person{number}" for number in range(900, 904))
        missing = Outcome(chunk=ChunkState.ACCEPTED, status=202, not_found=names[:3], not_found_count=3)
        await call(ledger, run, 1, missing)

        incomplete = [chunk.size async for chunk in ledger.chunks(run.id, ChunkState, only_incomplete=True)]
        assert incomplete == [10]

    facts = await gather_facts(path, "spring")

    listed = {each.state: each for each in facts.listed}
    assert list(listed) == ["unknown", "rejected", "not_found"]
    assert (listed["rejected"].total, len(listed["rejected"].rows), listed["rejected"].is_cut) == (900, MOST_ROWS, True)
    assert [row.username for row in listed["not_found"].rows] == [*names[:3]]
    assert listed["unknown"].rows == ()
    only = (await gather_facts(path, None, ("pending",))).listed
    assert [(each.state, each.total) for each in only] == [("pending", 900)]


async def test_a_run_that_was_never_begun_has_facts_too(ledger: Ledger, path: Path) -> None:
    await sealed_run(ledger, [3])
    await ledger.begin_plan(new_run("draft"))

    facts = await gather_facts(path, None)

    assert facts.report.run == "spring"
    assert (facts.began_at, facts.ended_at, facts.buckets, facts.latency.calls) == (None, None, (), 0)


async def test_a_run_that_was_cancelled_before_it_began_ended_then(ledger: Ledger, path: Path) -> None:
    run = await sealed_run(ledger, [3])
    await ledger.obey(await ledger.give(run.id, Lever.CANCEL, "", "ann", NOW), NOW + 5)

    facts = await gather_facts(path, None)

    assert (facts.report.state, facts.began_at, facts.ended_at) == (RunState.CANCELLED, None, NOW + 5)
