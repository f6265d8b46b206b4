"""A sender as the command has it, without the command: pool, throttle, ledger on disk, HTTP client."""

import asyncio
import logging
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from campaigns.model import IdentifierKind, Rate
from campaigns.plan import Chunk
from sender.backlog import Backlog
from sender.gate import Gate
from sender.inro.client import connect
from sender.inro.messenger import InroMessenger
from sender.inro.wire import Content, Request
from sender.ledger import Ledger, Rates, Run, StoredChunk, open_ledger
from sender.ledger.lock import run_lock
from sender.outcome import Outcome, RunState
from sender.pool import Pool
from sender.retry import Policy, Tally
from sender.throttle import Throttle
from tests.integration.plans import new_run, people, plan_of

QUIET: Any = structlog.wrap_logger(
    structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)


@dataclass(kw_only=True)
class Sent:
    """What came of one sender's calls, each as (when its request left, status, seconds)."""

    calls: list[tuple[float, int | None, float]] = field(default_factory=list)

    @property
    def refused(self) -> int:
        """How many were answered with 429."""
        return sum(status == 429 for _, status, _ in self.calls)

    @property
    def rtt_seconds(self) -> float:
        """The mean time that the server took to answer."""
        return sum(seconds for *_, seconds in self.calls) / len(self.calls)

    def per_second(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Accepted calls a second, of those that left so many seconds after the first one."""
        began = self.calls[0][0]
        left = [at - began for at, status, _ in self.calls if status == 202 and since <= at - began <= until]
        if until < float("inf"):
            return len(left) / (until - since)
        return (len(left) - 1) / (left[-1] - left[0])


@dataclass(kw_only=True)
class _Jittery:
    """A messenger whose requests take so long on their way; notes what comes back."""

    inner: InroMessenger
    jitter_seconds: float
    sent: Sent

    def request(self, chunk: StoredChunk) -> Request:
        return self.inner.request(chunk)

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        began = time.monotonic()
        if self.jitter_seconds:
            await asyncio.sleep(random.uniform(0, self.jitter_seconds))
        outcome = await self.inner.send(chunk, request)
        self.sent.calls.append((began, outcome.status, time.monotonic() - began))
        return replace(outcome, seconds=time.monotonic() - began)

    async def probe(self) -> Outcome:
        return await self.inner.probe()


class _Nobody:
    """Watches nothing."""

    def settled(self, recipients: int, outcome: Outcome) -> None: ...

    def paused(self, seconds: float, reason: str) -> None: ...


async def send(
    folder: Path,
    port: int,
    rate: str,
    *,
    seconds: float,
    name: str = "bench",
    jitter_seconds: float = 0.0,
    workers: int = 16,
) -> Sent:
    """Sends for so long at that rate to what listens on the port, single recipients."""
    asked, sent = Rate.parse(rate), Sent()
    async with open_ledger(folder / f"{port}.db") as ledger:
        with run_lock(folder / f"{port}.db", name):
            run = await _a_run(ledger, name, int(asked.per_second * seconds * 1.2) + 100)
            await ledger.start_session(run.id, time.time(), Rates(calls=asked))
            async with connect(
                api_url=f"http://127.0.0.1:{port}", token=SecretStr("made-up"), timeout_seconds=10
            ) as client:
                content = Content(fields={"message_type": "text", "text": "Hello"})
                messenger = InroMessenger(client=client, content=content, key=run.key)
                pool = Pool(
                    backlog=Backlog(ledger, run.id),
                    ledger=ledger,
                    messenger=_Jittery(inner=messenger, jitter_seconds=jitter_seconds, sent=sent),
                    throttle=Throttle(asked),
                    policy=Policy(),
                    tally=Tally(accepted=1, decided=1),
                    workers=workers,
                    watcher=_Nobody(),
                    gate=Gate(),
                    log=QUIET,
                )
                asyncio.get_running_loop().call_later(seconds, pool.stop)
                with suppress(asyncio.CancelledError):
                    await pool.run()
            await ledger.end_session(run.id, RunState.INTERRUPTED, "", time.time())
    return sent


async def _a_run(ledger: Ledger, name: str, recipients: int) -> Run:
    draft = await ledger.begin_plan(new_run(name))
    chunks = [Chunk(IdentifierKind.USERNAME, (person,)) for person in people(0, recipients)]
    await ledger.add_chunks(draft.id, 0, chunks)
    await ledger.seal(draft.id, plan_of(recipients))
    run = await ledger.find_run(name)
    assert run is not None
    return run
