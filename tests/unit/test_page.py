"""The page of a run: its time, its chart, its words, and what others can not do to it."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.model import Rate
from sender.ledger import Bucket, Command, Latency, Reason, Span, StoredSession
from sender.outcome import ChunkState, Lever, RunState
from sender.page import words
from sender.page.axis import CLOSEST
from sender.page.chart import NARROW, WIDE, Size, make_chart, nice_levels, too_high
from sender.page.facts import MOST_ROWS, Facts, Listed
from sender.page.render import render
from sender.page.timeline import MOST_BUCKETS, MOST_STRETCHES, bucket_seconds, folded, make_timeline
from sender.report import AUDIENCE_COUNTS, CHUNK_STATES, RECIPIENT_STATES, Report
from sender.tables import ReportRow

NOW = 1_800_000_000.0
NASTY = "<script>alert('1')</script>\x00\x1b[31m\u202eevil\ud800 \"quoted\" & {{ 7 * 7 }} &lt;b&gt;"


def a_session(start: float, end: float | None, rate: str | None = "2/s", *, is_open: bool = False) -> StoredSession:
    return StoredSession(
        started_at=NOW + start, ended_at=None if end is None else NOW + end, rate=rate, is_open=is_open
    )


def a_lever(lever: Lever, at: float, argument: str = "") -> Command:
    return Command(id=1, run_id=1, lever=lever, argument=argument, user="ann", given_at=0, obeyed_at=NOW + at)


def a_bucket(place: int, calls: int, *, stretch: int = 0, accepted: int | None = None, limited: int = 0) -> Bucket:
    accepted = calls - limited if accepted is None else accepted
    return Bucket(stretch=stretch, place=place, calls=calls, accepted=accepted, rate_limited=limited)


def a_report(state: RunState = RunState.COMPLETED, *, reason: str = "", **recipients: int) -> Report:
    return Report(
        run="spring",
        campaign=NASTY,
        account="default",
        state=state,
        audience=dict.fromkeys(AUDIENCE_COUNTS, 0),
        recipients={
            "planned": sum(recipients.values()),
            **{state: recipients.get(state, 0) for state in RECIPIENT_STATES},
        },
        chunks=dict.fromkeys(("planned", *CHUNK_STATES), 0),
        requests={"sent": 5, "retried": 0, "rate_limited": 0},
        elapsed_seconds=3.0,
        reason=reason,
    )


def some_facts(report: Report, *listed: Listed, origin: str = "https://api.example.com") -> Facts:
    return Facts(
        report=report,
        origin=origin,
        created_at=NOW,
        began_at=NOW,
        ended_at=NOW + 3,
        made_at=NOW + 9,
        timeline=make_timeline([a_session(0, 3)], [], now=NOW),
        buckets=tuple(a_bucket(place, 1) for place in range(5)),
        waits=(),
        latency=Latency(calls=5, seconds={50: 0.1, 90: 0.2, 95: 0.2, 99: 0.2, 100: 1.5}),
        reasons=(Reason(state=ChunkState.REJECTED, words=NASTY, recipients=3, calls=2),),
        listed=listed,
    )


def a_row(username: str, reason: str = "") -> ReportRow:
    return ReportRow(None, username, None, "username", "people.csv", 2, "rejected", 7, 422, reason, None)


# Time


def test_a_short_run_has_a_bucket_for_each_call_that_its_rate_allows() -> None:
    timeline = make_timeline([a_session(0, 2.4)], [], now=NOW)

    assert timeline.bucket_seconds == 0.5
    assert [timeline.places(0), len(timeline.stretches)] == [5, 1]
    assert [(str(step.rate), step.start, step.end) for step in timeline.steps] == [("2/s", NOW, NOW + 2.4)]


@given(st.floats(0, 366 * 86400), st.none() | st.floats(1e-7, 1e6))
def test_buckets_are_few_and_each_has_room_for_a_call(active: float, fastest: float | None) -> None:
    seconds = bucket_seconds(active, fastest)

    assert active / seconds <= MOST_BUCKETS * 1.001
    assert fastest is None or seconds * fastest >= 0.999 or seconds == 30 * 86400


def test_the_nights_between_sessions_are_left_out_and_short_breaks_are_not() -> None:
    day = 86400
    sessions = [a_session(0, 3600), a_session(3700, 7200), a_session(day, day + 7200), a_session(3 * day, 3 * day + 60)]

    timeline = make_timeline(sessions, [], now=NOW)

    assert [(span.start - NOW, span.end - NOW) for span in timeline.stretches] == [
        (0, 7200),
        (day, day + 7200),
        (3 * day, 3 * day + 60),
    ]
    assert timeline.idle_seconds == [day - 7200, 2 * day - 7200]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e5)), min_size=1, max_size=30))
def test_every_session_lies_in_one_of_a_few_stretches(times: list[tuple[float, float]]) -> None:
    moment, sessions = 0.0, []
    for pause, lasting in times:
        sessions.append(a_session(moment + pause, moment + pause + lasting))
        moment += pause + lasting

    timeline = make_timeline(sessions, [], now=NOW)

    assert len(timeline.stretches) <= MOST_STRETCHES
    for one in sessions:
        assert sum(span.start <= one.started_at <= (one.ended_at or 0) <= span.end for span in timeline.stretches) >= 1


def test_a_session_that_lasts_ends_now_and_one_that_made_no_call_where_it_began() -> None:
    lasting = make_timeline([a_session(0, 5, is_open=True)], [], now=NOW + 60)
    dead = make_timeline([a_session(0, None)], [], now=NOW + 60)

    assert lasting.stretches == (Span(start=NOW, end=NOW + 60),)
    assert dead.stretches == (Span(start=NOW, end=NOW),)
    assert make_timeline([], [], now=NOW).stretches == ()


def test_an_operators_levers_change_the_rate_and_hold_the_run() -> None:
    levers = [
        a_lever(Lever.RATE, -5, "9/s"),  # before this session: what it began with holds
        a_lever(Lever.RATE, 40, "5/s"),
        a_lever(Lever.PAUSE, 60),
        a_lever(Lever.PAUSE, 61),
        a_lever(Lever.RESUME, 80),
        a_lever(Lever.PAUSE, 90),
    ]

    timeline = make_timeline([a_session(0, 100, "2/s")], levers, now=NOW + 100)

    assert [(step.start - NOW, step.end - NOW, step.rate) for step in timeline.steps] == [
        (0, 40, Rate.parse("2/s")),
        (40, 100, Rate.parse("5/s")),
    ]
    assert [(span.start - NOW, span.end - NOW) for span in timeline.held] == [(60, 80), (90, 100)]


def test_no_call_is_lost_behind_the_end_of_its_stretch() -> None:
    timeline = make_timeline([a_session(0, 2)], [], now=NOW)

    assert folded(timeline, [a_bucket(1, 2), a_bucket(3, 1), a_bucket(4, 1, limited=1), a_bucket(99, 1)]) == [
        a_bucket(1, 2),
        a_bucket(3, 3, limited=1),
    ]


# The chart


@pytest.mark.parametrize("box", [WIDE, NARROW], ids=["wide", "narrow"])
@given(data=st.data())
def test_nothing_is_drawn_outside_the_plot_and_no_label_touches_another(box: Size, data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.tuples(st.floats(0, 3e5), st.floats(0, 2e5)), min_size=1, max_size=9))
    rate = data.draw(st.sampled_from([None, "2/s", "1000/s", "60/min", "1/d"]))
    moment, sessions = 0.0, []
    for pause, lasting in lengths:
        sessions.append(a_session(moment + pause, moment + pause + lasting, rate))
        moment += pause + lasting
    timeline = make_timeline(sessions, [], now=NOW)
    stretch = data.draw(st.integers(0, len(timeline.stretches) - 1))
    place = data.draw(st.integers(0, timeline.places(stretch) - 1))
    bucket = a_bucket(place, data.draw(st.integers(1, 10**6)), stretch=stretch, accepted=0)

    chart = make_chart(timeline, [bucket], [Span(start=NOW, end=9e99)], box)

    for bar in chart.bars:
        assert box.left <= bar.x <= bar.x + bar.width <= box.width - box.right + 0.1
        assert box.top - 0.1 <= bar.y <= bar.y + bar.height <= box.height - box.bottom + 0.1
        assert bar.width > 0 < bar.height
    for line in chart.rates:
        assert box.left <= line.x1 <= line.x2 <= box.width - box.right + 0.1
        assert box.top - 0.1 <= line.y <= box.height - box.bottom
    assert all(b.x - a.x >= CLOSEST for a, b in pairwise(chart.ticks))
    assert chart.ticks
    assert all(band.width > 0 for band in chart.bands)


def test_a_bar_is_as_high_as_its_calls_and_the_line_as_the_rate() -> None:
    timeline = make_timeline([a_session(0, 600, "1/s")], [], now=NOW)
    assert timeline.bucket_seconds == 10

    chart = make_chart(timeline, [a_bucket(0, 10), a_bucket(3, 5, limited=1, accepted=3)], [], WIDE)

    floor = WIDE.height - WIDE.bottom
    full, *parts = chart.bars
    assert full.y == chart.rates[0].y
    assert [bar.kind for bar in parts] == ["refused", "limited", "accepted"]
    assert sum(bar.height for bar in parts) == pytest.approx(full.height / 2, abs=0.1)
    assert parts[-1].y + parts[-1].height == pytest.approx(floor, abs=0.1)
    assert parts[0].title == "3 accepted, 1 answered with 429, 1 not accepted in 10 s"
    assert [line.label for line in chart.levels] == ["0", "5", "10"]
    assert [line.label for line in chart.rates] == ["1/s"]


def test_a_rate_that_would_flatten_the_bars_is_told_in_words() -> None:
    timeline = make_timeline([a_session(0, 600, "1000/s")], [], now=NOW)

    chart = make_chart(timeline, [a_bucket(0, 3)], [], WIDE)

    assert chart.rates == ()
    assert too_high(timeline, [a_bucket(0, 3)]) == ["1000/s"]
    assert chart.levels[-1].label == "3"


def test_a_wait_after_a_429_is_a_band_that_ends_with_its_stretch() -> None:
    timeline = make_timeline([a_session(0, 100), a_session(9000, 9100)], [], now=NOW)

    chart = make_chart(timeline, [a_bucket(0, 1)], [Span(start=NOW + 50, end=NOW + 9050)], WIDE)

    assert [band.kind for band in chart.bands] == ["wait", "wait"]
    assert [band.width for band in chart.bands] == pytest.approx([chart.bands[0].width] * 2, abs=0.1)
    assert chart.bands[0].x + chart.bands[0].width < chart.breaks[0] < chart.bands[1].x


def test_many_sessions_at_one_rate_are_one_line() -> None:
    sessions = [a_session(60 * k, 60 * k + 55) for k in range(5000)]
    timeline = make_timeline(sessions, [], now=NOW)

    assert len(make_chart(timeline, [a_bucket(0, 7000)], [], WIDE).rates) == 1


@given(st.floats(0.01, 1e9))
def test_levels_are_few_whole_even_numbers(highest: float) -> None:
    levels = nice_levels(highest)

    assert levels[0] == 0
    assert levels[-1] >= highest * 0.999
    assert len(levels) <= 6
    assert {b - a for a, b in pairwise(levels)} == {levels[1]}


# Words


@given(st.text())
def test_what_is_shown_has_no_character_that_shows_nothing(text: str) -> None:
    shown = words.legible(text)

    assert len(shown) == len(text)
    assert all(each.isprintable() or each.isspace() for each in shown)
    assert "\n" not in shown
    shown.encode()


def test_times_name_their_zone() -> None:
    assert re.fullmatch(r"\d+ Jan 2027, \d\d:\d\d:\d\d .*UTC.*", words.moment(NOW))


def test_alternatives_are_named_as_people_do() -> None:
    assert [words.either("a"), words.either("ab"), words.either("abc")] == ["a", "a or b", "a, b or c"]


def test_lengths_of_time_are_short() -> None:
    assert [words.roughly(each) for each in (2.4, 12, 3600, 7500, 90061)] == [
        "2.4 s",
        "12 s",
        "1 h",
        "2 h 5 min",
        "1 d 1 h",
    ]
    assert [words.period(each) for each in (0.1, 5, 300, 5400, 86400)] == ["0.1 s", "5 s", "5 min", "90 min", "1 d"]
    assert [words.latency(each) for each in (0.0841, 0.9996, 1.234, 45.23)] == ["84 ms", "1.00 s", "1.23 s", "45.2 s"]


# The page


class Elements(HTMLParser):
    """The names of all elements and of their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_and_reasons_are_text_whatever_they_hold() -> None:
    listed = Listed(state="rejected", total=3, rows=(a_row(NASTY, NASTY), a_row("ann"), a_row("bob")))
    page = render(some_facts(a_report(RunState.STOPPED, reason=NASTY, rejected=3), listed))

    elements = Elements(page)
    assert "script" not in elements.names
    assert "<script" not in page
    shown = "<script>alert('1')</script>\ufffd\ufffd[31m\ufffdevil\ufffd \"quoted\" & {{ 7 * 7 }} &lt;b&gt;"
    assert elements.text.count(shown) == 5
    assert all(each.isprintable() or each == "\n" for each in page)
    page.encode()


def test_the_page_asks_for_nothing_else() -> None:
    elements = Elements(render(some_facts(a_report(accepted=5))))

    assert elements.attributes["href"] == {"data:,"}
    assert not {"src", "srcset", "style", "action", "onload"} & elements.attributes.keys()
    assert not {"script", "img", "iframe", "object", "form", "use", "image"} & elements.names
    policy = next(value for value in elements.attributes["content"] if value.startswith("default-src 'none'"))
    assert "script-src" not in policy


def test_the_page_says_accepted_and_never_delivered() -> None:
    text = " ".join(Elements(render(some_facts(a_report(accepted=4, not_found=1)))).text.split())

    assert "5 planned = 4 accepted + 1 not found ✓ reconciles" in text
    assert "Accepted means that Inrō took the message on. It does not mean that anybody received it" in text
    assert "delivered" not in text.lower()
    assert "This page holds people's names" in text


def test_numbers_that_do_not_add_up_are_called_a_bug() -> None:
    report = a_report(accepted=4)
    wrong = replace(report, recipients={**report.recipients, "planned": 5})

    assert "does not reconcile: this is a bug" in render(some_facts(wrong))


@pytest.mark.parametrize(("origin", "flag"), [("https://api.example.com", ""), ("sandbox", " --sandbox")])
def test_a_list_that_is_cut_says_so_and_how_to_get_it_all(origin: str, flag: str) -> None:
    listed = Listed(state="rejected", total=1_000_000, rows=(a_row("ann"),) * MOST_ROWS)
    page = render(some_facts(a_report(rejected=1_000_000), listed, origin=origin))

    text = " ".join(Elements(page).text.split())
    assert (
        f"The first {MOST_ROWS} of 1,000,000 are shown. All of them: campaign report spring{flag} --format csv" in text
    )
    assert "--state rejected > rejected.csv" in text
    assert ("rehearsal in the sandbox" in text) is bool(flag)
    assert len(page) < 200_000


def test_those_whom_the_api_did_not_name_are_counted() -> None:
    some = Listed(state="not_found", total=5, rows=(a_row("ann"),))
    text = Elements(render(some_facts(a_report(accepted=1, not_found=5), some))).text

    assert "Inrō's reply does not name the other 4." in text


def without_calls(report: Report) -> Facts:
    return replace(
        some_facts(replace(report, requests=dict.fromkeys(report.requests, 0))),
        began_at=None,
        ended_at=None,
        timeline=make_timeline([], [], now=NOW),
        buckets=(),
        latency=Latency(calls=0, seconds={}),
        reasons=(),
        listed=(Listed(state="unknown", total=0, rows=()), Listed(state="not_found", total=0, rows=())),
    )


def test_a_run_that_was_only_planned_has_a_page() -> None:
    page = render(without_calls(a_report(RunState.INTERRUPTED, pending=40)))

    text = " ".join(Elements(page).text.split())
    assert "No call was made yet." in text
    assert "<dt>Began</dt><dd>not yet</dd>" in page
    assert "Nobody is unknown or not found." in text


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (RunState.CANCELLED, "the run was cancelled before its first call"),
        (RunState.COMPLETED, "nobody was left to send to"),  # all of them opted out
    ],
)
def test_a_run_that_ended_before_its_first_call_says_so_and_nothing_about_calls(state: RunState, why: str) -> None:
    reasons = (Reason(state=ChunkState.CANCELLED, words="cancelled by ann", recipients=40, calls=0),)
    facts = replace(without_calls(a_report(state, cancelled=40)), ended_at=NOW, reasons=reasons)

    page = render(facts)
    text = " ".join(Elements(page).text.split())
    assert f"40 planned = 40 cancelled ✓ reconciles Nobody was written to: {why}." in text
    assert "<dt>Began</dt><dd>never</dd>" in page
    for odd in ("yet", "Accepted means", "Calls over time", "calls as they were answered"):
        assert odd not in text
