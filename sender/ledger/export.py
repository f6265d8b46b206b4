"""A ledger's runs as records, one after another; docs/ledger.md describes them for those who read them."""

import json
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import apsw
import orjson

from campaigns.audience.sources import display_name
from sender.errors import InputError
from sender.ledger import database
from sender.ledger.records import Run, StoredChunk
from sender.ledger.rows import COMMAND, RUN, command_of, fetch, load_chunk, run_of
from sender.ledger.snapshot import require_ledger, snapshot, sqlite_errors
from sender.outcome import ChunkState

FORMAT: Final = 1
COUNTED: Final = ("run", "chunk", "attempt", "recipient", "command")

Record = Mapping[str, Any]


def export(ledger: Path, run: str | None = None, *, now: Callable[[], float] = time.time) -> Generator[Record]:
    """Records of one moment of the ledger: all sealed runs in the order of their making, or the one of that name.

    Memory does not grow with the ledger. Raises InputError for no such run or no ledger, LedgerError.
    """
    require_ledger(ledger)
    with sqlite_errors(ledger), closing(database.connect(ledger)):
        pass  # an older ledger is brought to the newest schema, as by every other command
    counts: Counter[str] = Counter()
    with snapshot(ledger) as connection:
        runs = _runs(connection, run)
        yield {"type": "ledger", "format": FORMAT, "exported_at": _moment(now())}
        for found in runs:
            for record in _run(connection, found):
                counts[record["type"]] += 1
                yield record
    yield {"type": "end", **{f"{name}s": counts[name] for name in COUNTED}}


def json_line(record: Record) -> bytes:
    """The record as one line of UTF-8."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # the name of a file that is no UTF-8; its bytes come out escaped
        return f"{json.dumps(record)}\n".encode()


def _runs(connection: apsw.Connection, name: str | None) -> list[Run]:
    runs = [run_of(row) for row in fetch(connection, f"{RUN} where state <> 'planning' order by run.id")]
    wanted = [run for run in runs if name in (None, run.name)]
    if name is not None and not wanted:
        known = ", ".join(run.name for run in reversed(runs[-10:])) or "none yet"
        raise InputError(f"there is no run {name!r}; the ledger has: {known}")
    return wanted


def _run(connection: apsw.Connection, run: Run) -> Iterator[Record]:
    yield {
        "type": "run",
        "run": run.name,
        "campaign": run.campaign,
        "api": run.origin,
        "account": run.account,
        "state": run.state,
        "reason": run.reason,
        "planned": run.plan.planned,
        "audience": dict(run.plan.counts),
        "content": run.content,
        "rate": run.rate,
        "paused": run.held,
        "created_at": _moment(run.created_at),
        "session_started_at": _moment(run.session_started_at),
        "ended_at": _moment(run.ended_at),
        "elapsed_seconds": run.elapsed_seconds,
    }
    files = [display_name(source.path) for source in run.plan.sources]
    for (chunk_id,) in connection.execute("select id from chunk where run_id = ? order by first, id", (run.id,)):
        chunk = load_chunk(connection, chunk_id)
        yield _chunk(connection, run, chunk)
        yield from _attempts(connection, run, chunk_id)
        if chunk.state is not ChunkState.SPLIT:
            yield from _recipients(run, chunk, files)
    yield from _commands(connection, run)


def _chunk(connection: apsw.Connection, run: Run, chunk: StoredChunk) -> Record:
    query = "select parent_id, attempts, request_id, batch_task_id from chunk where id = ?"
    ((parent_id, attempts, request_id, batch_task_id),) = fetch(connection, query, chunk.id)
    return {
        "type": "chunk",
        "run": run.name,
        "chunk": chunk.id,
        "parent": parent_id,
        "first": chunk.first,
        "kind": chunk.kind,
        "recipients": chunk.size,
        "state": chunk.state,
        "status": chunk.status,
        "reason": chunk.reason,
        "not_found": chunk.not_found_count,
        "attempts": attempts,
        "request_id": request_id,
        "batch_task_id": batch_task_id,
        "decided_at": _moment(chunk.decided_at),
    }


def _attempts(connection: apsw.Connection, run: Run, chunk_id: int) -> Iterator[Record]:
    query = """
        select number, recipients, sent_at, seconds, status, result, reason from attempt
        where chunk_id = ? order by id
    """
    for number, recipients, sent_at, seconds, status, result, reason in fetch(connection, query, chunk_id):
        yield {
            "type": "attempt",
            "run": run.name,
            "chunk": chunk_id,
            "attempt": number,
            "recipients": recipients,
            "sent_at": _moment(sent_at),
            "seconds": seconds,
            "status": status,
            "result": result,
            "reason": reason,
        }


def _recipients(run: Run, chunk: StoredChunk, files: list[str]) -> Iterator[Record]:
    missing = frozenset(chunk.not_found)
    for recipient, address in zip(chunk.recipients, chunk.addresses, strict=True):
        is_missing = chunk.state is ChunkState.ACCEPTED and str(address) in missing
        yield {
            "type": "recipient",
            "run": run.name,
            "chunk": chunk.id,
            "id": recipient.id,
            "username": recipient.username,
            "email": recipient.email,
            "kind": chunk.kind,
            "file": files[recipient.source] if recipient.source < len(files) else None,
            "line": recipient.line,
            "state": "not_found" if is_missing else chunk.state,
        }


def _commands(connection: apsw.Connection, run: Run) -> Iterator[Record]:
    for row in fetch(connection, f"{COMMAND} where run_id = ? order by id", run.id):
        command = command_of(row)
        yield {
            "type": "command",
            "run": run.name,
            "lever": command.lever,
            "argument": command.argument,
            "user": command.user,
            "recipients": command.recipients,
            "given_at": _moment(command.given_at),
            "obeyed_at": _moment(command.obeyed_at),
        }


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
