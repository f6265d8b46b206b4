"""What `status --watch` shows of a moment, on terminals of any width and in lines."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from sender.cli.watching import _Lines, _while_read, line, page
from sender.ledger import Failure
from sender.ledger.lock import Holder
from sender.outcome import RunState
from sender.report import AUDIENCE_COUNTS, CHUNK_STATES, RECIPIENT_STATES, Report
from sender.watch import Moment, Pause

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()
FAILURE = Failure(chunk_id=7, at=NOW - 2, recipients=1000, result="unknown", reason="HTTP 500: \x1b[2J out of order")
SENDER = Holder(host="mail-1", pid=4711, since=datetime(2026, 11, 22, 11, 59, tzinfo=UTC))


def report(state: RunState = RunState.RUNNING, **recipients: int) -> Report:
    counts: Mapping[str, int] = {**dict.fromkeys(RECIPIENT_STATES, 0), **recipients}
    return Report(
        run="spring",
        campaign="spring",
        account="default",
        state=state,
        audience=dict.fromkeys(AUDIENCE_COUNTS, 0),
        recipients={"planned": sum(counts.values()), **counts},
        chunks=dict.fromkeys(("planned", *CHUNK_STATES), 0),
        requests={"sent": 3, "retried": 0, "rate_limited": 0},
        elapsed_seconds=60.0,
    )


MOMENT = Moment(
    at=NOW,
    report=report(accepted=999_000, unknown=1000, pending=9_000_000),
    sender=SENDER,
    calls_per_second=9.75,
    rate_asked="10/s",
    seconds_left=920.0,
    pause=None,
    failures=(FAILURE,),
)
PAUSED = replace(MOMENT, pause=Pause(until=NOW + 30, reason="HTTP 429: too many calls"))


def shown(moment: Moment, width: int) -> str:
    console = Console(file=StringIO(), width=width, soft_wrap=True, markup=False, highlight=False, record=True)
    console.print(page(moment), soft_wrap=False)
    return console.export_text()


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_page_fits_every_width_and_loses_nothing(width: int) -> None:
    text = shown(PAUSED, width)

    assert max(cell_len(row) for row in text.splitlines()) <= width
    letters = "".join(text.split())
    for fact in ("1,000,000of10,000,000recipients", "(10%)", "9.8calls/s,asked10/s", "about15min20s", "4711"):
        assert fact in letters
    for fact in ("9,000,000", "30smore:HTTP429:toomanycalls", "unknown(chunk7,1,000recipients):HTTP500:"):
        assert fact in letters


def test_what_the_api_says_steers_no_terminal() -> None:
    assert "\x1b" not in shown(MOMENT, 80)
    assert "\x1b" not in line(MOMENT)


def test_a_hundred_percent_is_everybody() -> None:
    assert "(99 %)" in shown(replace(MOMENT, report=report(accepted=9_999, pending=1)), 80)
    assert "(100 %)" in shown(replace(MOMENT, report=report(accepted=10_000)), 80)
    assert "(100 %)" in shown(replace(MOMENT, report=report()), 80)


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        (PAUSED, "30 s more: HTTP 429: too many calls"),
        (replace(MOMENT, report=report(RunState.PAUSED)), "by an operator; `campaign resume spring` lifts that"),
        (replace(MOMENT, sender=replace(SENDER, stopped=True)), "its sender is stopped; `kill -CONT 4711` wakes it"),
        (replace(MOMENT, report=replace(report(RunState.STOPPED), reason="HTTP 401")), "HTTP 401"),
    ],
    ids=["account", "operator", "stopped", "reason"],
)
def test_whatever_holds_a_run_up_is_said(moment: Moment, sentence: str) -> None:
    assert sentence in shown(moment, 200)
    assert sentence in line(moment)


def test_slow_calls_are_told_a_minute() -> None:
    assert "rate     30 calls/min, asked 500/h" in shown(replace(MOMENT, calls_per_second=0.5, rate_asked="500/h"), 80)


def test_lines_come_when_something_happens_and_else_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _Lines()

    def printed(moment: Moment) -> int:
        lines(moment)
        return len(capsys.readouterr().out.splitlines())

    further = replace(MOMENT, report=report(accepted=2_000_000, pending=8_000_000))
    assert printed(MOMENT) == 1
    assert printed(replace(further, at=NOW + 1)) == 0
    assert printed(replace(further, at=NOW + 10)) == 1
    assert printed(replace(further, at=NOW + 60)) == 0
    assert printed(replace(further, at=NOW + 61, pause=PAUSED.pause)) == 1
    assert printed(replace(further, at=NOW + 62, pause=PAUSED.pause)) == 0
    assert printed(replace(further, at=NOW + 63, failures=(replace(FAILURE, at=NOW + 63), FAILURE))) == 1
    assert printed(replace(further, at=NOW + 64, sender=None, report=report(RunState.COMPLETED))) == 1


def test_a_reader_that_has_gone_ends_the_watching_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    told: list[Moment] = []
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        show = _while_read(told.append)
        show(MOMENT)
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            show(MOMENT)
    assert told == [MOMENT]
