"""Whether the next call of an account may leave now: its rates, kept over all its runs and all their senders.

A claim asks here inside its own transaction, which excludes every other one, so two senders never take one place. A
call holds its place from its claim until one period after its end: the server saw it before it answered, so none of
the server's windows can hold one too many, however long the way takes. Calls that end carry running totals, so that
two look-ups count a window of any length. The rates are those of every run that is being sent now, so the lowest
rules; beside them stands an even pace for all together (the generic cell rate algorithm of ITU-T I.371).

The account's rows are read once, and kept up in memory, as long as nobody else writes to the ledger.

Its weakness: it goes by the machine's clock. One that is set back holds calls up by as much, one that is set forward
frees places too early by as much; each sender's own window, on the monotonic clock, stands before it.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import apsw

from sender.ledger.leases import Ending, last_end, release
from sender.ledger.lock import is_held
from sender.ledger.records import Later
from sender.ledger.rows import fetch, fetch_one

CATCH_UP_SECONDS = 0.12  # of the even pace: a sender's own 0.1 s, and the way from its clock reading to ours
LEAD_SECONDS = 0.05  # a claim is made so much ahead at most: the commit takes its time, and the call waits for the rest
COURTESY_SECONDS = 0.05
ASK_AGAIN_SECONDS = 60.0  # others may have ended, or ask for another rate
RECENT_ENDS = 1024  # are known without a look into the ledger: the windows of most rates hold no more

_LEASES = """
    select run_id, name, held or state = 'scheduled', calls, period_seconds, recipients, recipients_period_seconds
    from lease join run on run.id = run_id where lease.account_id = ?
"""
_STATE = """
    select paused_until, last.sent_at, last.slot_at, under_way.calls, under_way.recipients
    from account
        join (select count(*) as calls, coalesce(sum(recipients), 0) as recipients
              from attempt where account_id = ?1 and ended_at is null) as under_way
        left join (select sent_at, slot_at from attempt where account_id = ?1 order by sent_at desc limit 1) as last
    where account.id = ?1
"""
_OLDEST = """
    select calls_ended - 1, recipients_ended - recipients from attempt
    where account_id = ? and ended_at > ? order by ended_at, calls_ended limit 1
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


@dataclass(frozen=True, slots=True)
class _Terms:
    """What binds a run's calls: the step of the even pace, the windows, and whether it shares them with other runs."""

    step_seconds: float
    bounds: frozenset[_Bound]
    is_shared: bool


_TOTALS: Final = ("calls_ended", "recipients_ended")


class Account:
    """An account's rates as they stand, kept up by the calls that begin and end."""

    def __init__(self, connection: apsw.Connection, ledger: Path, account_id: int) -> None:
        self._connection = connection
        self._ledger = ledger
        self.id = account_id
        self._terms: dict[int, _Terms | None] = {}
        self._before: dict[_Bound, int] = {}
        self._read()

    def _read(self) -> None:
        self._leases = fetch(self._connection, _LEASES, self.id)
        ((self._paused_until, sent_at, slot_at, *under_way),) = fetch(self._connection, _STATE, self.id)
        self._last_sent_at, self._last_slot_at = sent_at or 0.0, slot_at or 0.0
        self._under_way: list[int] = under_way
        self._ends = deque([last_end(self._connection, self.id)], maxlen=RECENT_ENDS)

    @property
    def is_shared(self) -> bool:
        """Whether more than one run is being sent."""
        return len(self._leases) > 1

    def judge(self, run_id: int, recipients: int, now: float) -> Verdict:
        """How a call of this run to so many recipients stands; a run without a lease is bound by nothing."""
        terms = self._terms_of(run_id, now)
        if terms is None:
            return Verdict(leaves_at=now)
        step = terms.step_seconds
        pause = self._paused_until - now
        waits = [pause, self._last_slot_at + step - CATCH_UP_SECONDS - now]
        waits += [self._wait_seconds(bound, (1, recipients), now) for bound in terms.bounds]
        if (seconds := max(waits)) > LEAD_SECONDS:
            return Verdict(Later(seconds=min(seconds, ASK_AGAIN_SECONDS), is_paused=seconds == pause))
        leaves_at = now + max(0.0, seconds)
        slot_at = max(leaves_at, self._last_slot_at + step)
        turn = max(0.0, slot_at + step - CATCH_UP_SECONDS - now) + min(step / 2, COURTESY_SECONDS)
        return Verdict(leaves_at=leaves_at, slot_at=slot_at, courtesy_seconds=turn if terms.is_shared else 0.0)

    def begin(self, verdict: Verdict, recipients: int) -> None:
        """A call was noted, to leave as the verdict says."""
        self._under_way[0] += 1
        self._under_way[1] += recipients
        if verdict.leaves_at >= self._last_sent_at:
            self._last_sent_at, self._last_slot_at = verdict.leaves_at, verdict.slot_at or 0.0

    def end(self, recipients: int, now: float) -> Ending:
        """A call to so many ends now; what is to be noted of that."""
        self._under_way[0] -= 1
        self._under_way[1] -= recipients
        self._ends.append(self._ends[-1].after(recipients, now))
        return self._ends[-1]

    def _terms_of(self, run_id: int, now: float) -> _Terms | None:
        if run_id not in self._terms:
            self._bury(run_id, now)
            # An operator's pause or a closed window may last for days: meanwhile a run binds nobody but itself.
            rates = [rates for leased, _, is_idle, *rates in self._leases if leased == run_id or not is_idle]
            is_leased = any(leased == run_id for leased, *_ in self._leases)
            self._terms[run_id] = _terms(rates) if is_leased else None
        return self._terms[run_id]

    def _bury(self, run_id: int, now: float) -> None:
        """Ends the leases of other runs whose senders died, which their locks tell."""
        others = ((leased, name) for leased, name, *_ in self._leases if leased != run_id)
        dead = [leased for leased, name in others if not is_held(self._ledger, name)]
        for leased in dead:
            release(self._connection, leased, now)
        if dead:
            self._read()

    def _wait_seconds(self, bound: _Bound, new: tuple[int, int], now: float) -> float:
        """Until a window has room for all that is under way, the new call included; a period when a call must end."""
        column, since = bound.column, now - bound.period_seconds
        held = self._under_way[column] + new[column] + self._ends[-1].totals[column] - bound.count
        # What had ended before the window only grows, so an earlier reading may say no in vain, but never yes.
        if held <= self._before.get(bound, 0):
            return 0.0
        self._before[bound] = self._ended_until(since)[column]
        if held <= self._before[bound]:
            return 0.0
        freed = f"""
            select ended_at from attempt where account_id = ? and ended_at > ? and {_TOTALS[column]} >= ?
            order by ended_at, calls_ended limit 1
        """
        found = fetch(self._connection, freed, self.id, since, held)
        return float(found[0][0] - since) if found else bound.period_seconds

    def _ended_until(self, moment: float) -> tuple[int, int]:
        """The calls and recipients whose end is not after that."""
        if self._ends[0].at <= moment:
            return self._ends[bisect_right(self._ends, moment, key=attrgetter("at")) - 1].totals
        oldest = fetch(self._connection, _OLDEST, self.id, moment)
        return oldest[0] if oldest else self._ends[-1].totals


class Accounts:
    """The accounts that were asked for, for as long as nobody else has written about them."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._known: dict[int, Account] = {}
        self._of_runs: dict[int, int] = {}
        self._changes = 0
        self._version = 0

    def begun(self, connection: apsw.Connection) -> None:
        """A transaction has begun: others may have written before it, or died, which no row tells."""
        version = fetch_one(connection, "pragma data_version")
        if version != self._version or any(account.is_shared for account in self._known.values()):
            self.forget()
        self._version = version

    def get(self, connection: apsw.Connection, account_id: int) -> Account:
        """The account as it stands now."""
        # Whatever else was written here, such as an operator's lever, may be about it.
        if connection.total_changes() != self._changes:
            self.forget()
        if account_id not in self._known:
            self._known[account_id] = Account(connection, self._ledger, account_id)
            self.noted(connection)
        return self._known[account_id]

    def of_run(self, connection: apsw.Connection, run_id: int) -> Account:
        """That of the run."""
        if run_id not in self._of_runs:
            self._of_runs[run_id] = fetch_one(connection, "select account_id from run where id = ?", run_id)
        return self.get(connection, self._of_runs[run_id])

    def noted(self, connection: apsw.Connection) -> None:
        """All that was written until now was told to the accounts."""
        self._changes = connection.total_changes()

    def forget(self) -> None:
        """What is known may be so no more."""
        self._known.clear()
        self._of_runs.clear()


def _terms(rates: list[list[Any]]) -> _Terms:
    calls = {_Bound(0, calls, period) for calls, period, *_ in rates}
    recipients = {_Bound(1, count, period) for *_, count, period in rates if count}
    step_seconds = max(period / calls for calls, period, *_ in rates)
    return _Terms(step_seconds=step_seconds, bounds=frozenset(calls | recipients), is_shared=len(rates) > 1)
