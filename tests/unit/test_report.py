"""Totals -> the numbers that are printed and the exit code that they mean."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.ledger import Plan, Run, Totals
from sender.outcome import ChunkState, RunState
from sender.report import (
    CHUNK_STATES,
    RECIPIENT_STATES,
    Ended,
    exit_code,
    limit_reached,
    make_report,
    nothing_left,
    spelled,
)

LEAVES = [state for state in ChunkState if state is not ChunkState.SPLIT]


def a_run(
    state: RunState = RunState.COMPLETED, *, planned: int = 10, since: float | None = None, elapsed: float = 0.0
) -> Run:
    plan = Plan(
        audience_fingerprint="f",
        sources=(),
        exclusions=(),
        counts={"rows": 12, "kept": 10, "invalid": 2},
        planned=planned,
    )
    return Run(
        id=1,
        name="spring+2",
        key="k",
        campaign="spring",
        account_id=1,
        origin="https://api.example.com",
        account="default",
        state=state,
        message_fingerprint="m",
        audience_spec="a",
        plan=plan,
        content=None,
        created_at=0.0,
        session_started_at=since,
        elapsed_seconds=elapsed,
        ended_at=None,
        reason="",
    )


def totals(**recipients: int) -> Totals:
    """Totals with so many recipients in each state, a chunk for each state that has any."""
    missing = recipients.pop("not_found", 0)
    by_state = {ChunkState(name): count for name, count in recipients.items()}
    if missing:
        by_state[ChunkState.ACCEPTED] = by_state.get(ChunkState.ACCEPTED, 0) + missing
    return Totals(chunks=dict.fromkeys(by_state, 1), recipients=by_state, not_found=missing, attempts=len(by_state))


def test_the_json_document_is_the_documented_one() -> None:
    run = a_run(RunState.RUNNING, since=100.0, elapsed=2.5)

    document = make_report(run, totals(accepted=6, not_found=1, pending=3), now=101.23456).as_json()

    assert document == {
        "run": "spring+2",
        "campaign": "spring",
        "account": "default",
        "state": "running",
        "audience": {
            "rows": 12,
            "kept": 10,
            "invalid": 2,
            "duplicates": 0,
            "excluded": 0,
            "filtered": 0,
            "already_planned": 0,
        },
        "recipients": {
            "planned": 10,
            "accepted": 6,
            "not_found": 1,
            "rejected": 0,
            "unknown": 0,
            "assumed_sent": 0,
            "cancelled": 0,
            "pending": 3,
            "sending": 0,
        },
        "chunks": {
            "planned": 2,
            "accepted": 1,
            "rejected": 0,
            "unknown": 0,
            "assumed_sent": 0,
            "cancelled": 0,
            "pending": 1,
            "sending": 0,
        },
        "requests": {"sent": 2, "retried": 0, "rate_limited": 0},
        "elapsed_seconds": 3.735,
    }


def test_why_it_stopped_is_said_only_when_there_is_something_to_say() -> None:
    stopped = replace(a_run(RunState.STOPPED), reason="HTTP 401: bad token")

    assert make_report(stopped, totals(pending=10), now=0.0).as_json()["reason"] == "HTTP 401: bad token"
    assert "reason" not in make_report(a_run(), totals(accepted=10), now=0.0).as_json()


def test_a_clock_that_went_back_takes_no_time_away() -> None:
    report = make_report(a_run(since=500.0, elapsed=7.0), totals(accepted=10), now=400.0)

    assert report.elapsed_seconds == 7.0


@given(
    counts=st.dictionaries(st.sampled_from(LEAVES), st.integers(0, 5000)),
    share=st.floats(0, 1),
    wrong_by=st.sampled_from([0, 0, 1, -1]),
)
def test_a_report_reconciles_exactly_when_every_planned_recipient_is_in_one_state(
    counts: dict[ChunkState, int], share: float, wrong_by: int
) -> None:
    missing = int(counts.get(ChunkState.ACCEPTED, 0) * share)
    found = Totals(recipients=counts, not_found=missing)
    planned = sum(counts.values()) + wrong_by

    report = make_report(a_run(planned=planned), found, now=0.0)

    assert report.reconciles is (wrong_by == 0)
    assert sum(report.recipients[state] for state in RECIPIENT_STATES) == sum(counts.values())
    assert report.recipients["accepted"] + report.recipients["not_found"] == counts.get(ChunkState.ACCEPTED, 0)
    assert report.recipients["accepted"] >= 0
    undecided = counts.get(ChunkState.PENDING, 0) + counts.get(ChunkState.SENDING, 0)
    assert report.decided == planned - undecided


@pytest.mark.parametrize(
    ("state", "recipients", "options", "code"),
    [
        (RunState.COMPLETED, {"accepted": 10}, {}, 0),
        (RunState.COMPLETED, {"accepted": 8, "not_found": 2}, {}, 0),
        (RunState.COMPLETED, {"accepted": 8, "not_found": 2}, {"strict": True}, 3),
        (RunState.COMPLETED, {"accepted": 10}, {"strict": True}, 0),
        (RunState.COMPLETED, {"accepted": 9, "assumed_sent": 1}, {}, 0),
        (RunState.COMPLETED, {"accepted": 9, "rejected": 1}, {}, 3),
        (RunState.COMPLETED, {"accepted": 9, "unknown": 1}, {}, 3),
        (RunState.COMPLETED, {"accepted": 9, "cancelled": 1}, {}, 3),
        (RunState.STOPPED, {"accepted": 1, "pending": 9}, {}, 4),
        (RunState.STOPPED, {"accepted": 1, "pending": 9}, {"signal": 2}, 4),
        (RunState.INTERRUPTED, {"accepted": 1, "pending": 9}, {"signal": 2}, 130),
        (RunState.INTERRUPTED, {"accepted": 1, "pending": 9}, {"signal": 15}, 143),
        (RunState.INTERRUPTED, {"accepted": 1, "pending": 9}, {}, 0),  # --limit
        (RunState.COMPLETED, {"accepted": 10}, {"signal": 2}, 0),
        (RunState.COMPLETED, {"accepted": 9}, {}, 1),
        (RunState.STOPPED, {"accepted": 11}, {"signal": 2}, 1),
    ],
)
def test_the_exit_code_says_how_a_send_ended(
    state: RunState, recipients: dict[str, int], options: dict[str, int], code: int
) -> None:
    report = make_report(a_run(state), totals(**recipients), now=0.0)

    assert exit_code(report, **options) == code  # type: ignore[arg-type]  # a table of both options


def test_a_send_that_came_to_its_limit_says_how_many_are_left_and_how_to_go_on() -> None:
    report = make_report(a_run(RunState.INTERRUPTED), totals(accepted=1, pending=9), now=0.0)

    said = "The plan's first recipient is done, with 9 pending: the same command without --limit goes on."
    assert limit_reached(report, 1) == nothing_left(report, 1) == said
    assert limit_reached(report, 1500).startswith("The plan's first 1,500 recipients are done, with 9 pending: ")
    assert Ended(report=report).is_at_limit
    assert not Ended(report=report, signal=2).is_at_limit
    for state in (RunState.STOPPED, RunState.PAUSED, RunState.COMPLETED):
        assert not Ended(report=replace(report, state=state)).is_at_limit


def test_the_states_of_a_report_are_those_of_the_leaves() -> None:
    assert set(CHUNK_STATES) == set(LEAVES)
    assert set(RECIPIENT_STATES) == {*LEAVES, "not_found"}


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 recipients"), (1, "1 recipient"), (2, "2 recipients"), (2500, "2,500 recipients")]
)
def test_counts_are_spelled_for_people(count: int, words: str) -> None:
    assert spelled(count, "recipient") == words
