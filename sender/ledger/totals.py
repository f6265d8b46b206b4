"""What a run has come to, summed over its leaves and its calls."""

import apsw

from sender.ledger.records import Totals
from sender.ledger.rows import fetch
from sender.outcome import ChunkState

_STATES = """
    select state, count(*), sum(size), sum(not_found_count) from chunk
    where run_id = ? and state <> 'split' group by state
"""
_CALLS = """
    select count(*), coalesce(sum(number > 1), 0), coalesce(sum(attempt.status = 429), 0)
    from attempt join chunk on chunk.id = chunk_id where run_id = ?
"""


def totals(connection: apsw.Connection, run_id: int) -> Totals:
    """The sums of one run."""
    states = fetch(connection, _STATES, run_id)
    attempts, retried, rate_limited = fetch(connection, _CALLS, run_id)[0]
    return Totals(
        chunks={ChunkState(state): chunks for state, chunks, _, _ in states},
        recipients={ChunkState(state): recipients for state, _, recipients, _ in states},
        not_found=sum(not_found for *_, not_found in states),
        attempts=attempts,
        retried=retried,
        rate_limited=rate_limited,
    )
