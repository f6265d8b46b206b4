"""The ledger on SQLite: the statements, each a method."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from campaigns.audience import Recipient, SourceStamp
from campaigns.plan import Chunk
from sender.ledger import calls, database, leases, levers
from sender.ledger.arbiter import Accounts
from sender.ledger.looking import Looking
from sender.ledger.packing import pack
from sender.ledger.records import (
    Attempt,
    Clock,
    Command,
    Later,
    NewRun,
    Part,
    Plan,
    Position,
    Rates,
    Run,
    StoredChunk,
)
from sender.ledger.rows import (
    CHUNK,
    COMMAND,
    PACKED_CHUNK,
    RUN,
    as_json,
    as_stamps,
    chunk_of,
    command_of,
    fetch,
    fetch_one,
    insert_chunk,
    run_of,
)
from sender.ledger.writer import Writer
from sender.outcome import Lever, Outcome, RunState


class SqliteLedger(Looking):
    """See `sender.ledger.Ledger` for what each method promises."""

    def __init__(self, path: Path, on_commit: Callable[[float], None] | None = None) -> None:
        self.path = path
        self._accounts = Accounts(path)
        super().__init__(Writer(partial(database.connect, path), path, self._accounts, on_commit))

    async def start(self) -> None:
        """Opens the file. Raises LedgerError."""
        await self._writer.start()

    async def close(self) -> None:
        """Waits for what is under way, and closes the file."""
        await self._writer.close()

    # planning

    async def find_run(self, name: str) -> Run | None:
        rows = await self._read(f"{RUN} where name = ?", name)
        return run_of(rows[0]) if rows else None

    async def runs(self) -> list[Run]:
        return [run_of(row) for row in await self._read(f"{RUN} order by run.id desc")]

    async def account_id(self, origin: str, label: str) -> int:
        def work(connection: apsw.Connection) -> int:
            connection.execute("insert or ignore into account (origin, label) values (?, ?)", (origin, label))
            return fetch_one(connection, "select id from account where origin = ? and label = ?", origin, label)

        return await self._writer.run(work)

    async def begin_plan(self, new: NewRun) -> Run:
        account_id = await self.account_id(new.origin, new.account)

        def work(connection: apsw.Connection) -> None:
            connection.execute("delete from run where name = ? and state = 'planning'", (new.name,))
            connection.execute(
                """
                insert into run (name, key, campaign, account_id, state, message_fingerprint, audience_spec, created_at)
                values (?, ?, ?, ?, 'planning', ?, ?, ?)
                """,
                (
                    new.name,
                    secrets.token_hex(8),
                    new.campaign,
                    account_id,
                    new.message_fingerprint,
                    new.audience_spec,
                    new.created_at,
                ),
            )

        await self._writer.run(work)
        run = await self.find_run(new.name)
        assert run is not None  # noqa: S101 – inserted two lines above, under this run's lock
        return run

    async def add_chunks(self, run_id: int, first: int, chunks: Sequence[Chunk]) -> None:
        def work(connection: apsw.Connection) -> None:
            position = first
            for chunk in chunks:
                insert_chunk(connection, run_id, None, chunk.kind, Part(recipients=chunk.recipients, first=position))
                position += len(chunk.recipients)

        await self._writer.run(work)

    async def add_ties(self, run_id: int, rows: Sequence[Recipient]) -> None:
        await self._write("insert into tie (run_id, packed) values (?, ?)", run_id, pack(rows))

    async def ties(self, run_id: int) -> AsyncIterator[Recipient]:
        query = "select id, packed from tie where run_id = ? and id > ? order by id limit 20"
        async for rows in self._packed(query, run_id):
            for row in rows:
                yield row

    async def seal(self, run_id: int, plan: Plan) -> None:
        await self._write(
            """
            update run set state = 'interrupted', audience_fingerprint = ?, sources = ?, exclusions = ?, counts = ?,
                planned = ?
            where id = ? and state = 'planning'
            """,
            plan.audience_fingerprint,
            as_stamps(plan.sources),
            as_stamps(plan.exclusions),
            as_json(plan.counts),
            plan.planned,
            run_id,
        )

    async def discard_plan(self, run_id: int) -> None:
        await self._write("delete from run where id = ? and state = 'planning'", run_id)

    def planned_people(self, campaign: str, account_id: int) -> AsyncIterator[tuple[Recipient, ...]]:
        query = """
            select chunk.id, packed from chunk_recipients join chunk on chunk.id = chunk_id join run on run.id = run_id
            where campaign = ? and account_id = ? and run.state <> 'planning' and chunk.state <> 'split'
                and chunk.id > ? order by chunk.id limit 20
        """
        return self._packed(query, campaign, account_id)

    def earlier_ties(self, campaign: str, account_id: int) -> AsyncIterator[tuple[Recipient, ...]]:
        query = """
            select tie.id, packed from tie join run on run.id = run_id
            where campaign = ? and account_id = ? and state <> 'planning' and tie.id > ? order by tie.id limit 20"""
        return self._packed(query, campaign, account_id)

    # sending

    async def start_session(self, run_id: int, now: float, rates: Rates | None = None) -> int:
        return await self._writer.run(lambda connection: calls.start_session(connection, run_id, now, rates))

    async def end_session(self, run_id: int, state: RunState, reason: str, now: float) -> int:
        return await self._writer.run(lambda connection: calls.end_session(connection, run_id, state, reason, now))

    async def mark(self, run_id: int, state: RunState, reason: str) -> None:
        statement = "update run set state = ?, reason = ? where id = ? and state in ('running', 'scheduled')"
        await self._write(statement, state, reason, run_id)

    async def strand(self, run_id: int, now: float) -> int:
        return await self._writer.run(lambda connection: calls.strand(connection, run_id, now))

    async def last_call_at(self, run_id: int) -> Any:
        query = """
            select max(sent_at + coalesce(attempt.seconds, 0)) from attempt join chunk on chunk.id = chunk_id
            where run_id = ?
        """
        return (await self._read(query, run_id))[0][0]

    async def keep_content(self, run_id: int, content: Mapping[str, object]) -> None:
        await self._write("update run set content = ? where id = ?", as_json(content), run_id)

    async def pending(self, run_id: int, *, after: Position, limit: int) -> list[StoredChunk]:
        query = f"""
            {PACKED_CHUNK} where run_id = ? and state = 'pending' and (first, chunk.id) > (?, ?)
            order by first, chunk.id limit ?
        """
        return [chunk_of(row) for row in await self._read(query, run_id, *after, limit)]

    async def leaves(self, run_id: int) -> list[StoredChunk]:
        query = f"{CHUNK} where run_id = ? and state <> 'split' order by first, id"
        return [chunk_of(row) for row in await self._read(query, run_id)]

    async def claim(self, chunk: StoredChunk, clock: Clock) -> Attempt | Later | None:
        return await self._writer.run(
            lambda connection: calls.claim(connection, self._accounts, chunk, clock()), is_brief=True
        )

    async def pause(self, run_id: int, until: float) -> None:
        await self._writer.run(lambda connection: leases.pause(connection, run_id, until))

    async def settle(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        await self._writer.run(
            lambda connection: calls.settle(connection, self._accounts, attempt, outcome, now), is_brief=True
        )

    async def divide(
        self, attempt: Attempt, outcome: Outcome, chunk: StoredChunk, parts: Sequence[Part], now: float
    ) -> None:
        await self._writer.run(
            lambda connection: calls.divide(connection, self._accounts, attempt, outcome, chunk, parts, now)
        )

    async def split(self, chunk: StoredChunk, parts: Sequence[Part], now: float) -> list[int]:
        return await self._writer.run(lambda connection: calls.split(connection, chunk, parts, now))

    async def exclude(self, chunk_id: int, places: Sequence[int], now: float) -> int:
        return await self._writer.run(lambda connection: calls.exclude(connection, chunk_id, places, now))

    async def keep_exclusions(self, run_id: int, stamps: Iterable[SourceStamp]) -> None:
        await self._write("update run set exclusions = ? where id = ?", as_stamps(stamps), run_id)

    async def keep_sources(self, run_id: int, audience_spec: str, stamps: Iterable[SourceStamp]) -> None:
        statement = "update run set audience_spec = ?, sources = ? where id = ?"
        await self._write(statement, audience_spec, as_stamps(stamps), run_id)

    async def last_call_of(self, account_id: int) -> Any:
        query = "select max(sent_at) from attempt where account_id = ?"
        return (await self._read(query, account_id))[0][0]

    async def note_rate(self, run_id: int, rate: str) -> None:
        await self._write("update run set rate_asked = ? where id = ?", rate, run_id)

    async def note_pause(self, run_id: int, until: float, reason: str) -> None:
        await self._write("update run set paused_until = ?, pause_reason = ? where id = ?", until, reason, run_id)

    async def media_url(self, account_id: int, sha256: str) -> str | None:
        rows = await self._read("select url from media_file where account_id = ? and sha256 = ?", account_id, sha256)
        return rows[0][0] if rows else None

    async def keep_media_url(self, account_id: int, sha256: str, url: str, now: float) -> None:
        await self._write("insert or replace into media_file values (?, ?, ?, ?)", account_id, sha256, url, now)

    # levers

    async def give(self, run_id: int, lever: Lever, argument: str, user: str, now: float) -> Command:
        def work(connection: apsw.Connection) -> Command:
            statement = "insert into command (run_id, lever, argument, user, given_at) values (?, ?, ?, ?, ?)"
            connection.execute(statement, (run_id, lever, argument, user, now))
            return command_of(fetch(connection, f"{COMMAND} where id = ?", connection.last_insert_rowid())[0])

        return await self._writer.run(work)

    async def open_commands(self, run_id: int) -> list[Command]:
        rows = await self._read(f"{COMMAND} where run_id = ? and obeyed_at is null order by id", run_id)
        return [command_of(row) for row in rows]

    async def commands(self, run_id: int) -> list[Command]:
        return [command_of(row) for row in await self._read(f"{COMMAND} where run_id = ? order by id", run_id)]

    async def obey(self, command: Command, now: float) -> int:
        return await self._writer.run(lambda connection: levers.obey(connection, command, now))
