"""What other terminals ask of a run's rows, as functions of a connection; each is one short read transaction."""

import apsw

from sender.ledger.records import Failure, Totals
from sender.ledger.rows import fetch
from sender.outcome import ChunkState


def totals(connection: apsw.Connection, run_id: int) -> Totals:
    """Sums over the run's leaves and calls; some 3 ms for 10,000 chunks."""
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
