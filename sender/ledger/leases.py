"""Who is sending for an account, and how fast at most; what ends when they do, and the account's pause."""

from typing import TYPE_CHECKING, NamedTuple

import apsw

from sender.ledger.records import Rates
from sender.ledger.rows import fetch

if TYPE_CHECKING:
    from campaigns.model import Rate

_NEWEST = """
    select ended_at, calls_ended, recipients_ended from attempt
    where account_id = ? and ended_at is not null order by ended_at desc, calls_ended desc limit 1
"""
_OPEN = """
    select attempt.id, attempt.account_id, attempt.recipients from run
        join attempt on attempt.account_id = run.account_id and attempt.ended_at is null
        join chunk on chunk.id = chunk_id and chunk.run_id = run.id
    where run.id = ?
"""


class Ending(NamedTuple):
    """When a call of an account ended, and all calls and recipients of the account until then, its own included."""

    at: float
    calls: int
    recipients: int

    def after(self, recipients: int, now: float) -> "Ending":
        """The next call's, to so many: the order of the ends is that of their numbers, always."""
        return Ending(max(now, self.at), self.calls + 1, self.recipients + recipients)

    @property
    def totals(self) -> tuple[int, int]:
        """The account's calls and recipients until then."""
        return self.calls, self.recipients


def last_end(connection: apsw.Connection, account_id: int) -> Ending:
    """That of the account's call that ended last; of none, long ago."""
    newest = fetch(connection, _NEWEST, account_id)
    return Ending(*newest[0]) if newest else Ending(0.0, 0, 0)


def note_end(connection: apsw.Connection, attempt_id: int, ending: Ending) -> None:
    """The call has ended, for the account's rates."""
    statement = "update attempt set ended_at = ?, calls_ended = ?, recipients_ended = ? where id = ?"
    connection.execute(statement, (*ending, attempt_id))


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
    for attempt_id, account_id, recipients in fetch(connection, _OPEN, run_id):
        note_end(connection, attempt_id, last_end(connection, account_id).after(recipients, now))


def pause(connection: apsw.Connection, run_id: int, until: float) -> None:
    """No sender of the run's account makes a call before that; a longer pause that is under way stays."""
    connection.execute(
        "update account set paused_until = max(paused_until, ?) where id = (select account_id from run where id = ?)",
        (until, run_id),
    )
