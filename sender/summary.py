"""What a command found -> the Markdown of a step's summary, and its outputs. Pure.

Whatever others have written (names, paths, the API's words) stands in code spans, where nothing is markup, a link or
a mention. Everything is bounded: GitHub drops a summary of more than 1 MiB.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from sender.diagnosis import BUG, Diagnosis
from sender.outcome import RunState
from sender.preview import Checked, Preview
from sender.report import Report, duration, spelled

MAX_LISTED = 200
MAX_CHARACTERS = 500
MAX_OUTPUT_CHARACTERS = 256 * 1024  # of all outputs of a job GitHub takes 1 MiB
FAILURES = {
    2: "Nothing was sent by this call. Mend this, and call it again.",
    4: "See to this first; the same command goes on where it stopped.",
    5: "Nothing was sent by this call. Wait until that sender is done.",
    6: "Nothing was sent by this call.",
    7: "A fault of the machine. See to it first; the same command goes on, with the same ledger.",
}


def of_report(report: Report, code: int, *, sandbox: bool = False) -> str:
    """How a `send` ended that came as far as a report; `code` is its exit code."""
    calls = report.requests
    lines = [
        f"### campaign send: {code_span(report.run)} {report.state}",
        *(["**A rehearsal: all of it went to a stand-in API, nobody was written to.**"] if sandbox else []),
        *([code_span(report.reason)] if report.reason else []),
        _table("recipients", report.recipients, first="planned"),
        _table("audience", report.audience, first="rows"),
        f"{spelled(report.chunks['planned'], 'chunk')}, {spelled(calls['sent'], 'call')} ({calls['retried']:,} "
        f"repeated, {calls['rate_limited']:,} rate-limited), {duration(report.elapsed_seconds)}. Accepted means that "
        "Inrō took the message on; only active contacts receive it.",
        _next(what_next(report, code, sandbox=sandbox), code),
    ]
    return _paragraphs(lines)


def of_preview(preview: Preview, file: str) -> str:
    """What a `plan` of that file found."""
    by_kind = {f"by {kind}": number for kind, number in preview.recipients.items()}
    send = f"campaign send {shlex.quote(file)} --expect {preview.planned}"
    lines = [
        f"### campaign plan: {code_span(preview.campaign)}",
        f"{preview.message_type.capitalize()}, account {code_span(preview.account)}. Nothing was sent.",
        _table("recipients", {"planned": preview.planned, **by_kind}, first="planned"),
        _table("audience", preview.audience, first="rows"),
        f"{spelled(sum(preview.calls.values()), 'call')}, at least {duration(preview.seconds)} at this rate.",
        _next(f"{code_span(send)} sends it." if preview.planned else "Nobody is left to send to.", 0),
    ]
    return _paragraphs(lines)


def of_check(checked: Sequence[Checked], code: int) -> str:
    """What a `check` of these files found."""
    bad = sum(1 for each in checked if each.problems)
    verdict = f"{spelled(bad, 'file')} of {len(checked):,} can't be sent" if bad else f"{_all(len(checked))} ok"
    total = sum(1 + len(each.problems) for each in checked)
    then = "Mend what is not ok, and check again." if bad else "`campaign plan FILE` shows who would get it."
    return _paragraphs([f"### campaign check: {verdict}", _listed(_checked(checked), total), _next(then, code)])


def of_failure(command: str, found: Diagnosis) -> str:
    """The error that ended a command."""
    lines = (f"- {code_span(str(finding))}" for finding in found.findings)
    then = FAILURES.get(found.exit_code, "The same command goes on, with the same ledger.")
    if found.exit_code == BUG:
        then = "Please report the traceback in the log. The ledger knows what was sent: the same command goes on."
    return _paragraphs(
        [f"### campaign {command}: failed", _listed(lines, len(found.findings)), _next(then, found.exit_code)]
    )


def in_words(report: Report, code: int, *, sandbox: bool = False) -> str:
    """How a `send` ended, and what to do next, in a few sentences."""
    reason = f": {report.reason}" if report.reason else ""
    return f"{report.run} {report.state}{reason}. {what_next(report, code, sandbox=sandbox)}"


def report_outputs(report: Report, code: int) -> dict[str, object]:
    """A step's outputs after a `send`."""
    return {
        "exit-code": code,
        "state": str(report.state),
        "recipients": report.recipients["planned"],
        "accepted": report.recipients["accepted"],
        "json": report.as_json(),
    }


def what_next(report: Report, code: int, *, sandbox: bool = False) -> str:
    """What a person does after a `send` that ended so."""
    flag = " --sandbox" if sandbox else ""
    counts, run = report.recipients, shlex.quote(report.run)
    found = [
        (
            counts["rejected"],
            f"rejected, {code_span(f'campaign report {run} --format csv --state rejected{flag}')} tells who and why",
        ),
        (
            counts["unknown"],
            f"unknown, who may have got it: {code_span(f'campaign resolve {run} --inspect{flag}')}, then decide",
        ),
        (counts["cancelled"], "cancelled, who get nothing"),
        (counts["not_found"], "not found among the account's contacts"),
    ]
    sentences = [f"{spelled(number, 'recipient')} {words}." for number, words in found if number]
    if code == BUG:
        sentences.insert(0, "The numbers do not add up, which is a bug: please report it.")
    if counts["pending"]:
        sentences.append(_pending(report, code, flag))
    return " ".join(sentences) or "Nothing is left to do."


def _pending(report: Report, code: int, flag: str) -> str:
    pending = spelled(report.recipients["pending"], "recipient")
    if report.state is RunState.PAUSED:
        resume = code_span(f"campaign resume {shlex.quote(report.run)}{flag}")
        return f"{pending} pending: {resume}, then the same command goes on."
    if code == 4:
        return f"See to the reason first; then the same command, with the same ledger, goes on with {pending}."
    without = ", without --limit" if code in (0, 3) else ""
    return f"{pending} pending: the same command{without}, with the same ledger, goes on."


def output_lines(outputs: Mapping[str, object]) -> str:
    """The outputs as GITHUB_OUTPUT takes them, a line each; what is no text or number becomes JSON, if not too long."""
    lines = []
    for name, value in outputs.items():
        text = value if isinstance(value, str) else json.dumps(value)  # which has no line break, and is ASCII
        if len(text) <= MAX_OUTPUT_CHARACTERS and text.isprintable():
            lines.append(f"{name}={text}\n")
    return "".join(lines)


def code_span(text: str) -> str:
    """Any text as a code span: in one line, bounded, and delimited by more backticks than it has in a row."""
    cut = f"{text[:MAX_CHARACTERS]}…" if len(text) > MAX_CHARACTERS else text
    line = "".join(character if character.isprintable() else " " for character in cut)
    ticks = "`" * (max(map(len, re.findall("`+", line)), default=0) + 1)
    # Of a span that begins and ends with a space, Markdown drops both; a backtick at an end would join the others.
    pad = " " if {line[:1], line[-1:]} & {"", " ", "`"} else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _table(title: str, counts: Mapping[str, int], *, first: str) -> str:
    """The first count, and those of the others that are not zero."""
    shown = [name for name in counts if name == first or counts[name]]
    rows = [f"| {name.replace('_', ' ')} | {counts[name]:,} |" for name in shown]
    return "\n".join([f"| {title} | |", "|:--|--:|", *rows])


def _next(text: str, code: int) -> str:
    return f"**Next:** {text} (Exit code {code}.)"


def _all(count: int) -> str:
    return "1 file" if count == 1 else f"all {count:,} files"


def _checked(checked: Sequence[Checked]) -> Iterator[str]:
    for each in checked:
        yield f"- {code_span(each.file)}: {'**not ok**' if each.problems else each.verdict}"
        yield from (f"  - {code_span(problem)}" for problem in each.problems)


def _listed(lines: Iterable[str], total: int) -> str:
    """The first lines, and how many there are beyond them."""
    more = total - MAX_LISTED
    return "\n".join([*islice(lines, MAX_LISTED), *([f"- and {more:,} more"] if more > 0 else [])])


def _paragraphs(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"
