"""Corners of the promise that random stories reach too seldom, each told by itself."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from campaigns.audience import Recipient
from campaigns.model import Audience, IdentifierKind, Rate
from campaigns.plan import Chunk
from sender.backlog import Backlog
from sender.gate import Gate
from sender.halving import cut
from sender.ledger import Ledger, Part, Run, StoredChunk, open_ledger
from sender.outcome import ChunkState, Lever, Outcome
from sender.pool import Pool
from sender.retry import Policy, Tally
from sender.suppression import Suppression
from sender.throttle import Throttle
from tests.integration.faulty_api import Answer, FaultyApi
from tests.integration.plans import NOW, claimed, new_run, pending, plan_of

SILENT: Any = structlog.get_logger()


class Nobody:
    """Watches nothing."""

    def settled(self, recipients: int, outcome: Outcome) -> None: ...

    def paused(self, seconds: float, reason: str) -> None: ...


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


async def a_run(ledger: Ledger, *sizes: int) -> Run:
    draft = await ledger.begin_plan(new_run())
    first = 0
    for size in sizes:
        people = tuple(Recipient(None, f"person{n}", None, 0, n + 2) for n in range(first, first + size))
        await ledger.add_chunks(draft.id, first, [Chunk(IdentifierKind.USERNAME, people)])
        first += size
    await ledger.seal(draft.id, plan_of(first))
    return await fresh(ledger)


async def fresh(ledger: Ledger) -> Run:
    run = await ledger.find_run("spring")
    assert run is not None
    return run


def a_pool(ledger: Ledger, run: Run, api: FaultyApi, *, workers: int = 1) -> Pool:
    return Pool(
        backlog=Backlog(ledger, run.id),
        ledger=ledger,
        messenger=api,
        throttle=Throttle(Rate(count=1_000_000, period_seconds=1.0)),
        policy=Policy(base_seconds=0.0),
        tally=Tally(),
        workers=workers,
        watcher=Nobody(),
        gate=Gate(),
        log=SILENT,
    )


class OptOuts:
    """An exclusion list, and what keeps a run in step with it."""

    def __init__(self, folder: Path, run: Run, ledger: Ledger) -> None:
        self._list = folder / "optouts.csv"
        self._list.write_text("username\n", "utf-8")
        audience = Audience.model_construct(csv=("gone.csv",), exclude=(str(self._list),))
        self.suppression = Suppression(run, audience, ledger, SILENT)

    async def add(self, *names: str) -> None:
        with self._list.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)
        await self.suppression.apply()


async def pull(ledger: Ledger, run: Run, lever: Lever) -> int:
    return await ledger.obey(await ledger.give(run.id, lever, "", "ops", NOW), NOW)


@pytest.mark.parametrize("answer", [Answer.WAIT, Answer.UNREACHED, Answer.COUNTED])
async def test_who_opts_out_while_in_flight_is_not_sent_to_when_their_call_was_not_processed(
    tmp_path: Path, ledger: Ledger, answer: Answer
) -> None:
    run = await a_run(ledger, 4)
    opt_outs = OptOuts(tmp_path, run, ledger)
    poisoned = {"person3"} if answer is Answer.COUNTED else set[str]()
    api = FaultyApi(script=deque([answer]), poisoned=poisoned)
    added = asyncio.Event()

    async def opt_out_once(_chunk: StoredChunk) -> None:
        if not added.is_set():
            added.set()
            await opt_outs.add("person1")

    api.before = opt_out_once
    await a_pool(ledger, run, api).run()
    assert api.accepted["person1"] == 0


@pytest.mark.parametrize("lever", [Lever.RETRY, Lever.RESEND])
async def test_who_opted_out_is_not_sent_to_when_an_operator_reopens_their_chunk(
    tmp_path: Path, ledger: Ledger, lever: Lever
) -> None:
    run = await a_run(ledger, 1, 1)
    api = FaultyApi(script=deque([Answer.LOST]), poisoned={"person1"})
    await ledger.start_session(run.id, NOW)
    await a_pool(ledger, run, api).run()
    name = {Lever.RESEND: "person0", Lever.RETRY: "person1"}[lever]
    await OptOuts(tmp_path, run, ledger).add(name)
    api.poisoned.clear()

    assert await pull(ledger, run, lever) == 0, "the only one in that chunk has opted out"
    run = await fresh(ledger)
    audience = Audience.model_construct(csv=("gone.csv",), exclude=(str(tmp_path / "optouts.csv"),))
    await Suppression(run, audience, ledger, SILENT).apply()  # as every start does
    await a_pool(ledger, run, api).run()
    assert api.accepted[name] == 0


@pytest.mark.parametrize("answer", [Answer.WAIT, Answer.COUNTED])
async def test_who_was_in_flight_when_the_run_was_cancelled_is_not_left_pending(ledger: Ledger, answer: Answer) -> None:
    run = await a_run(ledger, 4)
    api = FaultyApi(script=deque([answer]), poisoned={"person3"})
    pool = a_pool(ledger, run, api)

    async def cancel(_chunk: StoredChunk) -> None:
        await pull(ledger, run, Lever.CANCEL)
        pool.stop()

    api.before = cancel
    await pool.run()
    assert not await pending(ledger, run)


async def test_an_api_that_falls_ill_while_the_message_is_in_doubt_is_probed_before_anything_else(
    ledger: Ledger,
) -> None:
    run = await a_run(ledger, *[4] * 8)
    api = FaultyApi(script=deque([Answer.REFUSED_MESSAGE, Answer.LOST, Answer.LOST, Answer.LOST]))
    probed: list[int] = []

    async def note(_chunk: StoredChunk) -> None:
        probed.append(api.probed)

    api.before = note
    await a_pool(ledger, run, api, workers=3).run()
    assert [len(call) for call in api.calls[:4]] == [4, 4, 4, 1]  # a refusal, two unknown in flight with it, a trial
    assert probed[4] > 0, "a chunk was taken after the third unknown in a row, and the API had not been asked"


async def test_a_single_recipient_is_found_among_parts_that_overlap(ledger: Ledger) -> None:
    run = await a_run(ledger, 9)
    (chunk,) = await pending(ledger, run)
    # As three refusals that name one each leave them, once `campaign retry` has reopened the named.
    bad = [1, 2, 3]
    good = tuple(recipient for n, recipient in enumerate(chunk.recipients) if n not in bad)
    parts = [Part(recipients=good, first=0), *(Part(recipients=chunk.recipients[n : n + 1], first=n) for n in bad)]
    await ledger.split(chunk, parts, NOW)
    assert await Backlog(ledger, run.id).single(0.5) is not None


async def test_cutting_out_single_recipients_loses_nobody(ledger: Ledger) -> None:
    run = await a_run(ledger, 9)
    for where in (0.0, 0.5, 1.0, 0.3):
        assert await Backlog(ledger, run.id).single(where) is not None
    names = [r.username for leaf in await pending(ledger, run) for r in leaf.recipients]
    assert sorted(names, key=str) == [f"person{n}" for n in range(9)]
    assert {leaf.state for leaf in await ledger.leaves(run.id)} == {ChunkState.PENDING}


async def test_who_opts_out_is_found_in_the_parts_of_a_chunk_that_is_divided_meanwhile(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await a_run(ledger, 1, 4, 1)
    _, second, _ = await pending(ledger, run)
    attempt = await claimed(ledger, second, NOW)
    exclude, chunks_excluded = ledger.exclude, list[int]()

    async def exclude_slowly(chunk_id: int, *more: Any) -> int:
        if not chunks_excluded:  # the list is being applied, and a refusal comes in
            refused = Outcome(chunk=ChunkState.REJECTED, status=422)
            await ledger.divide(attempt, refused, second, cut(second, [2]), NOW)
        chunks_excluded.append(chunk_id)
        return await exclude(chunk_id, *more)

    monkeypatch.setattr(ledger, "exclude", exclude_slowly)
    opt_outs = OptOuts(tmp_path, run, ledger)
    await opt_outs.add("person0", "person3")
    assert "person3" not in [recipient.username for leaf in await pending(ledger, run) for recipient in leaf.recipients]


async def test_who_may_have_got_it_is_never_called_cancelled(tmp_path: Path, ledger: Ledger) -> None:
    run = await a_run(ledger, 1)
    api = FaultyApi(script=deque([Answer.LOST_REPLY]))
    await a_pool(ledger, run, api).run()
    await OptOuts(tmp_path, run, ledger).add("person0")
    await pull(ledger, run, Lever.RESEND)
    assert [leaf.state for leaf in await ledger.leaves(run.id)] == [ChunkState.UNKNOWN]
    assert api.accepted["person0"] == 1
