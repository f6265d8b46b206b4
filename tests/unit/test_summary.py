"""What a command found -> Markdown, read back as a browser shows it, and a step's outputs."""

import html
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from campaigns.errors import CampaignFileError, Place, Problem
from sender.diagnosis import diagnose
from sender.errors import SendingStopped
from sender.outcome import RunState
from sender.preview import Checked, Preview
from sender.report import AUDIENCE_COUNTS, CHUNK_STATES, RECIPIENT_STATES, Report
from sender.summary import (
    MAX_CHARACTERS,
    MAX_LISTED,
    code_span,
    in_words,
    of_check,
    of_failure,
    of_preview,
    of_report,
    output_lines,
    report_outputs,
)

HOSTILE = "</code><script>x</script> ``[a](http://b) @team #1 | `\n\n# big"
TAGS = {"h3", "p", "code", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}


def rendered(text: str) -> str:
    page: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    return page


def a_report(state: RunState = RunState.COMPLETED, *, reason: str = "", run: str = "spring", **counts: int) -> Report:
    recipients = {"planned": sum(counts.values()), **{name: counts.get(name, 0) for name in RECIPIENT_STATES}}
    return Report(
        run=run,
        campaign="spring",
        account="default",
        state=state,
        audience={**dict.fromkeys(AUDIENCE_COUNTS, 0), "rows": 3000, "kept": 2999, "invalid": 1},
        recipients=recipients,
        chunks={"planned": 3, **dict.fromkeys(CHUNK_STATES, 0), "accepted": 3},
        requests={"sent": 4, "retried": 1, "rate_limited": 0},
        elapsed_seconds=5.0,
        reason=reason,
    )


def a_preview(planned: int = 2999) -> Preview:
    return Preview(
        campaign=HOSTILE,
        account=HOSTILE,
        message_type="text",
        audience={"rows": 3000, "kept": planned, "invalid": 1},
        recipients={"id": planned, "username": 0},
        calls={"id": 3, "username": 0},
        seconds=1.0,
        unusable_exclusions=(),
    )


@given(st.text(max_size=200) | st.text("` \n|\\<&", max_size=20))
def test_a_code_span_shows_any_text_and_nothing_in_it_is_markup(text: str) -> None:
    shown = rendered(f"- {code_span(text)}, x")

    found = re.fullmatch(r"<ul>\n<li><code>([^<]*)</code>, x</li>\n</ul>\n", shown)
    assert found, shown
    line = "".join(character if character.isprintable() else " " for character in text)
    assert html.unescape(found[1]).strip() == line.strip()


def test_a_long_text_is_cut() -> None:
    assert len(code_span("x" * 10_000)) == MAX_CHARACTERS + len("`…`")


@pytest.mark.parametrize(
    "text",
    [
        of_report(a_report(reason=HOSTILE, run=HOSTILE, accepted=1), 0),
        of_preview(a_preview(), HOSTILE),
        of_check([Checked(file=HOSTILE, problems=(HOSTILE,)), Checked(file=HOSTILE, preview=a_preview())], 2),
        of_failure("send", diagnose(SendingStopped(HOSTILE))),
    ],
    ids=["report", "preview", "check", "failure"],
)
def test_what_others_have_written_is_no_markup_anywhere(text: str) -> None:
    shown = rendered(text)

    assert set(re.findall(r"<(\w+)", shown)) <= TAGS
    assert "@team" not in re.sub(r"<code>[^<]*</code>", "", shown)


def test_a_report_has_every_number_that_is_not_zero_and_says_accepted() -> None:
    text = of_report(a_report(accepted=2990, not_found=4, rejected=5), 3)

    assert text.startswith("### campaign send: `spring` completed\n")
    assert "| planned | 2,999 |\n| accepted | 2,990 |\n| not found | 4 |\n| rejected | 5 |\n" in text
    assert "| unknown |" not in text
    assert "3 chunks, 4 calls (1 repeated, 0 rate-limited), 5.0 s." in text
    assert "delivered" not in text
    assert "`campaign report spring --format csv --state rejected` tells who and why" in text
    assert text.endswith("(Exit code 3.)\n")


def test_a_rehearsal_says_so_and_names_its_own_commands() -> None:
    text = of_report(a_report(accepted=1, unknown=1), 3, sandbox=True)

    assert "nobody was written to" in text
    assert "`campaign resolve spring --inspect --sandbox`" in text


@pytest.mark.parametrize(
    ("report", "code", "words"),
    [
        (a_report(accepted=2), 0, "spring completed. Nothing is left to do."),
        (a_report(RunState.INTERRUPTED, accepted=1, pending=2), 0, "2 recipients pending: the same command, without "),
        (a_report(RunState.INTERRUPTED, rejected=1, pending=2), 3, "2 recipients pending: the same command, without "),
        (a_report(RunState.PAUSED, pending=2), 0, "`campaign resume spring`, then the same command goes on."),
        (
            a_report(RunState.STOPPED, reason="HTTP 401", pending=2),
            4,
            "spring stopped: HTTP 401. See to the reason fir",
        ),
        (a_report(RunState.INTERRUPTED, pending=1), 143, "1 recipient pending: the same command, with the same ledger"),
        (a_report(RunState.CANCELLED, accepted=1, cancelled=1), 3, "1 recipient cancelled, who get nothing."),
        (a_report(unknown=1200), 3, "1,200 recipients unknown, who may have got it: `campaign resolve spring"),
        (a_report(accepted=1), 1, "The numbers do not add up, which is a bug"),
    ],
)
def test_what_to_do_next_follows_from_how_it_ended(report: Report, code: int, words: str) -> None:
    assert words in in_words(report, code)
    assert words.partition(". ")[2] in of_report(report, code)


def test_a_plan_says_how_to_send_just_that() -> None:
    assert "`campaign send 'my file.yaml' --expect 2999` sends it." in of_preview(a_preview(), "my file.yaml")
    assert "Nobody is left to send to." in of_preview(a_preview(0), "spring.yaml")


def test_a_check_lists_every_file_and_counts_those_that_are_not_ok() -> None:
    good, bad = Checked(file="a.yaml", preview=a_preview()), Checked(file="b.yaml", problems=("b.yaml:1:1: no",))

    assert of_check([good], 0).startswith("### campaign check: 1 file ok\n")
    assert "- `a.yaml`: ok, 2,999 recipients, 1 rejected row\n" in of_check([good, bad], 2)
    assert "- `b.yaml`: **not ok**\n  - `b.yaml:1:1: no`\n" in of_check([good, bad], 2)
    assert of_check([good, bad], 2).startswith("### campaign check: 1 file of 2 can't be sent\n")


def test_a_summary_stays_below_what_github_takes_and_says_what_it_leaves_out() -> None:
    problem = Problem(place=Place(file="x" * 1000, line=1, column=1), message="ō" * 1000)

    text = of_failure("send", diagnose(CampaignFileError([problem] * 1000)))

    assert len(text.encode()) < 1024 * 1024
    assert f"- and {1000 - MAX_LISTED} more\n" in text


def test_an_output_is_one_line_each_and_the_document_is_the_printed_one() -> None:
    report = a_report(RunState.STOPPED, reason='two\nlines, ō, \udcef "', accepted=1)

    lines = output_lines(report_outputs(report, 4)).splitlines()

    assert lines[:4] == ["exit-code=4", "state=stopped", "recipients=1", "accepted=1"]
    name, _, document = lines[4].partition("=")
    read: Any = json.loads(document)
    assert (name, read, len(lines)) == ("json", report.as_json(), 5)


def test_an_output_that_is_too_long_or_no_line_is_left_out() -> None:
    assert output_lines({"json": ["x" * 300_000], "state": "a\nb=c", "exit-code": 0}) == "exit-code=0\n"
