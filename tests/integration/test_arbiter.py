"""An account's rates over all its runs and senders, on real SQLite, with a time that the test moves."""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.model import IdentifierKind, Rate
from sender.ledger import Attempt, Later, Part, Rates, arbiter, calls, database, leases, levers
from sender.ledger.lock import run_lock
from sender.ledger.records import Command
from sender.ledger.rows import fetch_one, insert_chunk, load_chunk
from sender.outcome import ChunkState, Lever, Outcome, RunState, Then
from tests.integration.plans import NOW, people

ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202)
WAIT = Outcome(chunk=ChunkState.PENDING, then=Then.WAIT, status=429)
ULP_SECONDS = 1e-6


@dataclass
class Call:
    """One call as the account has made it: how many it was to, and from when until when it was under way."""

    attempt: Attempt
    recipients: int
    claimed_at: float
    ended_at: float | None = None


@dataclass
class Office:
    """Senders of one account in one ledger, each a run with its lock."""

    path: Path
    connection: apsw.Connection
    now: float = NOW
    made: list[Call] = field(default_factory=list)
    rates: dict[int, Rates] = field(default_factory=dict)
    locks: dict[int, ExitStack] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.accounts = arbiter.Accounts(self.path)
        self.changes = 0

    def a_run(self, account: str = "default") -> int:
        execute = self.connection.execute
        execute("insert or ignore into account (origin, label) values ('sandbox', ?)", (account,))
        account_id = fetch_one(self.connection, "select id from account where label = ?", account)
        name = f"run{len(self.names)}"
        execute(
            """
            insert into run (name, key, campaign, account_id, state, message_fingerprint, created_at)
            values (?, 'key', ?, ?, 'interrupted', '', ?)
            """,
            (name, name, account_id, NOW),
        )
        run_id = self.connection.last_insert_rowid()
        self.names[run_id] = name
        return run_id

    def start(self, run_id: int, rate: str, recipients: str | None = None) -> int:
        rates = Rates(calls=Rate.parse(rate), recipients=Rate.parse(recipients) if recipients else None)
        lock = ExitStack()
        lock.enter_context(run_lock(self.path, self.names[run_id]))
        self.locks[run_id], self.rates[run_id] = lock, rates
        return calls.start_session(self.connection, run_id, self.now, rates)

    def end(self, run_id: int) -> None:
        calls.end_session(self.connection, run_id, RunState.INTERRUPTED, "", self.now)
        self.kill(run_id)

    def kill(self, run_id: int) -> None:
        self.locks.pop(run_id).close()
        del self.rates[run_id]
        self.accounts.forget()  # a sender's death is noticed by the next transaction

    def claim(self, run_id: int, recipients: int = 1) -> Attempt | Later:
        part = Part(recipients=people(0, recipients), first=0)
        is_known = self.changes == self.connection.total_changes()
        chunk_id = insert_chunk(self.connection, run_id, None, IdentifierKind.USERNAME, part)
        if is_known:  # nothing else was written since the last call, and this is part of the plan
            self.accounts.noted(self.connection)
        claimed = calls.claim(self.connection, self.accounts, load_chunk(self.connection, chunk_id), self.now)
        assert claimed
        self.changes = self.connection.total_changes()
        if isinstance(claimed, Attempt):
            self.made.append(Call(claimed, recipients, self.now))
        return claimed

    def settle(self, call: Call, outcome: Outcome = ACCEPTED) -> None:
        call.ended_at = self.now
        is_known = self.changes == self.connection.total_changes()
        calls.settle(self.connection, self.accounts, call.attempt, outcome, self.now)
        self.changes = self.connection.total_changes() if is_known else self.changes

    def send(self, run_id: int, count: int, seconds: float = 0.0) -> list[float]:
        """When each of so many calls could be claimed, each asked for as soon as it is told to; each lasts so long."""
        moments: list[float] = []
        while len(moments) < count:
            claimed = self.claim(run_id)
            if isinstance(claimed, Later):
                assert claimed.seconds > 0
                self.now += claimed.seconds
                continue
            moments.append(claimed.sent_at)
            self.now = claimed.sent_at + seconds
            self.settle(self.made[-1])
        return moments

    def held(self, period_seconds: float, *, of_recipients: bool) -> int:
        """What holds a place in a window of that length when the newest call leaves."""
        since = self.made[-1].attempt.sent_at - period_seconds + ULP_SECONDS
        holding = [call for call in self.made if call.ended_at is None or call.ended_at > since]
        return sum(call.recipients if of_recipients else 1 for call in holding)


@contextmanager
def an_office() -> Iterator[Office]:
    with TemporaryDirectory(prefix="arbiter") as folder:
        path = Path(folder) / "ledger.db"
        connection = database.connect(path)
        connection.execute("begin")  # and never commit: a thousand stories cost no fsync
        office = Office(path, connection)
        try:
            yield office
        finally:
            for lock in office.locks.values():
                lock.close()
            connection.close()


@pytest.fixture
def office() -> Iterator[Office]:
    with an_office() as opened:
        yield opened


RATES = ["1/s", "2/s", "5/s", "20/s", "3/2s", "30/min", "7/5s"]
RECIPIENTS = [None, None, "5/s", "20/min", "8/3s"]


@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_no_window_of_any_run_s_rates_ever_holds_more_than_they_allow(seed: int) -> None:
    dice = random.Random(seed)
    with an_office() as office:
        runs = [office.a_run() for _ in range(dice.randint(1, 3))]
        for _ in range(100):
            play(office, runs, dice)


def play(office: Office, runs: list[int], dice: random.Random) -> None:
    """One random step: somebody starts, ends, dies, asks for a call, gets an answer, or time goes by."""
    run_id = dice.choice(runs)
    if dice.random() < 0.3:
        office.accounts.forget()  # another transaction begins
    under_way = [call for call in office.made if call.ended_at is None]
    step = dice.random()
    if run_id not in office.rates:
        office.start(run_id, dice.choice(RATES), dice.choice(RECIPIENTS))
    elif step < 0.01:
        office.end(run_id)
    elif step < 0.02:
        office.kill(run_id)
    elif step < 0.6:
        claimed = office.claim(run_id, dice.choice([1, 1, 2, 5]))
        note_ends(office)
        if isinstance(claimed, Attempt):
            check(office)
    elif step < 0.85 and under_way:
        office.settle(dice.choice(under_way), dice.choice([ACCEPTED, WAIT]))
    else:
        office.now += dice.choice([0.0, 0.01, 0.05, 0.2, 1.0, 5.0])
    note_ends(office)
    compare(office)


def compare(office: Office) -> None:
    """What is kept in memory is what the ledger says, unless it knows itself to be out of date."""
    (account_id,) = {id_ for (id_,) in office.connection.execute("select account_id from run")}
    kept = office.accounts.get(office.connection, account_id)
    read = arbiter.Account(office.connection, office.path, account_id)

    def facts(account: arbiter.Account) -> tuple[Any, ...]:
        slot = account._last_sent_at, account._last_slot_at
        return account._leases, account._paused_until, slot, account._under_way, account._ends[-1]

    assert facts(kept) == facts(read)


def note_ends(office: Office) -> None:
    """The calls of a sender that died, or was ended, end when that is noticed."""
    ended = {id_ for (id_,) in office.connection.execute("select id from attempt where ended_at is not null")}
    for call in office.made:
        if call.ended_at is None and call.attempt.id in ended:
            call.ended_at = office.now


def check(office: Office) -> None:
    for rates in office.rates.values():
        assert office.held(rates.calls.period_seconds, of_recipients=False) <= rates.calls.count
        if rates.recipients:
            held = office.held(rates.recipients.period_seconds, of_recipients=True)
            assert held <= rates.recipients.count


def test_one_sender_alone_gets_its_whole_rate_evenly(office: Office) -> None:
    run = office.a_run()
    office.start(run, "20/s")

    moments = office.send(run, 101)

    assert moments[100] - moments[0] == pytest.approx(5, rel=0.05)
    for at in moments:
        assert sum(at <= moment < at + 0.0999 for moment in moments) <= 1 + int((arbiter.CATCH_UP_SECONDS + 0.1) * 20)


def test_calls_of_an_earlier_session_and_of_other_runs_count_until_a_period_after_their_end(office: Office) -> None:
    first, second = office.a_run(), office.a_run()
    office.start(first, "2/min")
    office.send(first, 1)
    office.now += 30
    (at,) = office.send(first, 1, seconds=10)
    office.end(first)
    office.start(second, "2/min")

    moments = office.send(second, 2)

    assert moments[0] == pytest.approx(NOW + 60, abs=0.01)
    assert moments[1] == pytest.approx(at + 10 + 60, abs=0.01)


def test_of_several_runs_the_lowest_rate_rules_from_its_first_moment_to_its_end(office: Office) -> None:
    fast, slow = office.a_run(), office.a_run()
    office.start(fast, "20/s")
    office.send(fast, 20)
    office.start(slow, "2/s")

    shared = office.send(fast, 10)
    assert shared[-1] - shared[0] >= 4
    office.end(slow)
    alone = office.send(fast, 20)
    assert alone[-1] - alone[0] <= 1.5


def test_a_run_that_an_operator_holds_binds_nobody_else(office: Office) -> None:
    fast, slow = office.a_run(), office.a_run()
    office.start(fast, "20/s")
    office.start(slow, "1/min")
    levers.obey(office.connection, _command(slow, Lever.PAUSE), office.now)

    moments = office.send(fast, 20)

    assert moments[-1] - moments[0] <= 1.5


def test_a_run_that_waits_for_its_window_binds_nobody_else_until_that_opens(office: Office) -> None:
    fast, slow = office.a_run(), office.a_run()
    office.start(fast, "20/s")
    office.start(slow, "2/s")
    for state, longest_seconds in ((RunState.SCHEDULED, 1.5), (RunState.RUNNING, 10.5)):
        office.connection.execute("update run set state = ? where id = ?", (state, slow))

        moments = office.send(fast, 20)

        assert longest_seconds - 1.5 <= moments[-1] - moments[0] <= longest_seconds


def test_an_operator_s_rate_binds_everybody_at_once(office: Office) -> None:
    first, second = office.a_run(), office.a_run()
    office.start(first, "20/s")
    office.start(second, "20/s")
    office.send(first, 5)
    levers.obey(office.connection, _command(second, Lever.RATE, "1/s"), office.now)

    moments = office.send(first, 4)

    assert moments[-1] - moments[0] >= 3


def test_an_operator_s_rate_for_a_run_that_nobody_sends_is_no_lease(office: Office) -> None:
    run = office.a_run()

    levers.obey(office.connection, _command(run, Lever.RATE, "1/s"), office.now)

    assert fetch_one(office.connection, "select count(*) from lease") == 0


def _command(run_id: int, lever: Lever, argument: str = "") -> Command:
    return Command(id=1, run_id=run_id, lever=lever, argument=argument, user="ops", given_at=NOW)


def test_other_accounts_have_rates_of_their_own(office: Office) -> None:
    ours, theirs = office.a_run(), office.a_run("second")
    office.start(ours, "1/h")
    office.start(theirs, "20/s")
    office.send(ours, 1)

    moments = office.send(theirs, 20)

    assert moments[-1] - moments[0] <= 1.5


def test_recipients_are_charged_by_their_number_over_all_runs(office: Office) -> None:
    first, second = office.a_run(), office.a_run()
    office.start(first, "20/s")
    office.start(second, "20/s", "1000/min")

    def at(run: int, recipients: int) -> float:
        while isinstance(claimed := office.claim(run, recipients), Later):
            office.now += claimed.seconds
        office.settle(office.made[-1])
        return office.now - NOW

    assert at(first, 600) == 0
    office.now = NOW + 10
    assert at(second, 400) == pytest.approx(10)
    assert at(first, 600) == pytest.approx(60, abs=0.01)
    assert at(second, 400) == pytest.approx(70, abs=0.01)


def test_a_chunk_that_another_run_s_recipients_never_allow_waits_for_that_run_s_end(office: Office) -> None:
    big, small = office.a_run(), office.a_run()
    office.start(big, "20/s")
    office.start(small, "20/s", "500/h")

    claimed = office.claim(big, 1000)

    assert isinstance(claimed, Later)
    assert claimed.seconds == arbiter.ASK_AGAIN_SECONDS
    office.end(small)
    assert isinstance(office.claim(big, 1000), Attempt)


def test_a_pause_is_for_every_sender_and_outlives_them(office: Office) -> None:
    first, second = office.a_run(), office.a_run()
    office.start(first, "20/s")
    leases.pause(office.connection, first, office.now + 30)
    leases.pause(office.connection, first, office.now + 10)
    office.end(first)
    office.start(second, "20/s")

    claimed = office.claim(second)

    assert isinstance(claimed, Later)
    assert claimed.seconds == pytest.approx(30)
    assert claimed.is_paused
    office.now += 30
    assert isinstance(office.claim(second), Attempt)


def test_a_sender_that_was_killed_binds_nobody_and_its_calls_end_when_that_is_noticed(office: Office) -> None:
    dead, alive = office.a_run(), office.a_run()
    office.start(dead, "1/min")
    office.claim(dead)
    office.kill(dead)
    office.now += 5
    office.start(alive, "2/s")

    moments = office.send(alive, 3)

    assert moments[0] == pytest.approx(NOW + 5)
    assert moments[1] == pytest.approx(NOW + 6, abs=0.01)  # the dead one's call ended just now, for all anybody knows
    assert fetch_one(office.connection, "select count(*) from attempt where ended_at is null") == 0


def test_a_call_under_way_holds_its_place_as_long_as_its_sender_lives(office: Office) -> None:
    first, second = office.a_run(), office.a_run()
    office.start(first, "1/s")
    office.claim(first)
    office.start(second, "1/s")
    office.now += 300

    claimed = office.claim(second)

    assert isinstance(claimed, Later)
    assert claimed.seconds == pytest.approx(1, abs=0.01)
    office.settle(office.made[0])
    assert isinstance(office.claim(second), Later)
    office.now += 1
    assert isinstance(office.claim(second), Attempt)


def test_two_senders_that_both_want_everything_share_evenly(office: Office) -> None:
    runs = [office.a_run(), office.a_run()]
    asks_at = {}
    for run in runs:
        office.start(run, "20/s")
        asks_at[run] = office.now
    got = dict.fromkeys(runs, 0)
    for _ in range(600):
        run = min(runs, key=lambda run: asks_at[run])
        office.now = max(office.now, asks_at[run])
        claimed = office.claim(run)
        if isinstance(claimed, Later):
            asks_at[run] = office.now + claimed.seconds
            continue
        got[run] += 1
        asks_at[run] = office.now + claimed.courtesy_seconds
        office.settle(office.made[-1])

    assert sum(got.values()) >= 200
    assert abs(got[runs[0]] - got[runs[1]]) <= 0.1 * sum(got.values())
    assert sum(got.values()) / (office.now - NOW) == pytest.approx(20, rel=0.05)


def test_who_sends_alone_need_not_let_anybody_come_first(office: Office) -> None:
    run = office.a_run()
    office.start(run, "20/s")

    claimed = office.claim(run)

    assert isinstance(claimed, Attempt)
    assert claimed.courtesy_seconds == 0


def test_every_question_is_answered_from_an_index(office: Office) -> None:
    run = office.a_run()
    office.start(run, "20/s", "1000/h")
    office.send(run, 3)
    asked: dict[str, Any] = {}

    def note(_cursor: apsw.Cursor, statement: str, bindings: Any) -> bool:
        asked[statement] = bindings
        return True

    office.connection.exec_trace = note
    office.send(run, 2)
    office.connection.exec_trace = None

    assert len(asked) > 5
    for statement, bindings in asked.items():
        plan = [row[3] for row in office.connection.execute(f"explain query plan {statement}", bindings)]
        assert not [step for step in plan if "SCAN attempt" in step or "SCAN chunk" in step], statement


def test_a_ledger_from_before_counts_the_calls_that_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    old = apsw.Connection(str(path))
    for number, sql in database.migrations():
        if number < 3:
            old.execute(sql)
    old.pragma("user_version", 2)
    old.execute("insert into account (id, origin, label) values (1, 'sandbox', 'default')")
    old.execute(
        """
        insert into run (id, name, key, campaign, account_id, state, message_fingerprint, created_at)
        values (1, 'run0', 'key', 'run0', 1, 'interrupted', '', 0)
        """
    )
    insert_chunk(old, 1, None, IdentifierKind.USERNAME, Part(recipients=people(0, 1), first=0))
    old.execute("delete from chunk_recipients")
    for seconds_ago, seconds in ((90, 1), (50, 5), (30, None), (20, 1)):
        values = (NOW - seconds_ago, seconds)
        old.execute("insert into attempt values (null, 1, 1, 1, 1, ?, ?, 202, 'accepted', '')", values)
    old.close()

    connection = database.connect(path)
    try:
        office = Office(path, connection, names={1: "run0"})
        office.start(1, "4/min")
        moments = office.send(1, 3)
        office.kill(1)
    finally:
        connection.close()

    # Of the four, the first is out of the window; the one whose end is not known counts from its beginning.
    assert moments == pytest.approx([NOW, NOW + 15, NOW + 30], abs=0.2)
