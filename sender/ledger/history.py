"""What a run's calls add up to, as functions of a connection. SQL makes the sums: one row comes back for each group."""

from collections.abc import Sequence

import apsw

from sender.ledger.records import Bucket, Call, Failure, Latency, Reason, Span, StoredSession, Totals
from sender.ledger.rows import LAST_CALLS, as_json, fetch
from sender.outcome import ChunkState


def totals(connection: apsw.Connection, run_id: int) -> Totals:
    """Sums over the run's leaves, and its calls."""
    states = fetch(
        connection,
        """
        select state, count(*), sum(size), sum(not_found_count) from chunk
        where run_id = ? and state <> 'split' group by state
        """,
        run_id,
    )
    sent = fetch(
        connection,
        """
        select count(*), coalesce(sum(number > 1), 0), coalesce(sum(attempt.status = 429), 0)
        from attempt join chunk on chunk.id = chunk_id where run_id = ?
        """,
        run_id,
    )
    attempts, retried, rate_limited = sent[0]
    return Totals(
        chunks={ChunkState(state): chunks for state, chunks, _, _ in states},
        recipients={ChunkState(state): recipients for state, _, recipients, _ in states},
        not_found=sum(not_found for *_, not_found in states),
        attempts=attempts,
        retried=retried,
        rate_limited=rate_limited,
    )


def last_calls(connection: apsw.Connection, run_id: int) -> list[Call]:
    """The last call of each accepted or unknown leaf."""
    return [
        Call(
            chunk_id=chunk_id,
            state=ChunkState(state),
            recipients=size,
            sent_at=sent_at,
            reason=reason,
            batch_task_id=batch_task_id,
        )
        for chunk_id, state, size, sent_at, reason, batch_task_id in fetch(connection, LAST_CALLS, run_id)
    ]


def sessions(connection: apsw.Connection, run_id: int) -> list[StoredSession]:
    """The run's sessions in order; one whose sender died lasted until the last call before the next."""
    query = """
        select started_at, coalesce(ended_at, (
                   select max(sent_at + coalesce(seconds, 0)) from attempt join chunk on chunk.id = chunk_id
                   where run_id = session.run_id and sent_at >= session.started_at and sent_at < next_at
               ), case when next_at < 9e99 then started_at end),
               rate, ended_at is null and next_at = 9e99
        from (select *, lead(started_at, 1, 9e99) over (order by started_at, id) as next_at
              from session where run_id = ?) as session
        order by started_at, id
    """
    return [
        StoredSession(started_at=started_at, ended_at=ended_at, rate=rate, is_open=bool(is_open))
        for started_at, ended_at, rate, is_open in fetch(connection, query, run_id)
    ]


def buckets(connection: apsw.Connection, run_id: int, starts: Sequence[float], seconds: float) -> list[Bucket]:
    """The calls in each bucket of so many seconds, counted from the last of the `starts` before a call."""
    query = """
        with placed as (
            select sent_at, attempt.result, attempt.status,
                   max(0, (select count(*) from json_each(?1) where value <= sent_at) - 1) as stretch
            from attempt join chunk on chunk.id = chunk_id where run_id = ?2
        )
        select stretch, max(0, cast((sent_at - json_extract(?1, '$[' || stretch || ']')) / ?3 as integer)) as place,
               count(*), coalesce(sum(result = 'accepted'), 0), coalesce(sum(status = 429), 0)
        from placed group by stretch, place order by stretch, place
    """
    return [
        Bucket(stretch=stretch, place=place, calls=calls, accepted=accepted, rate_limited=rate_limited)
        for stretch, place, calls, accepted, rate_limited in fetch(
            connection, query, as_json([*starts]), run_id, seconds
        )
    ]


def waits(connection: apsw.Connection, run_id: int, seconds: float) -> list[Span]:
    """The times of so many seconds or more in which no call followed one that was answered with 429."""
    query = """
        select sent_at, next_at from (
            select attempt.status, sent_at, lead(sent_at, 1, 9e99) over (order by sent_at) as next_at
            from attempt join chunk on chunk.id = chunk_id where run_id = ?
        ) where status = 429 and next_at - sent_at >= ? order by sent_at
    """
    return [Span(start=start, end=end) for start, end in fetch(connection, query, run_id, seconds)]


def latency(connection: apsw.Connection, run_id: int, percents: Sequence[int]) -> Latency:
    """Percentiles by nearest rank of the seconds that the run's calls took."""
    query = """
        with timed as (
            select seconds, row_number() over (order by seconds) as place, count(*) over () as calls
            from attempt join chunk on chunk.id = chunk_id where run_id = ? and seconds is not null
        )
        select percent.value, seconds, calls from timed
        join json_each(?) as percent on place = max(1, (percent.value * calls + 99) / 100)
    """
    rows = fetch(connection, query, run_id, as_json([*percents]))
    return Latency(calls=rows[0][2] if rows else 0, seconds={percent: seconds for percent, seconds, _ in sorted(rows)})


def reasons(connection: apsw.Connection, run_id: int, limit: int) -> list[Reason]:
    """Why recipients or calls were not accepted, those with the most recipients first; the rest under no words."""
    query = """
        with each_one as (
            select state, reason, size as recipients, 0 as calls from chunk
            where run_id = ?1 and state in ('rejected', 'unknown', 'cancelled', 'assumed_sent')
            union all
            select case when result in ('rejected', 'unknown') then result when result is null then 'unknown'
                        else 'pending' end,
                   case when result is not null then attempt.reason when state = 'unknown' then chunk.reason
                        else 'the call was cut off' end, 0, 1
            from attempt join chunk on chunk.id = chunk_id
            where run_id = ?1 and coalesce(result, '') <> 'accepted' and not (result is null and state = 'sending')
        ), grouped as (
            select state, reason, sum(recipients) as recipients, sum(calls) as calls
            from each_one group by state, reason
        ), ranked as (
            select *, row_number() over (order by recipients desc, calls desc, state, reason) as place from grouped
        )
        select min(place), state, case when place <= ?2 then reason end, sum(recipients), sum(calls), count(*)
        from ranked group by min(place, ?2 + 1), case when place > ?2 then state end order by 1
    """
    return [
        Reason(state=ChunkState(state), words=words, recipients=recipients, calls=calls, reasons=number)
        for _, state, words, recipients, calls, number in fetch(connection, query, run_id, limit)
    ]


def sends(connection: apsw.Connection, run_id: int, since: float) -> list[tuple[float, int]]:
    """Time and number of recipients of the run's own calls since then, oldest first."""
    query = """
        select sent_at, attempt.recipients from attempt join chunk on chunk.id = chunk_id
        where attempt.account_id = (select account_id from run where id = ?) and sent_at > ? and run_id = ?
        order by sent_at
    """
    return fetch(connection, query, run_id, since, run_id)


def failures(connection: apsw.Connection, run_id: int, limit: int) -> list[Failure]:
    """The run's last calls that were refused or are in doubt, the newest first."""
    query = """
        select chunk_id, sent_at + coalesce(seconds, 0), attempt.recipients, result, attempt.reason
        from attempt join chunk on chunk.id = chunk_id
        where run_id = ? and result in ('rejected', 'unknown', 'stop') order by attempt.id desc limit ?
    """
    return [
        Failure(chunk_id=chunk_id, at=at, recipients=recipients, result=result, reason=reason)
        for chunk_id, at, recipients, result, reason in fetch(connection, query, run_id, limit)
    ]
