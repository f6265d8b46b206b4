"""Whether the next call of an account may leave now: its rates, kept over all its runs and all their senders.

A claim asks here inside its own transaction, which excludes every other one, so two senders never take one place. A
call holds its place from its claim until one period after its end: the server saw it before it answered, so none of
the server's windows can hold one too many, however long the way takes. Calls that end carry running totals, so that
two look-ups count a window of any length. The rates are those of every run that is being sent now, so the lowest
rules; beside them stands an even pace for all together (the generic cell rate algorithm of ITU-T I.371).

Its weakness: it goes by the machine's clock. One that is set back holds calls up by as much, one that is set forward
frees places too early by as much; each sender's own window, on the monotonic clock, stands before it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw

from sender.ledger.lock import is_held
from sender.ledger.records import Later, Rates
from sender.ledger.rows import fetch

if TYPE_CHECKING:
    from campaigns.model import Rate

CATCH_UP_SECONDS = 0.12  # of the even pace: a sender's own 0.1 s, and the way from its clock reading to ours
LEAD_SECONDS = 0.05  # a claim is made so much ahead at most: the commit takes its time, and the call waits for the rest
COURTESY_SECONDS = 0.05
ASK_AGAIN_SECONDS = 60.0  # others may have ended, or ask for another rate

_LEASES = """
    select run_id, name, held or state = 'scheduled', calls, period_seconds, recipients, recipients_period_seconds
    from lease join run on run.id = run_id where lease.account_id = ?
"""
_STATE = """
    select paused_until, (select slot_at from attempt where account_id = ?1 order by sent_at desc limit 1),
        under_way.calls, under_way.recipients, newest.calls_ended, newest.recipients_ended
    from account
        join (select count(*) as calls, coalesce(sum(recipients), 0) as recipients
              from attempt where account_id = ?1 and ended_at is null) as under_way
        left join (select calls_ended, recipients_ended from attempt where account_id = ?1 and ended_at is not null
                   order by ended_at desc, calls_ended desc limit 1) as newest
    where account.id = ?1
"""
_NEWEST = """
    select ended_at, calls_ended, recipients_ended from attempt
    where account_id = ? and ended_at is not null order by ended_at desc, calls_ended desc limit 1
"""
_OLDEST = """
    select calls_ended - 1, recipients_ended - recipients from attempt
    where account_id = ? and ended_at > ? order by ended_at, calls_ended limit 1
"""
_OPEN = """
    select attempt.id, attempt.account_id from run
        join attempt on attempt.account_id = run.account_id and attempt.ended_at is null
        join chunk on chunk.id = chunk_id and chunk.run_id = run.id
    where run.id = ?
"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a call stands to its account's rates.

    later             when to ask again; None when it may leave
    leaves_at         when it may leave
    slot_at           its place in the account's even schedule, None when nothing binds it
    courtesy_seconds  for how long its sender lets others of the account come first
    """

    later: Later | None = None
    leaves_at: float = 0.0
    slot_at: float | None = None
    courtesy_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Bound:
    """So many calls or recipients in any window; `column` is which of the two a row's numbers stand for."""

    column: int
    count: int
    period_seconds: float


_TOTALS: Final = ("calls_ended", "recipients_ended")


def judge(
    connection: apsw.Connection, ledger: Path, run_id: int, account_id: int, recipients: int, now: float
) -> Verdict:
    """How a call of this run to so many recipients stands; a run without a lease is bound by nothing."""
    leases = fetch(connection, _LEASES, account_id)
    others = [(leased, name) for leased, name, *_ in leases if leased != run_id]
    if others and _bury(connection, ledger, others, now):
        return judge(connection, ledger, run_id, account_id, recipients, now)
    if len(others) == len(leases):
        return Verdict(leaves_at=now)
    # An operator's pause or a closed window may last for days: meanwhile a run binds nobody but itself.
    rates = [rates for leased, _, is_held_back, *rates in leases if leased == run_id or not is_held_back]
    step = max(period / calls for calls, period, *_ in rates)
    ((paused_until, last_slot_at, *state),) = fetch(connection, _STATE, account_id)
    pause, last_slot_at = paused_until - now, last_slot_at or 0.0
    under_way, ended = (state[0] + 1, state[1] + recipients), (state[2] or 0, state[3] or 0)
    waits = [pause, last_slot_at + step - CATCH_UP_SECONDS - now]
    waits += [_wait_seconds(connection, account_id, bound, under_way, ended, now) for bound in _bounds(rates)]
    if (seconds := max(waits)) > LEAD_SECONDS:
        return Verdict(Later(seconds=min(seconds, ASK_AGAIN_SECONDS), is_paused=seconds == pause))
    leaves_at = now + max(0.0, seconds)
    slot_at = max(leaves_at, last_slot_at + step)
    turn = max(0.0, slot_at + step - CATCH_UP_SECONDS - now) + min(step / 2, COURTESY_SECONDS)
    return Verdict(leaves_at=leaves_at, slot_at=slot_at, courtesy_seconds=turn if len(rates) > 1 else 0.0)


def take_lease(connection: apsw.Connection, run_id: int, rates: Rates) -> None:
    """Notes how fast a run is sent from now on, which binds every sender of the account until `release`."""
    recipients = rates.recipients
    bounds = (recipients.count, recipients.period_seconds) if recipients else (None, None)
    statement = "insert or replace into lease select id, account_id, ?, ?, ?, ? from run where id = ?"
    connection.execute(statement, (rates.calls.count, rates.calls.period_seconds, *bounds, run_id))


def change_lease(connection: apsw.Connection, run_id: int, calls: "Rate") -> None:
    """Another rate for a run that is being sent; one that is not has none to change."""
    statement = "update lease set calls = ?, period_seconds = ? where run_id = ?"
    connection.execute(statement, (calls.count, calls.period_seconds, run_id))


def release(connection: apsw.Connection, run_id: int, now: float) -> None:
    """The run has no sender any more: its lease ends, and so do the calls of which nobody will tell the end."""
    connection.execute("delete from lease where run_id = ?", (run_id,))
    for attempt_id, account_id in fetch(connection, _OPEN, run_id):
        statement = "update attempt set ended_at = ?, calls_ended = ?, recipients_ended = ? + recipients where id = ?"
        connection.execute(statement, (*ending(connection, account_id, now), attempt_id))


def ending(connection: apsw.Connection, account_id: int, now: float) -> tuple[float, int, int]:
    """For a call of the account that ends now: when that is, which one it is, and the recipients of those before it."""
    newest = fetch(connection, _NEWEST, account_id)
    if not newest:
        return now, 1, 0
    ended_at, calls, recipients = newest[0]
    return max(now, ended_at), calls + 1, recipients  # the order of the ends is that of their numbers, always


def pause(connection: apsw.Connection, run_id: int, until: float) -> None:
    """No sender of the run's account makes a call before that; a longer pause that is under way stays."""
    connection.execute(
        "update account set paused_until = max(paused_until, ?) where id = (select account_id from run where id = ?)",
        (until, run_id),
    )


def _bury(connection: apsw.Connection, ledger: Path, others: list[tuple[int, str]], now: float) -> bool:
    """Ends the leases of senders that died, which their locks tell; returns whether there were any."""
    dead = [run_id for run_id, name in others if not is_held(ledger, name)]
    for run_id in dead:
        release(connection, run_id, now)
    return bool(dead)


def _bounds(rates: list[list[Any]]) -> set[_Bound]:
    bounds = {_Bound(0, calls, period) for calls, period, *_ in rates}
    return bounds | {_Bound(1, count, period) for *_, count, period in rates if count}


def _wait_seconds(
    connection: apsw.Connection,
    account_id: int,
    bound: _Bound,
    under_way: tuple[int, int],
    ended: tuple[int, int],
    now: float,
) -> float:
    """Until a window has room for all that is under way, the new call included; a period when a call must end first."""
    since, column = now - bound.period_seconds, bound.column
    oldest = fetch(connection, _OLDEST, account_id, since)
    before = oldest[0][column] if oldest else ended[column]
    excess = under_way[column] + ended[column] - before - bound.count
    if excess <= 0:
        return 0.0
    freed = f"""
        select ended_at from attempt where account_id = ? and ended_at > ? and {_TOTALS[column]} >= ?
        order by ended_at, calls_ended limit 1
    """
    found = fetch(connection, freed, account_id, since, before + excess)
    return float(found[0][0] - since) if found else bound.period_seconds
