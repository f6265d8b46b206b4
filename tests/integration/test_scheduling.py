"""Runs that keep their hours, and a scheduler that lives for weeks: on real ledgers, with a clock that is moved."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from campaigns.loading import load_campaign
from campaigns.model import Campaign, Window
from sender import logs
from sender.agenda import Agenda, Sending, unfinished
from sender.errors import LedgerError
from sender.forecast import forecast
from sender.gate import Gate
from sender.ledger import Ledger, StoredChunk, open_ledger
from sender.ledger.lock import run_lock
from sender.options import Options
from sender.outcome import ChunkState, Lever, Outcome, RunState
from sender.report import Report, exit_code
from sender.retry import Policy
from sender.schedule import Scheduler, to_start
from sender.session import Session
from sender.settings import Settings
from sender.signals import Signals
from tests.clock import START_SECONDS
from tests.integration.plans import sealed_run
from tests.integration.test_pool import ACCEPTED, UNREACHED, Api, a_desk, tell, told_to_wait

TEN_TO_NINE = datetime(2026, 11, 23, 7, 50, tzinfo=UTC)  # 08:50 in Paris
NINE, TEN_PAST = TEN_TO_NINE + timedelta(minutes=10), TEN_TO_NINE + timedelta(minutes=20)
BUT_TEN_MINUTES = 'window: {from: "09:10", to: "09:00", timezone: Europe/Paris}\n'  # over midnight
DOUBTFUL = Outcome(chunk=ChunkState.UNKNOWN, status=500, reason="HTTP 500")


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(processors=[_drop], cache_logger_on_first_use=False)


def _drop(*_: object) -> str:
    raise structlog.DropEvent


def wall() -> float:
    """The clock on the wall, at ten to nine when the loop's starts."""
    return TEN_TO_NINE.timestamp() + time.monotonic() - START_SECONDS


def moment() -> datetime:
    return datetime.fromtimestamp(wall(), UTC)


async def at(when: datetime) -> None:
    await asyncio.sleep((when - moment()).total_seconds())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def write(folder: Path, more: str = "", name: str = "spring", delivery: str = "{}") -> Path:
    file = folder / f"{name}.yaml"
    text = f"campaign: {name}\naudience: {{csv: people.csv}}\nmessage: {{text: Hello}}\ndelivery: {delivery}\n{more}"
    file.write_text(text, "utf-8")
    return file


# One run, in its hours


@dataclass
class Screen:
    """What a run shows."""

    notices: list[str] = field(default_factory=list)

    def rows(self, count: int) -> None: ...
    def begun(self, report: Report) -> None: ...
    def settled(self, recipients: int, outcome: Outcome) -> None: ...
    def paused(self, seconds: float, reason: str) -> None: ...

    def notice(self, text: str) -> None:
        self.notices.append(text)


@dataclass
class Stage:
    """A session on the moved clock, whose API is made by hand."""

    campaign: Campaign
    ledger: Ledger
    api: Api
    screen: Screen = field(default_factory=Screen)
    began: list[datetime] = field(default_factory=list)

    async def send(self, *, missed: str = "") -> Report:
        """Goes on with the run to the end of a session."""
        run = await self.ledger.find_run("spring")
        assert run
        session = Session(
            on_end=lambda report: None,
            campaign=self.campaign,
            settings=Settings(
                api_url="https://api.example.com",
                mcp_url="https://api.example.com/mcp",
                origin=run.origin,
                token=SecretStr("token"),
                ledger=Path(),
                ledger_is_default=False,
                text_field="text",
                is_ci=False,
            ),
            options=Options(missed=missed),
            view=self.screen,
            signals=Signals(),
            ledger=self.ledger,
            run=run,
            file=None,
            log=structlog.get_logger(),
        )
        return (await session.send()).report

    async def note(self, _: StoredChunk) -> None:
        self.began.append(moment())

    async def state(self) -> tuple[RunState, str]:
        run = await self.ledger.find_run("spring")
        assert run
        return run.state, run.reason

    async def reasons(self) -> set[tuple[str, str]]:
        run = await self.ledger.find_run("spring")
        assert run
        chunks = self.ledger.chunks(run.id, list(ChunkState))
        return {(chunk.state.value, chunk.reason) async for chunk in chunks}


@pytest.fixture
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions see the moved clock."""
    monkeypatch.setattr(time, "time", wall)
    monkeypatch.setattr("sender.timekeeper.Gate", partial(Gate, clock=wall))


async def a_stage(
    folder: Path,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    more: str,
    delivery: str,
    **binding: str,
) -> Stage:
    await sealed_run(ledger, [1] * 20, **binding)
    stage = Stage(load_campaign(write(folder, more, delivery=delivery), {}), ledger, api)
    api.on_call = stage.note

    @asynccontextmanager
    async def connect(**_: object) -> AsyncIterator[None]:
        yield

    async def content(*_: object) -> None: ...

    monkeypatch.setattr("sender.session.connect", connect)
    monkeypatch.setattr("sender.transport.InroMessenger", lambda **_: api)
    monkeypatch.setattr(Session, "_content", content)
    return stage


@pytest.mark.usefixtures("_by_hand")
def test_a_run_that_reaches_the_end_of_its_window_stops_at_that_second_and_goes_on_at_the_next_opening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        stage = await a_stage(path.parent, ledger, monkeypatch, Api(), BUT_TEN_MINUTES, "{rate: 1/min, workers: 2}")
        sending = asyncio.create_task(stage.send())
        await at(NINE + timedelta(minutes=5))
        assert await stage.state() == (
            RunState.SCHEDULED,
            "outside its window, waits until Mon 2026-11-23 09:10 Europe/Paris",
        )
        report = await sending

        assert not [each for each in stage.began if NINE <= each < TEN_PAST]
        assert 9 <= len([each for each in stage.began if each < NINE]) <= 10
        assert min(each for each in stage.began if each > NINE) - TEN_PAST < timedelta(seconds=1)
        assert sorted(stage.api.order) == list(range(20))
        assert (report.state, report.reason, report.recipients["accepted"]) == (RunState.COMPLETED, "", 20)
        assert stage.screen.notices == [
            "Outside the window: nothing is sent before Mon 2026-11-23 09:10 Europe/Paris.",
            "The window is open: going on.",
        ]

    tell(story, path)


@pytest.mark.usefixtures("_by_hand")
def test_a_run_that_is_paused_while_it_waits_for_its_window_waits_for_both(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        stage = await a_stage(path.parent, ledger, monkeypatch, Api(), BUT_TEN_MINUTES, "{rate: 1/s}")
        run = await ledger.find_run("spring")
        assert run
        await at(NINE)
        sending = asyncio.create_task(stage.send())
        await asyncio.sleep(60)
        await ledger.give(run.id, Lever.PAUSE, "", "ops", wall())
        await asyncio.sleep(60)
        assert await stage.state() == (RunState.PAUSED, "")
        await ledger.give(run.id, Lever.RESUME, "", "ops", wall())
        await asyncio.sleep(60)
        assert (await stage.state())[0] is RunState.SCHEDULED
        await ledger.give(run.id, Lever.PAUSE, "", "ops", wall())
        await at(TEN_PAST + timedelta(minutes=2))
        assert stage.began == []
        await ledger.give(run.id, Lever.RESUME, "", "ops", wall())
        await asyncio.sleep(5)
        assert await stage.state() == (RunState.RUNNING, "")
        assert (await sending).state is RunState.COMPLETED

    tell(story, path)


@pytest.mark.usefixtures("_by_hand")
def test_at_the_deadline_what_is_in_flight_is_let_finish_and_the_rest_is_cancelled_with_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        # Four calls of 90 s each are under way at nine; the second of them is told to come again later.
        api = Api([ACCEPTED] * 25, seconds=90)
        stage = await a_stage(
            path.parent, ledger, monkeypatch, api, "not_after: 2026-11-23T09:00:00+01:00\n", "{rate: 30/30min}"
        )
        api.outcomes = [ACCEPTED] * 9 + [told_to_wait(1)] + [ACCEPTED] * 20
        report = await stage.send()

        assert all(each < NINE for each in stage.began)
        assert len(stage.began) == 10
        assert report.state is RunState.CANCELLED
        assert report.reason == "cancelled by not_after, 2026-11-23 09:00"
        assert (report.recipients["accepted"], report.recipients["cancelled"]) == (9, 11)
        assert exit_code(report) == 3
        assert await stage.reasons() == {
            ("accepted", ""),
            ("cancelled", "cancelled by not_after, 2026-11-23 09:00"),
        }
        again = await stage.send()
        assert (again.state, again.reason) == (report.state, report.reason)
        assert len(stage.began) == 10

    tell(story, path)


@pytest.mark.usefixtures("_by_hand")
def test_a_deadline_in_a_closed_window_cancels_the_run_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        more = BUT_TEN_MINUTES + "not_after: 2026-11-23 09:05\n"
        stage = await a_stage(path.parent, ledger, monkeypatch, Api(), more, "{rate: 1/min}")
        await at(NINE + timedelta(minutes=1))
        report = await stage.send()

        assert moment() - (NINE + timedelta(minutes=5)) < timedelta(seconds=3)
        assert (stage.began, report.state) == ([], RunState.CANCELLED)
        assert report.recipients["cancelled"] == 20

    tell(story, path)


@pytest.mark.parametrize(
    ("begins", "notices"),
    [
        (TEN_TO_NINE, []),
        (
            NINE + timedelta(minutes=1),
            [
                "A rehearsal does not wait for the window; "
                "begun now, the real thing waits until Mon 2026-11-23 09:10 Europe/Paris."
            ],
        ),
    ],
    ids=["in its window", "outside it"],
)
@pytest.mark.usefixtures("_by_hand")
def test_a_rehearsal_does_not_wait_for_its_window_and_keeps_its_deadline(
    begins: datetime, notices: list[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        more = BUT_TEN_MINUTES + "not_after: 2026-11-23 09:08\n"
        stage = await a_stage(
            path.parent, ledger, monkeypatch, Api(), more, "{rate: 1/min, workers: 1}", origin="sandbox"
        )
        await at(begins)
        report = await stage.send()

        assert stage.began[0] - begins < timedelta(seconds=1)
        assert NINE < stage.began[-1] < NINE + timedelta(minutes=8)
        assert stage.screen.notices[: len(notices)] == notices
        assert report.reason == "cancelled by not_after, 2026-11-23 09:08"

    tell(story, path)


@pytest.mark.usefixtures("_by_hand")
def test_a_run_that_was_missed_is_cancelled_whole_with_the_reason(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        stage = await a_stage(path.parent, ledger, monkeypatch, Api(), "", "{}")
        report = await stage.send(missed="misfire: due on Monday, 15h late, grace 1h")

        assert (stage.began, report.state) == ([], RunState.CANCELLED)
        assert report.reason == "cancelled by misfire: due on Monday, 15h late, grace 1h"
        assert await stage.reasons() == {("cancelled", report.reason)}

    tell(story, path)


def but_ten_minutes() -> Gate:
    window = Window.model_validate({"from": "09:10", "to": "09:00", "timezone": "Europe/Paris"})
    return Gate(window, clock=wall)


def test_failures_before_a_window_closed_are_no_lack_of_progress_while_it_was(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        api, patience = Api(), Policy(max_wait_seconds=300)
        desk = await a_desk(path, ledger, [1] * 3, api, policy=patience, workers=1, gate=but_ten_minutes())
        await at(NINE - timedelta(minutes=3))
        api.outcomes = [UNREACHED] * 10_000
        sending = asyncio.create_task(desk.pool.run())
        await at(TEN_PAST - timedelta(seconds=1))
        before = len(api.calls)
        api.outcomes = [UNREACHED] * (before + 1)
        await sending

        assert desk.pool.stop_reason is None
        assert not [called for called, _ in api.calls if 600 <= called - START_SECONDS < 1199.999]
        assert len(api.calls) == before + 4

    tell(story, path)


def test_an_api_that_fell_ill_is_asked_nothing_until_the_window_opens(path: Path) -> None:
    async def story(path: Path, ledger: Ledger) -> None:
        api, patience = Api([DOUBTFUL] * 3), Policy(max_wait_seconds=240)
        desk = await a_desk(path, ledger, [1] * 8, api, policy=patience, workers=1, gate=but_ten_minutes())
        await at(NINE - timedelta(seconds=50))
        api.answers = [UNREACHED] * 1000
        sending = asyncio.create_task(desk.pool.run())
        await at(TEN_PAST - timedelta(seconds=1))
        api.answers = [UNREACHED]
        await sending

        assert desk.pool.stop_reason is None
        assert [probed for probed in api.probes if probed - START_SECONDS < 600]
        assert not [probed for probed in api.probes if 660 <= probed - START_SECONDS < 1199.999], "a backoff lasts 60 s"
        assert list(desk.states().values()) == ["unknown"] * 3 + ["accepted"] * 5

    tell(story, path)


# A scheduler, for weeks


@dataclass(kw_only=True)
class Planner(Scheduler):
    """A scheduler whose senders are not processes, but do the same to the ledger, at once.

    dies   whether this attempt at a run is killed after it has begun
    """

    opened: Ledger
    dies: Callable[[str, int], bool] = lambda run, attempt: False
    attempts: list[tuple[str, datetime, str]] = field(default_factory=list)

    async def _run(self, sending: Sending) -> tuple[int, bytes]:
        self.attempts.append((sending.run, datetime.fromtimestamp(self.clock(), UTC), sending.missed))
        ledger = self.opened
        run = await ledger.find_run(sending.run)
        run = run or await sealed_run(ledger, [1], sending.run, campaign=sending.campaign.campaign)
        assert run.state is RunState.INTERRUPTED, "begun a second time"
        if sending.missed:
            await ledger.obey(await ledger.give(run.id, Lever.CANCEL, "", sending.missed, 0), 0)
            return 3, b""
        await ledger.start_session(run.id, self.clock())
        if self.dies(sending.run, sum(name == sending.run for name, _, _ in self.attempts)):
            await ledger.end_session(run.id, RunState.INTERRUPTED, "", self.clock())
            return -9, b""
        await ledger.end_session(run.id, RunState.COMPLETED, "", self.clock())
        return 0, b"{}"

    async def look(self) -> None:
        """One look, and all that it starts."""
        async with asyncio.TaskGroup() as senders:
            await self._look(self.opened, senders)


@dataclass
class Now:
    """A moment that is moved."""

    moment: datetime

    def __call__(self) -> float:
        return self.moment.timestamp()


def planner(folder: Path, ledger: Ledger, path: Path, now: Now, **more: Any) -> Planner:
    agenda = Agenda([folder], {})
    return Planner(agenda=agenda, ledger=path, log=structlog.get_logger(), clock=now, opened=ledger, **more)


LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def write_long_ago(folder: Path, more: str, name: str) -> Path:
    file = write(folder, more, name)
    os.utime(file, (LONG_AGO, LONG_AGO))
    return file


DAY = timedelta(days=1)
FORTNIGHT = datetime(2026, 10, 21, tzinfo=UTC)  # until November 4: Paris's clocks change on 25, New York's on 1


def asleep(moment: datetime) -> bool:
    """Each third day from six to eleven, and from the second Sunday's eve two days and a half."""
    since = moment - FORTNIGHT
    return (since.days % 3 == 2 and 6 <= moment.hour < 11) or timedelta(days=10, hours=20) < since < timedelta(days=13)


async def test_in_a_fortnight_each_occurrence_of_two_campaigns_is_begun_once_though_the_machine_sleeps(
    tmp_path: Path, path: Path
) -> None:
    folder, now = tmp_path / "campaigns", Now(FORTNIGHT)
    folder.mkdir()
    write_long_ago(folder, 'schedule: {cron: "0 9 * * *", timezone: Europe/Paris}\n', "paris")
    york = 'schedule: {cron: "30 1 * * *", timezone: America/New_York}\nmisfire: {policy: send}\n'
    write_long_ago(folder, york, "york")
    awake = [at for n in range(14 * 48) if not asleep(at := FORTNIGHT + n * timedelta(minutes=30))]

    async with open_ledger(path) as ledger:
        scheduler = planner(folder, ledger, path, now, dies=lambda run, attempt: attempt == 1 and is_even(run))
        for now.moment in awake:
            await scheduler.look()
        states = {run.name: run.state for run in await ledger.runs()}

    expected: dict[str, RunState] = {}
    for day in range(-1, 14):
        date = FORTNIGHT + day * DAY
        nine = date.replace(hour=7 if date < datetime(2026, 10, 25, tzinfo=UTC) else 8)
        half_past_one = date.replace(hour=5 if date <= datetime(2026, 11, 1, tzinfo=UTC) else 6, minute=30)
        for name, due, grace in (("paris@{}T09:00", nine, timedelta(hours=1)), ("york@{}T01:30", half_past_one, DAY)):
            chances = [each for each in awake if due <= each < due + DAY]
            if chances:
                in_time = chances[0] - due <= grace
                state = RunState.COMPLETED if in_time else RunState.CANCELLED
                expected[name.format(f"{date:%Y-%m-%d}")] = state
    expected["paris@2026-10-20T09:00"] = RunState.CANCELLED
    assert states == expected
    assert set(expected.values()) == {RunState.COMPLETED, RunState.CANCELLED}
    twice = [run for run, state in expected.items() if state is RunState.COMPLETED and is_even(run)]
    assert sorted(of(scheduler.attempts)) == sorted([*expected, *twice])


def is_even(run: str) -> bool:
    """Whether it is one of an even day, whose sender is killed once."""
    return int(run[-8:-6]) % 2 == 0


def of(names: list[tuple[str, datetime, str]]) -> list[str]:
    return [name for name, _, _ in names]


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(path) as opened:
        yield opened


WEEKLY = 'schedule: {cron: "0 9 * * MON", timezone: Europe/Paris}\n'
MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)


async def test_an_occurrence_that_has_begun_goes_on_also_after_the_next_one(
    tmp_path: Path, path: Path, ledger: Ledger
) -> None:
    write_long_ago(tmp_path, WEEKLY, "weekly")
    now = Now(MONDAY)
    before = planner(tmp_path, ledger, path, now, dies=lambda *_: True)
    await before.look()
    now.moment = MONDAY + 7 * DAY + timedelta(minutes=5)  # the machine was off for a week
    after = planner(tmp_path, ledger, path, now)
    after.agenda.refresh()
    listed = await forecast(after.agenda, path, now.moment)
    await after.look()
    await after.look()

    assert of(before.attempts) == ["weekly@2026-11-23T09:00"]
    assert sorted(of(after.attempts)) == ["weekly@2026-11-23T09:00", "weekly@2026-11-30T09:00"]
    assert {run.state for run in await ledger.runs()} == {RunState.COMPLETED}
    assert await unfinished([campaign for campaign, _ in after.agenda.campaigns], ledger) == []
    assert [(each.run, each.state, each.wait(now.moment)) for each in listed[:3]] == [
        ("weekly@2026-11-23T09:00", "interrupted", ""),
        ("weekly@2026-11-30T09:00", "due", ""),
        ("weekly@2026-12-07T09:00", "planned", "6 d 23 h"),
    ]


async def test_editing_the_time_or_sending_by_hand_never_makes_a_second_run(
    tmp_path: Path, path: Path, ledger: Ledger
) -> None:
    now = Now(MONDAY - timedelta(hours=1))
    file = write(tmp_path, "schedule: {at: 2026-11-23 09:00, timezone: Europe/Paris}\n")
    scheduler = planner(tmp_path, ledger, path, now)
    await scheduler.look()
    assert scheduler.attempts == []
    now.moment = MONDAY
    await scheduler.look()
    file.write_text(file.read_text("utf-8").replace("09:00", "10:30"), "utf-8")
    now.moment = MONDAY + timedelta(hours=2)
    await scheduler.look()
    assert of(scheduler.attempts) == ["spring"]

    by_hand = await sealed_run(ledger, [1], "summer", campaign="summer")
    await ledger.end_session(by_hand.id, RunState.COMPLETED, "", 0)
    write(tmp_path, "schedule: {at: 2026-11-23 11:00, timezone: Europe/Paris}\n", "summer")
    await scheduler.look()
    assert of(scheduler.attempts) == ["spring"]


async def test_what_failed_is_tried_again_after_a_minute_or_when_its_file_changes_and_what_is_missed_once(
    tmp_path: Path, path: Path, ledger: Ledger
) -> None:
    tries: list[str] = []

    class Failing(Planner):
        async def _run(self, sending: Sending) -> tuple[int, bytes]:
            tries.append(sending.missed)
            return 2, b""

    file = write_long_ago(tmp_path, WEEKLY, "weekly")
    now = Now(MONDAY)
    scheduler = Failing(
        agenda=Agenda([tmp_path], {}), ledger=path, log=structlog.get_logger(), clock=now, opened=ledger
    )
    await scheduler.look()
    now.moment += timedelta(seconds=59)
    await scheduler.look()
    assert tries == [""]
    os.utime(file, (LONG_AGO + 1, LONG_AGO + 1))
    await scheduler.look()
    assert tries == ["", ""]
    now.moment += timedelta(seconds=60)
    await scheduler.look()
    assert tries == ["", "", ""]
    for hours in range(2, 8):
        now.moment = MONDAY + timedelta(hours=hours)
        await scheduler.look()
    assert len(tries) == 4
    assert tries[-1].startswith("misfire: due 2026-11-23 09:00")


async def test_a_run_that_is_held_over_or_paused_is_left_alone(tmp_path: Path, path: Path, ledger: Ledger) -> None:
    write_long_ago(tmp_path, WEEKLY, "weekly")
    agenda = Agenda([tmp_path], {})
    agenda.refresh()
    [sending] = agenda.due(MONDAY + timedelta(hours=5))
    assert sending.missed
    assert await to_start(sending, ledger, path) is sending
    with run_lock(path, sending.run):  # its sender reads a long CSV still
        assert await to_start(sending, ledger, path) is None
    run = await sealed_run(ledger, [1], sending.run, campaign="weekly")
    found = await to_start(sending, ledger, path)
    assert found
    assert found.missed == "", "what has begun goes on however late"
    await ledger.obey(await ledger.give(run.id, Lever.PAUSE, "", "ops", 0), 0)
    assert await to_start(sending, ledger, path) is None
    await ledger.obey(await ledger.give(run.id, Lever.RESUME, "", "ops", 0), 0)
    assert await to_start(sending, ledger, path) is not None
    for state in (RunState.STOPPED, RunState.COMPLETED, RunState.CANCELLED):
        await ledger.end_session(run.id, state, "", 0)
        assert await to_start(sending, ledger, path) is None


# The scheduler's processes


@dataclass(kw_only=True)
class Sh(Scheduler):
    """A scheduler whose senders are lines of sh."""

    line: str

    def _command(self, sending: Sending) -> list[str]:
        return ["sh", "-c", self.line]


@pytest.fixture
def events() -> list[tuple[str, dict[str, Any]]]:
    """The log lines, by event name."""
    lines: list[tuple[str, dict[str, Any]]] = []

    def note(_: object, __: str, event: dict[str, Any]) -> str:
        lines.append((event.pop("event"), event))
        raise structlog.DropEvent

    processors: list[Any] = [note]
    structlog.configure(processors=processors, cache_logger_on_first_use=False)
    return lines


def of_sh(folder: Path, path: Path, line: str) -> Sh:
    write_long_ago(folder, WEEKLY, "weekly")
    log = structlog.get_logger()
    return Sh(agenda=Agenda([folder], {}), ledger=path, log=log, clock=MONDAY.timestamp, line=line)


async def test_a_fault_of_the_ledger_is_told_once_and_the_scheduler_goes_on(
    tmp_path: Path, path: Path, events: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = Scheduler._look

    async def full(self: Scheduler, ledger: Ledger, senders: asyncio.TaskGroup) -> None:
        nonlocal looks
        looks += 1
        if looks <= 3:
            raise LedgerError("the disk is full")
        await look(self, ledger, senders)
        self._stop()

    monkeypatch.setattr(Scheduler, "_look", full)
    monkeypatch.setattr("sender.schedule.LOOK_SECONDS", 0.0)
    scheduler = of_sh(tmp_path, path, 'echo \'{"state": "completed"}\'')
    await scheduler.run()

    assert [name for name, _ in events].count(logs.SCHEDULE_FAULT) == 1
    assert [(sent.run, sent.exit_code) for sent in scheduler.sent] in ([("weekly@2026-11-23T09:00", 0)], STOPPED)


STOPPED = [("weekly@2026-11-23T09:00", -15)]  # the stop may overtake the shell


async def test_a_sender_under_way_is_let_finish_when_the_scheduler_fails(tmp_path: Path, path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    scheduler = of_sh(tmp_path, path, f"read line < {pipe}; echo '{{}}'; exit 3")

    async def write_line() -> None:
        await asyncio.to_thread(lambda: pipe.write_text("go on\n"))

    async def fail() -> None:
        async with scheduler._working() as (opened, senders):
            await scheduler._look(opened, senders)
            senders.create_task(write_line())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert [(sent.exit_code, sent.report) for sent in scheduler.sent] == [(3, {})]


async def test_a_sender_that_can_not_be_started_is_a_fault_of_this_machine(
    tmp_path: Path, path: Path, events: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sh, "_command", lambda *_: [str(tmp_path / "nowhere")])
    [sent] = await of_sh(tmp_path, path, "").once()

    assert (sent.exit_code, sent.report) == (7, None)
    assert [name for name, _ in events] == [logs.SCHEDULE_DUE, logs.SCHEDULE_FAULT, logs.SCHEDULE_SENT]


async def test_what_a_sender_prints_may_be_no_report(tmp_path: Path, path: Path) -> None:
    [sent] = await of_sh(tmp_path, path, "echo 'Killed'; kill -9 $$").once()
    assert (sent.exit_code, sent.report) == (-9, None)


async def test_a_bad_file_is_logged_once_each_time_that_it_turns_bad(
    tmp_path: Path, path: Path, ledger: Ledger, events: list[tuple[str, dict[str, Any]]]
) -> None:
    bad = write(tmp_path, "schedule: sometimes\n", "bad")
    scheduler = planner(tmp_path, ledger, path, Now(MONDAY))
    await scheduler.look()
    await scheduler.look()
    assert [name for name, _ in events] == [logs.SCHEDULE_BAD_FILE]
    assert str(bad) in events[0][1]["problem"]
    write(tmp_path, "", "bad")
    await scheduler.look()
    write(tmp_path, "schedule: sometimes\n", "bad")
    await scheduler.look()
    assert [name for name, _ in events] == [logs.SCHEDULE_BAD_FILE] * 2


def test_a_sender_is_the_same_program(tmp_path: Path, path: Path) -> None:
    write_long_ago(tmp_path, WEEKLY, "weekly")
    scheduler = Scheduler(agenda=Agenda([tmp_path], {}), ledger=path, log=structlog.get_logger())
    scheduler.agenda.refresh()
    [sending] = scheduler.agenda.due(MONDAY + timedelta(hours=5))
    assert scheduler._command(sending)[:5] == [sys.executable, "-P", "-m", "sender", "send"]
    assert scheduler._command(sending)[-2:] == ["--missed", sending.missed]
