"""A chunk -> a request, a reply -> an outcome: what leaves, and what is believed of what comes back."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.model import IdentifierKind
from sender.inro.wire import (
    Content,
    FilePart,
    NoReply,
    Reply,
    Request,
    message_request,
    outcome,
    random_key,
    reason,
    retry_after_seconds,
)
from sender.outcome import ChunkState, Outcome, Then

ID, USERNAME, EMAIL = IdentifierKind
ACCEPTED, PENDING, REJECTED, UNKNOWN = (
    ChunkState.ACCEPTED,
    ChunkState.PENDING,
    ChunkState.REJECTED,
    ChunkState.UNKNOWN,
)
THREE = ["ann", "bob", "cid"]

# Requests


@pytest.mark.parametrize(
    ("kind", "addresses", "body"),
    [
        (ID, [178], b'{"contact_id":178,"message_type":"text","text":"Hi"}'),
        (ID, [178, 9], b'{"contact_ids":[178,9],"message_type":"text","text":"Hi"}'),
        (USERNAME, ["ann"], b'{"contact_username":"ann","message_type":"text","text":"Hi"}'),
        (USERNAME, ["ann", "b.o_b"], b'{"contact_usernames":["ann","b.o_b"],"message_type":"text","text":"Hi"}'),
        (EMAIL, ["a@x.io"], b'{"contact_email":"a@x.io","message_type":"text","text":"Hi"}'),
        (EMAIL, ["a@x.io", "b@x.io"], b'{"contact_emails":["a@x.io","b@x.io"],"message_type":"text","text":"Hi"}'),
    ],
)
def test_a_message_without_a_file_is_json_and_names_one_contact_or_a_list(
    kind: IdentifierKind, addresses: list[int | str], body: bytes
) -> None:
    content = Content(fields={"message_type": "text", "text": "Hi"})

    request = message_request(kind, addresses, content, idempotency_key="k-1")

    assert request == Request(idempotency_key="k-1", body=body)


@pytest.mark.parametrize(
    ("kind", "addresses", "who"),
    [
        (ID, [178], (("contact_id", "178"),)),
        (ID, [178, 9], (("contact_ids[]", "178"), ("contact_ids[]", "9"))),
        (USERNAME, ["ann"], (("contact_username", "ann"),)),
        (USERNAME, ["ann", "bob"], (("contact_usernames[]", "ann"), ("contact_usernames[]", "bob"))),
        (EMAIL, ["a@x.io"], (("contact_email", "a@x.io"),)),
        (EMAIL, ["a@x.io", "b@x.io"], (("contact_emails[]", "a@x.io"), ("contact_emails[]", "b@x.io"))),
    ],
)
def test_a_message_with_a_file_is_a_form_and_repeats_the_name_of_a_list(
    kind: IdentifierKind, addresses: list[int | str], who: tuple[tuple[str, str], ...]
) -> None:
    file = FilePart(field="image", path=Path("spring.jpg"), content_type="image/jpeg")
    content = Content(fields={"message_type": "image"}, file=file)

    request = message_request(kind, addresses, content, idempotency_key="k-2")

    assert request == Request(idempotency_key="k-2", form=(*who, ("message_type", "image")), file=file)


@given(st.text(st.characters(codec="utf-8"), max_size=50), st.integers(1, 2**63 - 1))
def test_whatever_the_text_and_the_number_they_arrive_as_they_are(text: str, number: int) -> None:
    request = message_request(ID, [number], Content(fields={"text": text}), idempotency_key="k")

    assert orjson.loads(request.body) == {"contact_id": number, "text": text}


def test_a_thousand_recipients_are_one_list_in_their_order() -> None:
    request = message_request(ID, list(range(1000, 0, -1)), Content(fields={}), idempotency_key="k")

    assert orjson.loads(request.body) == {"contact_ids": list(range(1000, 0, -1))}


def test_no_two_random_keys_are_the_same() -> None:
    assert len({random_key() for _ in range(100)}) == 100


# Replies: the design's table, section 5, written down a second time

SIGNS = (b'{"batch_task_id": "bt_1"}', b'{"batch_task_id": 17}', b'{"error": "half", "accepted_count": 1}')
NO_SIGNS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"oops",
    b'{"error": "no"}',
    b'{"batch_task_id": null, "accepted_count": 0}',
    b'{"batch_task_id": ""}',
    b'["batch_task_id"]',
    b'{"batch_task_id": "bt',
    b"\xff\xfe\x00",
)


def expected_refusal(status: int, *, told: bool, sign: bool, complete: bool) -> tuple[ChunkState, Then]:
    """What the table says of a reply that is no 2xx."""
    if status in (425, 429) or (status == 503 and told):
        return (UNKNOWN if sign else PENDING), Then.WAIT
    if status in (400, 404, 413, 422):
        return (UNKNOWN if sign or not complete else REJECTED), Then.GO_ON
    if status in (408, 409) or status >= 500 or status < 200:
        return UNKNOWN, Then.GO_ON
    return (UNKNOWN if sign else PENDING), Then.STOP


@pytest.mark.parametrize("told", [False, True], ids=["untold", "told"])
@pytest.mark.parametrize("complete", [False, True], ids=["cut", "whole"])
@pytest.mark.parametrize(("bodies", "sign"), [(SIGNS, True), (NO_SIGNS, False)], ids=["sign", "no-sign"])
def test_every_status_means_what_the_table_says(
    bodies: tuple[bytes, ...], sign: bool, complete: bool, told: bool
) -> None:
    headers = {"retry-after": "7"} if told else {}
    for status in range(100, 600):
        for body in bodies:
            found = outcome(Reply(status=status, headers=headers, body=body, complete=complete), THREE)
            wanted = (
                (ACCEPTED, Then.GO_ON)
                if 200 <= status < 300
                else expected_refusal(status, told=told, sign=sign, complete=complete)
            )
            assert (found.chunk, found.then) == wanted, (status, body)
            assert found.status == status
            assert found.retry_after_seconds == (7.0 if found.then is Then.WAIT and told else None), status
            assert (found.reason == "") == (found.chunk is ACCEPTED)
            if found.chunk is not ACCEPTED:
                assert (found.not_found, found.not_found_count) == ((), 0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize(
    "body", [b"", b"OK", b"queued!", b'{"status":"pending"}', b"[]", b"3", b'{"accepted_count": 3, "not_f', b"\x80\x81"]
)
def test_any_2xx_is_accepted_whatever_its_body_even_when_cut_short(status: int, complete: bool, body: bytes) -> None:
    found = outcome(Reply(status=status, body=body, complete=complete), THREE)

    assert (found.chunk, found.then, found.reason) == (ACCEPTED, Then.GO_ON, "")


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, b"<h1>Sign in</h1>"),
        ({"content-type": "Text/HTML; charset=utf-8"}, b"Sign in"),
        ({"content-type": "application/xhtml+xml"}, b"<?xml version='1.0'?>"),
        ({}, b"\r\n  <!doctype html><title>Wi-Fi</title>"),
        ({"content-type": "application/json"}, b"<html>"),
    ],
)
@pytest.mark.parametrize("status", [200, 202])
def test_a_2xx_with_a_page_is_not_the_apis_answer(headers: Mapping[str, str], body: bytes, status: int) -> None:
    found = outcome(Reply(status=status, headers=headers, body=body), THREE)

    assert (found.chunk, found.then) == (UNKNOWN, Then.STOP)
    assert found.reason.startswith(f"HTTP {status}")


def test_a_2xx_without_a_body_is_accepted_whatever_type_it_claims() -> None:
    found = outcome(Reply(status=202, headers={"content-type": "text/html"}, body=b""), THREE)

    assert (found.chunk, found.then) == (ACCEPTED, Then.GO_ON)


@pytest.mark.parametrize("count", ["2", 2.0])
def test_a_refusal_that_counts_the_accepted_in_another_spelling_is_unknown(count: object) -> None:
    found = outcome(Reply(status=422, body=orjson.dumps({"error": "half", "accepted_count": count})), THREE)

    assert found.chunk is UNKNOWN


def test_no_reply_is_unknown_when_the_request_began_and_pending_when_it_did_not() -> None:
    assert outcome(NoReply(began=True, reason="it broke", seconds=1.5), THREE) == Outcome(
        chunk=UNKNOWN, reason="it broke", seconds=1.5
    )
    assert outcome(NoReply(began=False, reason="no route", seconds=0.5), THREE) == Outcome(
        chunk=PENDING, then=Then.BACK_OFF, reason="no route", seconds=0.5
    )


def test_the_replys_facts_are_kept() -> None:
    headers = {"x-request-id": "req_9", "content-type": "application/json"}
    body = b'{"batch_task_id":"bt_4","status":"pending","accepted_count":3,"not_found_count":0,"not_found":[]}'

    found = outcome(Reply(status=202, headers=headers, body=body, seconds=0.25), THREE)

    assert found == Outcome(chunk=ACCEPTED, status=202, seconds=0.25, request_id="req_9", batch_task_id="bt_4")


@pytest.mark.parametrize(
    "listed", ['"ann"', '"ANN"', '"@ann"', '" @Ann "', '{"username":"ann"}', '{"username":"@Ann"}']
)
def test_who_is_named_as_not_found_is_found_in_the_call_however_it_is_spelled(listed: str) -> None:
    body = f'{{"accepted_count":2,"not_found_count":1,"not_found":[{listed}]}}'.encode()

    found = outcome(Reply(status=202, body=body), THREE)

    assert (found.not_found, found.not_found_count) == (("ann",), 1)


@pytest.mark.parametrize("listed", ["9", '"9"', '{"id":9}', '{"id":"9"}'])
def test_numbers_are_named_as_text_or_as_numbers(listed: str) -> None:
    found = outcome(Reply(status=202, body=f'{{"not_found":[{listed}]}}'.encode()), [178, 9])

    assert (found.not_found, found.not_found_count) == (("9",), 1)


@pytest.mark.parametrize(
    ("said", "names", "count"),
    [
        # by number
        ({"not_found_count": 2}, (), 2),
        ({"accepted_count": 1}, (), 2),
        ({"accepted_count": 3}, (), 0),
        ({"accepted_count": 0}, (), 3),
        ({"accepted_count": 1, "not_found": []}, (), 2),
        # by name
        ({"not_found": ["ann"]}, ("ann",), 1),
        ({"not_found": ["cid", "ann", "cid"]}, ("cid", "ann"), 2),
        ({"accepted_count": 2, "not_found": ["ann"]}, ("ann",), 1),
        # by both, agreeing or not: nobody who is named counts for less
        ({"not_found_count": 1, "not_found": ["bob"]}, ("bob",), 1),
        ({"not_found_count": 1, "not_found": ["bob", "ann"]}, ("bob", "ann"), 2),
        ({"not_found_count": 3, "not_found": ["bob"]}, ("bob",), 3),
        ({"not_found_count": 0, "accepted_count": 1}, (), 0),
        # of people whom the call did not name, nothing is believed but their number
        ({"not_found": ["zoe", 5, None, [], {}, {"username": None}]}, (), 0),
        ({"not_found_count": 2, "not_found": ["zoe", "yan"]}, (), 2),
        # absurd
        ({"not_found_count": -1}, (), 0),
        ({"not_found_count": 4}, (), 3),
        ({"not_found_count": 10**15}, (), 3),
        ({"not_found_count": True}, (), 0),
        ({"not_found_count": "2"}, (), 0),
        ({"not_found_count": 1.5}, (), 0),
        ({"not_found_count": None}, (), 0),
        ({"not_found_count": [1]}, (), 0),
        ({"accepted_count": 4}, (), 0),
        ({"not_found": "ann"}, (), 0),
        ({"not_found": {"username": "ann"}}, (), 0),
        ({"not_found": None}, (), 0),
    ],
)
def test_not_found_is_believed_within_the_call(said: dict[str, object], names: tuple[str, ...], count: int) -> None:
    found = outcome(Reply(status=202, body=orjson.dumps(said)), THREE)

    assert (found.chunk, found.not_found, found.not_found_count) == (ACCEPTED, names, count)


@pytest.mark.parametrize("absurd", ["2", None, True, -1, 1.5, []])
def test_an_absurd_accepted_count_makes_nobody_not_found(absurd: object) -> None:
    found = outcome(Reply(status=202, body=orjson.dumps({"accepted_count": absurd})), THREE)

    assert (found.chunk, found.not_found_count) == (ACCEPTED, 0)


def test_a_truth_value_is_nobodys_name() -> None:
    found = outcome(Reply(status=202, body=b'{"not_found":[{"username":"zoe","active":true}]}'), ["true", "ann"])

    assert (found.not_found, found.not_found_count) == ((), 0)


# The API's words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "HTTP 422"),
        (b"{}", "HTTP 422: {}"),
        (b'{"error":"text is too long"}', "HTTP 422: text is too long"),
        (b'{"message":"text is too long"}', "HTTP 422: text is too long"),
        (b'{"detail":"no"}', "HTTP 422: no"),
        (b'{"errors":{"text":["is too long"]}}', 'HTTP 422: {"text":["is too long"]}'),
        (b'{"error":null,"message":"no"}', "HTTP 422: no"),
        (b"plain\r\n\twords", "HTTP 422: plain words"),
        (b"<html><title>Oops</title></html>", "HTTP 422: an HTML page"),
        (b"\x1b[31mred\x07", "HTTP 422: [31mred"),
    ],
)
def test_a_reason_is_the_status_and_the_apis_own_words(body: bytes, words: str) -> None:
    assert reason(Reply(status=422, body=body)) == words


# Arbitrary bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["not_found", "not_found_count", "accepted_count", "batch_task_id", "error", "message", "errors", "detail"]
)
NAMES = st.lists(st.sampled_from(["ann", "@BOB", "zoe"]) | st.builds(lambda n: {"username": n}, st.just("cid")))
SAID = st.dictionaries(FIELDS, JSON | st.integers(-5, 9) | NAMES, max_size=6)
BODIES = st.binary(max_size=400) | SAID.map(lambda said: orjson.dumps(said)) | st.just(b"[" * 2000)


@given(
    status=st.integers(100, 599),
    body=BODIES,
    headers=st.dictionaries(
        st.sampled_from(["content-type", "retry-after", "date", "x-request-id"]), st.text(max_size=40), max_size=4
    ),
    complete=st.booleans(),
    addresses=st.lists(st.sampled_from(["ann", "bob", "cid", "dee"]), min_size=1, max_size=4, unique=True),
)
@example(status=202, body=b'{"not_found_count": 99999999999999999999}', headers={}, complete=True, addresses=["ann"])
@settings(deadline=None, max_examples=400)
def test_whatever_comes_back_has_an_outcome_within_bounds(
    status: int, body: bytes, headers: dict[str, str], complete: bool, addresses: list[str]
) -> None:
    found = outcome(Reply(status=status, headers=headers, body=body, complete=complete), addresses)

    assert found.chunk in (ACCEPTED, PENDING, REJECTED, UNKNOWN)
    assert 0 <= len(found.not_found) <= found.not_found_count <= len(addresses)
    assert set(found.not_found) <= set(addresses)
    assert found.reason.isprintable()
    assert len(found.reason) <= 320
    assert found.retry_after_seconds is None or found.retry_after_seconds >= 0
    orjson.dumps(found.reason)  # what the ledger keeps is fit to be written as UTF-8


# Retry-After

NOON = datetime(2026, 11, 6, 12, 0, 0, tzinfo=UTC)
DATE = "Fri, 06 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("retry_after", "date", "seconds"),
    [
        ("0", None, 0.0),
        ("120", None, 120.0),
        (" 120 ", None, 120.0),
        ("1.5", None, 1.5),
        ("999999999", None, 999999999.0),
        ("Fri, 06 Nov 2026 12:00:30 GMT", DATE, 30.0),
        ("Friday, 06-Nov-26 12:01:00 GMT", DATE, 60.0),
        ("Fri, 06 Nov 2026 13:00:10 +0100", DATE, 10.0),
        ("Fri, 06 Nov 2026 11:59:00 GMT", DATE, 0.0),  # already past
        ("Fri, 06 Nov 2026 12:00:30 GMT", None, None),  # no clock but ours, which may be wrong
        ("Fri, 06 Nov 2026 12:00:30 GMT", "noon", None),
        ("", DATE, None),
        ("-5", None, None),
        ("+5", None, None),
        ("1e3", None, None),
        ("soon", DATE, None),
        ("٣", None, None),  # an Arabic-Indic digit
        ("nan", None, None),
        ("inf", None, None),
        ("0x10", None, None),
        ("Fri, 99 Nov 2026 12:00:30 GMT", DATE, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_against_the_replys_own(
    retry_after: str, date: str | None, seconds: float | None
) -> None:
    headers = {"retry-after": retry_after, **({"date": date} if date else {})}

    assert retry_after_seconds(headers) == seconds


def test_without_retry_after_nothing_is_told() -> None:
    assert retry_after_seconds({}) is None
    assert retry_after_seconds({"date": DATE}) is None


@given(ahead=st.integers(-(10**6), 10**6), zone=st.integers(-11, 11))
def test_only_the_difference_of_the_two_dates_counts(ahead: int, zone: int) -> None:
    there = NOON.astimezone(UTC) + timedelta(seconds=ahead)
    offset = f"{'-' if zone < 0 else '+'}{abs(zone):02}00"
    local = format_datetime((there + timedelta(hours=zone)).replace(tzinfo=None)).replace("-0000", offset)

    assert retry_after_seconds({"retry-after": local, "date": DATE}) == max(0, ahead)


@pytest.fixture(params=["Pacific/Auckland", "America/Los_Angeles"])
def _elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's own time zone, which should change nothing."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
def test_dates_at_the_ends_of_the_calendar_are_read_or_ignored() -> None:
    far = "Fri, 31 Dec 9999 23:59:59 -0000"
    for headers in ({"retry-after": far, "date": DATE}, {"retry-after": DATE, "date": far}):
        seconds = retry_after_seconds(headers)
        assert seconds is None or seconds >= 0


@pytest.mark.usefixtures("_elsewhere")
def test_this_machines_time_zone_changes_nothing() -> None:
    assert retry_after_seconds({"retry-after": "Fri, 06 Nov 2026 12:00:30 GMT", "date": DATE}) == 30.0
