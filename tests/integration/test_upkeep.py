"""Looking after a ledger that is in use: copies that are true to one moment, space given back, records that add up."""

import asyncio
import json
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from campaigns.audience import SourceStamp
from campaigns.model import IdentifierKind
from campaigns.plan import Chunk
from sender.errors import InputError, LedgerError, RunHeld
from sender.ledger import Ledger, Part, Plan, Run, backup, checkup, database, open_ledger, vacuum
from sender.ledger.backup import back_up
from sender.ledger.export import export, json_line
from sender.ledger.lock import run_lock
from sender.ledger.snapshot import snapshot
from sender.outcome import ChunkState, Lever, Outcome, RunState
from sender.report import RECIPIENT_STATES, make_report
from tests.integration.plans import NOW, claimed, new_run, pending, people, plan_of, sealed_run

NEWEST = database.migrations()[-1][0]
ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202, seconds=0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and mode of every file there but SQLite's shared memory, where readers leave marks."""
    files = [file for file in folder.iterdir() if not file.name.endswith("-shm")]
    return {file.name: (file.read_bytes(), file.stat().st_mode) for file in files}


def spoil_bytes(path: Path, start: int) -> None:
    content = bytearray(path.read_bytes())
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)


def looked_up(path: Path, query: str) -> Any:
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        return connection.execute(query).fetchall()


async def large_run(ledger: Ledger, chunks: int) -> Run:
    """A sealed run of so many chunks of 20, planned in one commit."""
    draft = await ledger.begin_plan(new_run())
    await ledger.add_chunks(
        draft.id, 0, [Chunk(IdentifierKind.USERNAME, people(first, 20)) for first in range(0, chunks * 20, 20)]
    )
    await ledger.seal(draft.id, plan_of(chunks * 20))
    run = await ledger.find_run("spring")
    assert run is not None
    return run


@asynccontextmanager
async def being_written(ledger: Ledger, run: Run) -> AsyncIterator[Callable[[], None]]:
    """A sender that claims and settles all the while; the function returns after its next three calls."""
    calls, is_over = threading.Semaphore(0), False

    async def send() -> None:
        for chunk in await pending(ledger, run):
            attempt = await claimed(ledger, chunk, time.time())
            assert attempt is not None
            calls.release()
            await ledger.settle(attempt, ACCEPTED, time.time())
            if is_over:
                return

    def wait() -> None:
        while calls.acquire(blocking=False):
            pass
        for _ in range(3):
            assert calls.acquire(timeout=30)

    sending = asyncio.create_task(send())
    yield wait
    is_over = True
    await sending


# Backup


async def test_a_backup_is_one_true_moment_of_a_ledger_that_is_written_all_the_while(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.db"
    copy = backup._copy
    monkeypatch.setattr(backup, "STEP_PAGES", 1)
    async with open_ledger(path) as ledger:
        run = await large_run(ledger, 300)
        async with being_written(ledger, run) as wait_for_commits:

            def copy_meanwhile(*arguments: Any) -> None:
                wait_for_commits()  # the moment is chosen already: none of these is in the copy
                copy(*arguments)
                wait_for_commits()

            monkeypatch.setattr(backup, "_copy", copy_meanwhile)
            made = await asyncio.to_thread(back_up, path, target)
        live = looked_up(path, "select count(*) from attempt")[0][0]

    assert (made.path, made.size_bytes, made.runs) == (target, target.stat().st_size, 1)
    assert looked_up(target, "pragma integrity_check") == [("ok",)]
    assert looked_up(target, "pragma foreign_key_check") == []
    ((copied,),) = looked_up(target, "select count(*) from attempt")
    assert looked_up(target, "select sum(attempts), sum(state <> 'pending') from chunk") == [(copied or 0, copied)]
    assert live >= copied + 6
    assert [name for name in files_of(tmp_path) if "backup" in name] == ["backup.db"]
    async with open_ledger(target) as restored:
        report = make_report((await restored.runs())[0], await restored.totals(run.id), now=NOW)
    assert report.reconciles


async def test_a_backup_is_for_its_owner_alone_and_replaces_nothing_unasked(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
        assert back_up(path, target).runs == 1
        first = target.read_bytes()
        await sealed_run(ledger, [3], "autumn")
        with pytest.raises(InputError, match=r"backup\.db exists already, and nothing was written"):
            back_up(path, target)
        assert target.read_bytes() == first

        assert back_up(path, target, overwrite=True).runs == 2

    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert looked_up(target, "select name from run order by id") == [("spring",), ("autumn",)]


async def test_a_backup_never_takes_the_place_of_the_ledger_or_of_a_log(path: Path, tmp_path: Path) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
        (tmp_path / "link.db").symlink_to(path)
        (tmp_path / "hard.db").hardlink_to(path)
        (tmp_path / "other.db-wal").write_bytes(b"a log")
        before = {name for name in files_of(tmp_path) if not name.endswith("-wal")}

        for name in ("ledger.db", "link.db", "hard.db", "ledger.db-wal"):
            with pytest.raises(InputError, match="is the ledger itself"):
                back_up(path, tmp_path / name, overwrite=True)
        with pytest.raises(InputError, match=r"other\.db-wal belongs to another database"):
            back_up(path, tmp_path / "other.db")
        for place in (tmp_path, tmp_path / "none" / "backup.db"):
            with pytest.raises(InputError, match="name a file in a folder"):
                back_up(path, place)

        assert {name for name in files_of(tmp_path) if not name.endswith("-wal")} == before


@pytest.mark.parametrize("spoil", ["page", "head"])
async def test_a_damaged_ledger_gives_no_backup_and_the_last_one_stays(path: Path, tmp_path: Path, spoil: str) -> None:
    target = tmp_path / "backup.db"
    async with open_ledger(path) as ledger:
        await large_run(ledger, 200)
    back_up(path, target)
    kept = target.read_bytes()
    spoil_bytes(path, 0 if spoil == "head" else len(kept) // 2)

    with pytest.raises(LedgerError, match="damaged"):
        back_up(path, target, overwrite=True)

    assert target.read_bytes() == kept
    assert sorted(files_of(tmp_path)) == ["backup.db", "ledger.db"]


def test_a_ledger_of_an_older_campaign_is_backed_up_as_it_is(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(database.migrations()[0][1] + "pragma user_version = 1;")

    back_up(path, tmp_path / "backup.db")

    assert looked_up(tmp_path / "backup.db", "pragma user_version") == [(1,)]
    assert looked_up(path, "pragma user_version") == [(1,)]


def test_another_program_s_database_is_not_backed_up(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table song (title)")

    with pytest.raises(LedgerError, match="is no ledger"):
        back_up(path, tmp_path / "backup.db")

    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


# Vacuum


async def test_a_vacuum_gives_space_back_and_keeps_every_row(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
        draft = await ledger.begin_plan(new_run("big"))
        await ledger.add_chunks(draft.id, 0, [Chunk(IdentifierKind.USERNAME, people(0, 1000))] * 400)
        await ledger.discard_plan(draft.id)

    done = vacuum.vacuum(path)

    assert done.after_bytes == len(files_of(path.parent)["ledger.db"][0]) < done.before_bytes // 2
    assert looked_up(path, "pragma integrity_check") == [("ok",)]
    assert looked_up(path, "select name, planned from run") == [("spring", 3)]


async def test_a_vacuum_is_refused_while_a_run_is_sent_and_says_by_whom(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
    with run_lock(path, "autumn"):
        pass
    before = files_of(path.parent)

    with (
        run_lock(path, "spring"),
        pytest.raises(
            RunHeld, match=r"the run spring is being sent already, by process \d+ on .*: the ledger can only"
        ),
    ):
        vacuum.vacuum(path)

    assert files_of(path.parent)["ledger.db"] == before["ledger.db"]
    with run_lock(path, "autumn"):
        pass


async def test_no_sender_starts_during_a_vacuum(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
    with run_lock(path, "spring"):
        pass
    refused = []

    def start_one(_folder: Path) -> int:
        with pytest.raises(RunHeld), run_lock(path, "spring"):
            pass
        refused.append(True)
        return 1 << 40

    monkeypatch.setattr(vacuum, "free_bytes", start_one)
    vacuum.vacuum(path)

    assert refused


async def test_a_vacuum_without_room_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
    monkeypatch.setattr(vacuum, "free_bytes", lambda _: 4096)
    before = files_of(path.parent)

    with pytest.raises(LedgerError, match=r"needs about \d+ kB beside it, and 4 kB are free: make room first"):
        vacuum.vacuum(path)

    assert files_of(path.parent) == before


@pytest.mark.parametrize(
    "work", [vacuum.vacuum, lambda path: back_up(path, path.with_name("backup.db")), lambda path: next(export(path))]
)
def test_without_a_ledger_there_is_nothing_to_look_after_and_nothing_is_made(
    path: Path, work: Callable[[Path], object]
) -> None:
    with pytest.raises(InputError, match="there is no ledger at"):
        work(path)

    assert list(path.parent.iterdir()) == []


# Export


async def mixed_run(ledger: Ledger) -> Run:
    """A run with recipients in every state, a chunk that was split, and a lever that was pulled."""
    draft = await ledger.begin_plan(new_run())
    for first in range(0, 40, 4):
        await ledger.add_chunks(draft.id, first, [Chunk(IdentifierKind.USERNAME, people(first, 4))])
    stamp = SourceStamp(path="/a\udcff.csv", size=3, mtime_ns=4, inode=5)
    plan = Plan(audience_fingerprint="f", sources=(stamp,), exclusions=(), counts={"rows": 41}, planned=40)
    await ledger.seal(draft.id, plan)
    run = await ledger.find_run("spring")
    assert run is not None
    chunks = await pending(ledger, run)
    missing = Outcome(chunk=ChunkState.ACCEPTED, status=202, not_found=("person1", "person2"), not_found_count=2)
    refused = Outcome(chunk=ChunkState.REJECTED, status=422, reason="no")
    unknown = Outcome(chunk=ChunkState.UNKNOWN, reason="no reply within 30 s")
    for chunk, outcome in zip(chunks, (missing, refused, unknown, unknown, ACCEPTED), strict=False):
        attempt = await claimed(ledger, chunk, NOW)
        assert attempt is not None
        await ledger.settle(attempt, outcome, NOW + 1)
    await ledger.obey(await ledger.give(run.id, Lever.ASSUME_SENT, str(chunks[3].id), "ann", NOW), NOW)
    halves = [Part(recipients=people(20, 2), first=20), Part(recipients=people(22, 2), first=22)]
    await ledger.split(chunks[5], halves, NOW)
    await ledger.exclude(chunks[6].id, [0], NOW)
    assert await claimed(ledger, chunks[7], NOW + 2)
    return run


async def test_an_export_has_every_recipient_once_in_the_state_that_the_report_counts(path: Path) -> None:
    async with open_ledger(path) as ledger:
        run = await mixed_run(ledger)
        report = make_report(run, await ledger.totals(run.id), now=NOW)
        calls = (await ledger.totals(run.id)).attempts

    records = [json.loads(json_line(record)) for record in export(path, now=lambda: NOW)]

    by_type = Counter(record["type"] for record in records)
    recipients = [record for record in records if record["type"] == "recipient"]
    states = Counter(record["state"] for record in recipients)
    assert {state: states[state] for state in RECIPIENT_STATES} == {
        state: report.recipients[state] for state in RECIPIENT_STATES
    }
    assert all(states[state] for state in RECIPIENT_STATES)
    assert sorted(record["line"] for record in recipients) == list(range(2, 42))
    assert {record["username"] for record in recipients if record["state"] == "not_found"} == {"person1", "person2"}
    assert (recipients[0]["id"], recipients[0]["email"], recipients[0]["file"]) == (None, None, "/a\udcff.csv")
    assert by_type["attempt"] == calls
    assert records[0] == {"type": "ledger", "format": 1, "exported_at": "2027-01-15T08:00:00.000+00:00"}
    assert records[1]["type"] == "run"
    assert records[-1] == {
        "type": "end",
        "runs": 1,
        "chunks": by_type["chunk"],
        "attempts": calls,
        "recipients": 40,
        "commands": 1,
    }
    (split,) = [record["chunk"] for record in records if record["type"] == "chunk" and record["state"] == "split"][:1]
    assert {record["recipients"] for record in records if record.get("parent") == split}
    assert not [record for record in recipients if record["chunk"] == split]


async def test_an_export_is_of_one_moment_whatever_is_sent_meanwhile(path: Path) -> None:
    async with open_ledger(path) as ledger:
        run = await large_run(ledger, 200)
        records = export(path)
        first = next(records)
        async with being_written(ledger, run) as wait_for_commits:
            await asyncio.to_thread(wait_for_commits)
            rest = await asyncio.to_thread(list, records)

    assert first["type"] == "ledger"
    assert {record["state"] for record in rest if record["type"] == "recipient"} == {"pending"}
    assert rest[-1]["recipients"] == 4000
    assert rest[-1]["attempts"] == 0


async def test_an_export_of_one_run_leaves_the_others_and_unsealed_plans_out(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
        await sealed_run(ledger, [2, 2], "autumn")
        await ledger.begin_plan(new_run("draft"))

    assert {record["run"] for record in export(path, "autumn") if "run" in record} == {"autumn"}
    assert [record["run"] for record in export(path) if record["type"] == "run"] == ["spring", "autumn"]
    with pytest.raises(InputError, match="there is no run 'draft'; the ledger has: autumn, spring"):
        next(export(path, "draft"))


# Looking


@pytest.fixture(params=["at rest", "with a log"])
async def quiet(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Path]:
    """A ledger that nobody writes at the moment, with and without a log beside it."""
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
        if request.param == "with a log":
            yield path
    if request.param == "at rest":
        yield path


def test_looking_changes_nothing(quiet: Path) -> None:
    before = files_of(quiet.parent)

    assert checkup.integrity(quiet) == checkup.Integrity(schema=NEWEST, newest=NEWEST)
    assert [run.name for run in checkup.run_health(quiet)] == ["spring"]
    assert checkup.last_call_at(quiet) is None
    assert checkup.open_to_others(quiet) == []
    with snapshot(quiet) as connection, pytest.raises(apsw.ReadOnlyError):
        connection.execute("delete from run")

    assert files_of(quiet.parent) == before


async def test_a_sender_that_died_is_known_from_one_that_sends(path: Path) -> None:
    async with open_ledger(path) as ledger:
        run = await sealed_run(ledger, [3, 4])
        await ledger.start_session(run.id, NOW)
        first, second = await pending(ledger, run)
        attempt = await claimed(ledger, first, NOW)
        assert attempt is not None
        await ledger.settle(attempt, Outcome(chunk=ChunkState.UNKNOWN, reason="cut off"), NOW)
        assert await claimed(ledger, second, NOW + 5)
        with run_lock(path, "spring"):
            (sent,) = checkup.run_health(path)
        (dead,) = checkup.run_health(path)
        await ledger.end_session(run.id, RunState.INTERRUPTED, "", NOW)
        (ended,) = checkup.run_health(path)

    assert (sent.is_sent, sent.has_died, sent.unknown) == (True, False, 3)
    assert (dead.is_sent, dead.has_died, dead.unknown) == (False, True, 7)
    assert (ended.is_sent, ended.has_died, ended.unknown) == (False, False, 7)
    assert checkup.last_call_at(path) == NOW + 5


def test_every_file_that_others_may_read_is_named(path: Path) -> None:
    with run_lock(path, "spring"), run_lock(path, "autumn"):
        path.touch(mode=0o640)
        lock = path.with_name("ledger.db-spring.lock")
        lock.chmod(0o604)

        assert checkup.open_to_others(path) == [path, lock]


def test_an_empty_file_is_a_ledger_to_be(path: Path) -> None:
    path.touch(0o600)

    assert checkup.integrity(path) == checkup.Integrity(schema=0, newest=NEWEST)
    assert (checkup.run_health(path), checkup.last_call_at(path)) == ([], None)
    assert files_of(path.parent)["ledger.db"][0] == b""


async def test_damage_is_found_and_told(path: Path) -> None:
    async with open_ledger(path) as ledger:
        await sealed_run(ledger, [3])
    ((root,),) = looked_up(path, "select rootpage from sqlite_schema where name = 'chunk'")
    spoil_bytes(path, (root - 1) * 4096)

    found = checkup.integrity(path)

    assert found.schema == found.newest
    assert any("chunk" in damage or "Tree" in damage for damage in found.damage)
