"""What Prometheus scrapes of a `send` while it runs: the session's own, served over HTTP on this machine.

Served by aiohttp in the sender's own event loop, not by prometheus-client's thread: the gauges are then asked of the
ledger at each scrape, so they are as true as `campaign status`, and the server ends with the session. They are asked
over a connection of their own, so that a scrape keeps no commit waiting.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from campaigns.model import Rate
from sender.errors import InputError, LedgerError
from sender.ledger import Ledger, open_ledger
from sender.outcome import ChunkState, Outcome, RunState, Then
from sender.report import CHUNK_STATES, RECIPIENT_STATES, Report, make_report
from sender.session import View

LOOPBACK = "127.0.0.1"
NOW_SECONDS = 10.0
REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OUTCOMES = (ChunkState.ACCEPTED, ChunkState.REJECTED, ChunkState.UNKNOWN, Then.WAIT, Then.BACK_OFF, Then.STOP)


class Metrics:
    """The numbers of one session. docs/metrics.md describes each."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry()
        ours: Any = {"registry": self.collectors}
        ProcessCollector(**ours)
        self.run: str | None = None
        self._pause_ends_at = 0.0
        self._info = Info("inro_campaign_run", "The run that is sent.", **ours)
        self._recipients = Gauge("inro_campaign_recipients", "Recipients of the run by state.", ["state"], **ours)
        self._chunks = Gauge("inro_campaign_chunks", "Chunks of the run by state.", ["state"], **ours)
        self._held = Gauge("inro_campaign_held", "1 from an operator's pause to the resume.", **ours)
        self._outside = Gauge("inro_campaign_outside_window", "1 while the run waits for its window.", **ours)
        self._asked = Gauge("inro_campaign_rate_asked_calls_per_second", "The rate asked for.", **ours)
        self._used = Gauge("inro_campaign_rate_used_calls_per_second", "Calls begun in the last ten seconds.", **ours)
        self._calls = Counter("inro_campaign_calls", "Calls by their outcome.", ["outcome"], **ours)
        for outcome in OUTCOMES:  # a series that is there from the start can be seen to grow
            self._calls.labels(outcome)
        self._limited = Counter("inro_campaign_rate_limited_calls", "Calls answered with 429.", **ours)
        self._request_seconds = Histogram(
            "inro_campaign_request_seconds", "Duration of calls.", buckets=REQUEST_BUCKETS, **ours
        )
        self._pause_seconds = Counter(
            "inro_campaign_pause_seconds", "For how long the account was made to wait.", **ours
        )
        self._pause_left = Gauge("inro_campaign_pause_remaining_seconds", "How long the account waits still.", **ours)
        self._commit_seconds = Histogram(
            "inro_campaign_ledger_commit_seconds",
            "Time to make a group of the ledger's changes durable.",
            buckets=COMMIT_BUCKETS,
            **ours,
        )

    def committed(self, seconds: float) -> None:
        """The ledger has made changes durable; called from its thread."""
        self._commit_seconds.observe(seconds)

    def begun(self, report: Report) -> None:
        """The session has begun to send that run."""
        self.run = report.run
        self._info.info({"run": report.run, "campaign": report.campaign, "account": report.account})

    def settled(self, outcome: Outcome) -> None:
        """A call has its outcome."""
        self._calls.labels(outcome.result).inc()
        self._request_seconds.observe(outcome.seconds)
        if outcome.status == 429:
            self._limited.inc()

    def paused(self, seconds: float) -> None:
        """The account waits for so long; what several calls under way are told at once is one pause."""
        now = time.monotonic()
        ends_at = now + seconds
        self._pause_seconds.inc(max(0.0, ends_at - max(now, self._pause_ends_at)))
        self._pause_ends_at = max(self._pause_ends_at, ends_at)

    async def refresh(self, ledger: Ledger) -> None:
        """Asks the ledger for what only it knows. Raises LedgerError."""
        self._pause_left.set(max(0.0, self._pause_ends_at - time.monotonic()))
        run = await ledger.find_run(self.run) if self.run else None
        if run is None:
            return
        now = time.time()
        report = make_report(run, await ledger.totals(run.id), now=now)
        for state in RECIPIENT_STATES:
            self._recipients.labels(state).set(report.recipients[state])
        for state in CHUNK_STATES:
            self._chunks.labels(state).set(report.chunks[state])
        self._held.set(run.held)
        self._outside.set(run.state is RunState.SCHEDULED)
        self._asked.set(Rate.parse(run.rate_asked).per_second if run.rate_asked else 0.0)
        span = min(NOW_SECONDS, max(1.0, now - (run.session_started_at or 0.0)))
        self._used.set(len(await ledger.run_sends(run.id, now - span)) / span)


class Metered:
    """A view that shows what another one shows, and counts it."""

    def __init__(self, view: View, metrics: Metrics) -> None:
        self._view = view
        self._metrics = metrics

    def rows(self, count: int) -> None:
        self._view.rows(count)

    def begun(self, report: Report) -> None:
        self._metrics.begun(report)
        self._view.begun(report)

    def settled(self, recipients: int, outcome: Outcome) -> None:
        self._metrics.settled(outcome)
        self._view.settled(recipients, outcome)

    def paused(self, seconds: float, reason: str) -> None:
        self._metrics.paused(seconds)
        self._view.paused(seconds, reason)

    def notice(self, text: str) -> None:
        self._view.notice(text)


@asynccontextmanager
async def serving(metrics: Metrics, address: str, ledger: Path) -> AsyncIterator[str]:
    """Serves the metrics as long as the context lasts; yields their URL.

    address   `PORT` on this machine alone, or `HOST:PORT`; 0 takes any free port

    Raises InputError when nothing can listen there.
    """
    host, port = _parse(address)
    async with open_ledger(ledger) as own:
        runner = web.AppRunner(_app(metrics, own), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise InputError(
                    f"--metrics: nothing can listen on {address}: {error.strerror or error}; nothing was sent"
                ) from error
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{runner.addresses[0][1]}/metrics"
        finally:
            await runner.cleanup()


def _app(metrics: Metrics, ledger: Ledger) -> web.Application:
    async def scrape(request: web.Request) -> web.Response:
        try:
            await metrics.refresh(ledger)
        except LedgerError as error:
            return web.Response(status=503, text=f"{error}\n")
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(metrics.collectors), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    return app


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise InputError(f"--metrics is {address!r}: expected PORT or HOST:PORT, such as 9464 or 0.0.0.0:9464")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)
