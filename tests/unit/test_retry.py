"""What follows from an outcome: the pure part of patience."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.outcome import ChunkState, Outcome, Then
from sender.retry import GoOn, History, Pause, Policy, Probe, Stop, Tally, backoff_seconds, decide

UNTOUCHED = Outcome(chunk=ChunkState.PENDING, then=Then.BACK_OFF, reason="no connection")
ACCEPTED = Outcome(chunk=ChunkState.ACCEPTED, status=202)

moments = st.floats(0, 1e7)
spans = st.floats(0, 1e5)
draws = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    Policy,
    max_wait_seconds=st.floats(1, 1e5),
    base_seconds=st.floats(0.001, 10),
    cap_seconds=st.floats(0.001, 1000),
)
waiting = st.builds(
    Outcome,
    chunk=st.just(ChunkState.PENDING),
    then=st.sampled_from([Then.BACK_OFF, Then.WAIT]),
    reason=st.just("the API's words"),
    retry_after_seconds=st.none() | st.floats(0, 1e6),
)


def told(seconds: float | None) -> Outcome:
    return Outcome(
        chunk=ChunkState.PENDING,
        then=Then.WAIT,
        status=429,
        reason="HTTP 429: slow down",
        retry_after_seconds=seconds,
    )


@given(waiting, st.integers(1, 2000), moments, spans, policies, draws)
def test_no_pause_is_longer_than_max_wait_and_none_begins_that_would_end_too_late(
    outcome: Outcome, failures: int, since: float, idle: float, policy: Policy, random: float
) -> None:
    history = History(failures=failures, failing_since=since)

    match decide(outcome, history, policy, now=since + idle, random=random):
        case Pause(seconds=seconds, reason=reason):
            assert 0 <= seconds <= policy.max_wait_seconds
            assert (since + idle) - since + seconds <= policy.max_wait_seconds
            assert reason == outcome.reason
            if outcome.retry_after_seconds is not None:
                assert seconds == outcome.retry_after_seconds
        case Stop(reason=reason):
            assert "max_wait" in reason
        case GoOn() | Probe():
            pytest.fail("a call that was not processed is never simply gone on from")


@given(st.floats(0, 3600), draws)
def test_a_told_wait_is_kept_to_the_second_whatever_the_dice(seconds: float, random: float) -> None:
    history = History().after(told(seconds), 1000.0)

    assert decide(told(seconds), history, Policy(), now=1000.0, random=random) == Pause(
        seconds=seconds, reason="HTTP 429: slow down"
    )


@given(st.integers(0, 5000), draws, policies)
def test_backoff_is_drawn_between_nothing_and_a_bound_that_doubles_up_to_the_cap(
    failures: int, random: float, policy: Policy
) -> None:
    seconds = backoff_seconds(failures, policy, random)

    assert 0 <= seconds <= policy.cap_seconds
    assert seconds <= policy.base_seconds * 2.0 ** min(max(failures - 1, 0), 100)
    assert backoff_seconds(failures, policy, 0.0) == 0
    assert backoff_seconds(failures, policy, random) <= backoff_seconds(failures + 1, policy, random)


def test_the_bounds_of_the_backoff_are_these() -> None:
    bounds = [backoff_seconds(failures, Policy(), 1.0) for failures in range(1, 10)]

    assert bounds == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@given(draws, st.integers(1, 50))
def test_jitter_is_full_and_proportional_to_the_draw(random: float, failures: int) -> None:
    assert backoff_seconds(failures, Policy(), random) == pytest.approx(
        random * backoff_seconds(failures, Policy(), 1.0)
    )


def test_a_wait_longer_than_max_wait_stops_and_says_when_to_come_back() -> None:
    decision = decide(told(7200), History(failures=1, failing_since=5.0), Policy(), now=5.0, random=0.5)

    assert decision == Stop(
        reason="the API asks to wait for 7200 s, longer than max_wait (3600 s): start the same command again after that"
    )


def test_a_wait_of_exactly_max_wait_is_sat_through() -> None:
    decision = decide(told(3600), History(failures=1, failing_since=5.0), Policy(), now=5.0, random=0.5)

    assert decision == Pause(seconds=3600, reason="HTTP 429: slow down")


def test_no_progress_for_max_wait_stops_with_the_last_word() -> None:
    decision = decide(UNTOUCHED, History(failures=9, failing_since=100.0), Policy(), now=3690.0, random=0.5)

    assert decision == Stop(reason="no progress for 3590 s, and max_wait is 3600 s; the last word was: no connection")


def test_what_a_person_has_to_see_stops_with_the_apis_words() -> None:
    outcome = Outcome(chunk=ChunkState.PENDING, then=Then.STOP, status=401, reason="HTTP 401: bad token")

    assert decide(outcome, History().after(outcome, 1.0), Policy(), now=1.0, random=0.0) == Stop(
        reason="HTTP 401: bad token"
    )


@given(st.sampled_from([ChunkState.ACCEPTED, ChunkState.REJECTED, ChunkState.UNKNOWN]), moments, policies, draws)
def test_what_was_decided_is_gone_on_from_whatever_came_before(
    chunk: ChunkState, now: float, policy: Policy, random: float
) -> None:
    history = History(failures=20, failing_since=0.0)

    assert decide(Outcome(chunk=chunk), history, policy, now=now, random=random) == GoOn()


def test_failures_in_a_row_are_counted_from_the_first() -> None:
    history = History()
    for now in (100.0, 103.0, 109.0):
        history = history.after(UNTOUCHED, now)

    assert history == History(failures=3, failing_since=100.0)


@given(st.lists(st.tuples(st.sampled_from(list(ChunkState)), moments), max_size=20))
def test_the_history_is_that_of_the_calls_since_the_last_clear_answer(calls: list[tuple[ChunkState, float]]) -> None:
    history = History()
    for chunk, now in calls:
        history = history.after(Outcome(chunk=chunk), now)

    tail: list[tuple[ChunkState, float]] = []
    for chunk, now in calls:
        tail = [*tail, (chunk, now)] if chunk in (ChunkState.PENDING, ChunkState.UNKNOWN) else []
    states = [chunk for chunk, _ in tail]
    assert history == History(
        failures=states.count(ChunkState.PENDING),
        unknowns=states.count(ChunkState.UNKNOWN),
        failing_since=tail[0][1] if tail else 0.0,
    )


def test_the_third_unknown_in_a_row_asks_the_api_how_it_is() -> None:
    unknown = Outcome(chunk=ChunkState.UNKNOWN, status=500, reason="HTTP 500")
    history, decisions = History(), list[object]()
    for now in range(4):
        history = history.after(unknown, now)
        decisions.append(decide(unknown, history, Policy(), now=now, random=0.5))

    assert decisions == [GoOn(), GoOn(), Probe(reason="HTTP 500"), Probe(reason="HTTP 500")]
    assert decide(ACCEPTED, history.after(ACCEPTED, 9), Policy(), now=9, random=0.5) == GoOn()


@given(st.lists(st.tuples(st.sampled_from(list(ChunkState)), st.integers(0, 1000)), max_size=20))
def test_a_run_stops_when_more_are_rejected_than_the_bound_and_the_share_allow(
    calls: list[tuple[ChunkState, int]],
) -> None:
    tally = Tally()
    for state, recipients in calls:
        tally = tally.after(state, recipients)

    decided = sum(recipients for _, recipients in calls)
    rejected = sum(recipients for state, recipients in calls if state is ChunkState.REJECTED)
    accepted = sum(recipients for state, recipients in calls if state is ChunkState.ACCEPTED)
    assert tally == Tally(accepted=accepted, rejected=rejected, decided=decided)
    assert (tally.too_many_rejected(Policy()) is not None) is (rejected > 50 and rejected > decided * 0.05)


def test_what_stops_a_run_of_rejections_says_how_many_and_where_to_look() -> None:
    words = Tally(accepted=0, rejected=1051, decided=1100).too_many_rejected(Policy())

    assert words is not None
    assert words.startswith("1,051 of 1,100 recipients were rejected, more than delivery.max_rejected allows: ")


@pytest.mark.parametrize("seconds", [None, 0.0, 30.0])
def test_a_429_that_shows_signs_of_acceptance_is_waited_for_like_any_other(seconds: float | None) -> None:
    uptime = 1e6  # seconds since this machine was started, which is what a monotonic clock counts from
    outcome = Outcome(
        chunk=ChunkState.UNKNOWN, then=Then.WAIT, status=429, reason="HTTP 429", retry_after_seconds=seconds
    )
    history = History().after(ACCEPTED, uptime - 1).after(outcome, uptime)

    assert isinstance(decide(outcome, history, Policy(), now=uptime, random=0.5), Pause)
