"""Metrics as Prometheus scrapes them, and that what the documents name is there."""

import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sender.errors import InputError
from sender.ledger import Ledger, open_ledger
from sender.metrics import Metered, Metrics, serving
from sender.outcome import ChunkState, Outcome, RunState, Then
from sender.report import make_report
from tests.integration.plans import claimed, pending, sealed_run

DOCS = Path(__file__).parents[2] / "docs"
ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202, not_found_count=1, seconds=0.2)
LIMITED = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429, reason="HTTP 429", seconds=0.1)


class Quiet:
    """A view that shows nothing."""

    def rows(self, count: int) -> None: ...
    def begun(self, report: object) -> None: ...
    def settled(self, recipients: int, outcome: Outcome) -> None: ...
    def paused(self, seconds: float, reason: str) -> None: ...
    def notice(self, text: str) -> None: ...


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@asynccontextmanager
async def a_session(path: Path) -> AsyncIterator[tuple[Ledger, str]]:
    """A session of three chunks, one accepted and one to be sent again, and where its metrics are."""
    metrics = Metrics()
    view = Metered(Quiet(), metrics)
    async with open_ledger(path, metrics.committed) as ledger, serving(metrics, "0", path) as url:
        run = await sealed_run(ledger, [10, 10, 5])
        await ledger.start_session(run.id, time.time())
        await ledger.note_rate(run.id, "120/min")
        view.begun(make_report(run, await ledger.totals(run.id), now=time.time()))
        for chunk, outcome in zip(await pending(ledger, run), (ACCEPTED, LIMITED), strict=False):
            attempt = await claimed(ledger, chunk, time.time())
            assert attempt
            await ledger.settle(attempt, outcome, time.time())
            view.settled(chunk.size, outcome)
        view.paused(60.0, "HTTP 429")
        view.paused(60.0, "HTTP 429")
        yield ledger, url


async def scraped(url: str, **headers: str) -> str:
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        assert response.status == 200
        return await response.text()


def samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels."""
    return {
        sample.name + "".join(f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def alerts() -> list[dict[str, Any]]:
    """The example's alerting rules."""
    groups = yaml.safe_load((DOCS / "examples/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


async def test_what_is_served_is_what_the_session_did_and_the_ledger_knows(path: Path) -> None:
    async with a_session(path) as (_, url):
        found = samples(await scraped(url))

    assert found["inro_campaign_recipients{state=accepted}"] == 9
    assert found["inro_campaign_recipients{state=not_found}"] == 1
    assert found["inro_campaign_recipients{state=pending}"] == 15
    assert found["inro_campaign_chunks{state=pending}"] == 2
    assert found["inro_campaign_run_info{account=default}{campaign=spring}{run=spring}"] == 1
    assert found["inro_campaign_rate_asked_calls_per_second"] == 2
    assert found["inro_campaign_rate_used_calls_per_second"] > 0
    assert found["inro_campaign_calls_total{outcome=accepted}"] == 1
    assert found["inro_campaign_calls_total{outcome=wait}"] == 1
    assert found["inro_campaign_calls_total{outcome=unknown}"] == 0
    assert found["inro_campaign_rate_limited_calls_total"] == 1
    assert found["inro_campaign_request_seconds_sum"] == pytest.approx(0.3)
    assert found["inro_campaign_pause_seconds_total"] == pytest.approx(60, abs=1)
    assert 50 < found["inro_campaign_pause_remaining_seconds"] <= 60
    assert found["inro_campaign_ledger_commit_seconds_count"] >= 5


async def test_what_the_documents_name_is_served(path: Path) -> None:
    async with a_session(path) as (_, url):
        served = {name.partition("{")[0] for name in samples(await scraped(url))}
    rules = alerts()
    page = (DOCS / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(inro_campaign_\w+)", page, re.MULTILINE))

    alerted = {name for rule in rules for name in re.findall(r"\binro_campaign_\w+", rule["expr"])}
    assert len(rules) >= 5
    assert alerted <= served
    assert {name for name in documented if not {name, f"{name}_count"} & served} == set()
    # And the page leaves none out.
    families = {re.sub("_(bucket|count|sum|created)$", "", name) for name in served if name.startswith("inro_")}
    assert {name for name in families if not {name, f"{name}_total"} & documented} == set()


async def test_a_run_that_waits_for_its_window_is_not_stalled(path: Path) -> None:
    async with a_session(path) as (ledger, url):
        run = await ledger.find_run("spring")
        assert run
        for state, outside in ((RunState.SCHEDULED, 1), (RunState.RUNNING, 0)):
            await ledger.mark(run.id, state, "")
            assert samples(await scraped(url))["inro_campaign_outside_window"] == outside

    [stalled] = [rule for rule in alerts() if rule["alert"] == "CampaignStalled"]
    assert "and inro_campaign_outside_window == 0" in stalled["expr"]


async def test_open_metrics_is_spoken_to_those_who_ask_for_it(path: Path) -> None:
    async with a_session(path) as (_, url):
        assert (await scraped(url, Accept="application/openmetrics-text; version=1.0.0")).endswith("# EOF\n")


def move(path: Path, to: Path) -> None:
    path.rename(to)


async def test_a_ledger_that_vanishes_fails_the_scrape_alone(path: Path) -> None:
    away = path.with_name("gone.db")
    async with a_session(path) as (_, url):
        move(path, away)
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 503
            assert "has vanished" in await response.text()
        move(away, path)
        assert "inro_campaign_recipients" in await scraped(url)


async def test_a_port_that_is_taken_or_none_is_refused(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"nothing can listen on {port}: .*; nothing was sent"):
            async with serving(Metrics(), str(port), path):
                pass
    for address in ("http", "70000", "localhost:", "-1"):
        with pytest.raises(InputError, match="expected PORT or HOST:PORT"):
            async with serving(Metrics(), address, path):
                pass
