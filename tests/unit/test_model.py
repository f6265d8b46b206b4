"""The model: what each key takes, what it makes of it, and what it says about the rest."""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from campaigns.errors import Place
from campaigns.loading.explain import SECTIONS
from campaigns.model import Audience, Campaign, Delivery, IdentifierKind, ImageMessage, Rate, ShareMessage, TextMessage
from campaigns.model.quantities import format_duration, parse_duration
from campaigns.model.timing import Schedule, Window


def campaign(**keys: Any) -> Campaign:
    required = {"campaign": "spring", "audience": {"csv": "a.csv"}, "message": {"text": "Hello"}, "file": "/x/c.yaml"}
    return Campaign(**required | keys)


def complaint(model: type[BaseModel], **keys: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        model(**keys)
    return str(refused.value.errors()[0]["msg"]).removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("text", "count", "seconds"),
    [
        ("2/s", 2, 1),
        ("120/min", 120, 60),
        ("120/m", 120, 60),
        ("500/h", 500, 3600),
        ("300/5min", 300, 300),
        (" 1 / 0.5s ", 1, 0.5),
        ("9000/D", 9000, 86400),
        ("3/hour", 3, 3600),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, count: int, seconds: float) -> None:
    assert Rate.parse(text) == Rate(count=count, period_seconds=seconds)


@pytest.mark.parametrize(
    "text", ["fast", "2", "2/", "/s", "2/fortnight", "-1/s", "1.5/s", "٢/s", "2/s/s", "", True, None]
)
def test_what_is_no_rate_is_refused_with_examples(text: object) -> None:
    with pytest.raises(ValueError, match=r"accepted (are 2/s, 120/min|is one piece of text)"):
        Rate.parse(text)


@pytest.mark.parametrize("text", ["0/s", "1/0s", "1/999d"])
def test_a_rate_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is out of range; accepted is at least 1"):
        Rate.parse(text)


def test_a_rate_knows_its_mean() -> None:
    assert Rate.parse("120/min").per_second == 2


periods = st.integers(1, 31_000_000).map(float) | st.floats(0.001, 1000).map(lambda seconds: round(seconds, 6))


@given(st.integers(1, 999_999_999), periods)
def test_every_rate_is_read_back_from_its_own_form(count: int, seconds: float) -> None:
    rate = Rate(count=count, period_seconds=seconds)
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30),
        (30, 30),
        (0.5, 0.5),
        ("30s", 30),
        ("5m", 300),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("2 min", 120),
        ("1d", 86400),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "0", "0s", "-5", "1e3", "5 weeks", "99999h", float("nan"), float("inf"), True]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"; accepted (are seconds, or 30s|is more than 0|is one piece of text)"):
        parse_duration(text)


@given(periods)
def test_every_duration_is_read_back_from_its_own_form(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_a_message_without_a_type_is_text() -> None:
    assert campaign().message == TextMessage(text="Hello")


def test_a_text_is_measured_in_bytes_and_not_in_characters() -> None:
    assert TextMessage(text="é" * 500).text == "é" * 500
    assert complaint(TextMessage, text="é" * 501) == "the text is 1,002 bytes of UTF-8; accepted are at most 1,000"


def test_the_line_end_of_a_yaml_block_is_no_part_of_a_text() -> None:
    assert TextMessage(text="Hello\n\nthere\n").text == "Hello\n\nthere"


def test_a_media_message_knows_its_source() -> None:
    assert ImageMessage(image="HTTPS://cdn.example.com/a.png").is_url
    upload = ImageMessage(image="/media/a.png")
    assert (upload.source, upload.is_url, upload.upload) == ("/media/a.png", False, "once")


@pytest.mark.parametrize("keys", [{}, {"media_id": "1", "post": "latest"}])
def test_a_share_names_exactly_one_post(keys: dict[str, str]) -> None:
    assert complaint(ShareMessage, **keys).endswith("accepted is exactly one of them")


def test_a_permalink_is_one_of_instagram() -> None:
    assert ShareMessage(post="https://www.instagram.com/p/Cx1/").post
    assert complaint(ShareMessage, post="https://instagram.com.example.com/p/x").startswith("'https://instagram.com.ex")


def test_one_value_is_as_good_as_a_list_of_one() -> None:
    audience = Audience.model_validate({"csv": "a.csv", "where": {"country": "NO", "id": 7}, "identify_by": "email"})
    assert audience.csv == ("a.csv",)
    assert audience.where == {"country": ("NO",), "id": ("7",)}
    assert audience.identify_by == (IdentifierKind.EMAIL,)


@pytest.mark.parametrize(("written", "meant"), [("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), (";", ";"), ("|", "|")])
def test_a_delimiter_can_be_named(written: str, meant: str) -> None:
    assert Audience(csv=("a",), delimiter=written).delimiter == meant


@pytest.mark.parametrize("name", ["utf-9", "hex", "", "a\0b"])
def test_an_encoding_must_be_known_and_make_text(name: str) -> None:
    assert complaint(Audience, csv="a", encoding=name).endswith("accepted are names such as utf-8, utf-16, cp1252")


def test_a_chunk_may_not_be_larger_than_what_the_rate_of_recipients_lets_through() -> None:
    assert Delivery(chunk_size=500, recipients="500/h").recipients == Rate.parse("500/h")
    assert complaint(Delivery, chunk_size=501, recipients="500/h").startswith("500/h never lets a chunk of 501 through")


@pytest.mark.parametrize("size", [0, 1001, "1e2", "1_000", 10.5, True, None])
def test_a_chunk_holds_one_to_a_thousand(size: object) -> None:
    assert "accepted is" in complaint(Delivery, chunk_size=size)


def test_a_schedule_has_a_time_or_a_pattern_and_always_a_zone() -> None:
    assert Schedule(at="2026-12-01 09:00", timezone="UTC").at == datetime(2026, 12, 1, 9)  # noqa: DTZ001  local
    assert complaint(Schedule, timezone="UTC") == "neither at nor cron is given; accepted is exactly one of them"
    assert complaint(Schedule, at="2026-12-01T09:00Z", timezone="UTC").endswith("since timezone stands beside it")
    assert complaint(Schedule, cron="@daily", timezone="UTC").startswith("'@daily' is not a cron line")


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "\0"])
def test_a_time_zone_must_exist(name: str) -> None:
    assert "is not a time zone" in complaint(Schedule, at="2026-12-01 09:00", timezone=name)


def test_a_window_lasts_over_midnight_when_it_ends_no_later_than_it_begins() -> None:
    window = Window.model_validate({"from": "09:00", "to": "20:00", "timezone": "UTC"})
    assert (window.from_, window.to, len(window.days)) == (time(9), time(20), 7)
    assert Window.model_validate({"from": "20:00", "to": "24:00", "timezone": "UTC"}).to == time(0)
    assert "is not a time of day" in complaint(Window, **{"from": "20:00", "to": "24:01", "timezone": "UTC"})


@pytest.mark.parametrize("line", ["0 9 30 2 *", "61 * * * *", "0 9 * * FUN", "0 0 9 * * *", "0 9 * *"])
def test_a_cron_line_names_times_that_come(line: str) -> None:
    assert complaint(Schedule, cron=line, timezone="UTC").startswith(f"'{line}' is not a cron line (")


def test_the_deadline_is_on_the_clocks_of_the_schedule() -> None:
    schedule = {"at": "2026-12-01 09:00", "timezone": "Asia/Tokyo"}
    deadline = campaign(not_after="2026-12-01 18:00", schedule=schedule).deadline
    assert deadline == datetime(2026, 12, 1, 9, tzinfo=UTC)


def test_the_deadline_has_its_own_offset_or_somebody_elses_zone() -> None:
    assert campaign(not_after="2026-12-01T18:00+01:00").deadline == datetime(2026, 12, 1, 17, tzinfo=UTC)
    assert complaint(Campaign, **campaign().model_dump() | {"not_after": "2026-12-01 18:00"}).startswith(
        "'2026-12-01 18:00' has no time zone; accepted is an offset"
    )


def test_relative_paths_are_taken_from_the_files_folder() -> None:
    audience = {"csv": ["-", "a.csv", "../b.csv", "/c.csv"], "exclude": "o.csv"}
    found = campaign(audience=audience, message={"type": "image", "image": "m/a.png"}).with_paths_from(Path("/x/y"))
    assert found.audience.csv == ("-", "/x/y/a.csv", "/x/y/../b.csv", "/c.csv")
    assert found.audience.exclude == ("/x/y/o.csv",)
    assert found.message == ImageMessage(image="/x/y/m/a.png")


def test_nothing_changes_after_it_was_made() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        campaign().campaign = "other"  # type: ignore[misc]


def test_a_place_falls_back_to_what_stands_around_it() -> None:
    places = {(): Place(file="c.yaml", line=1), ("audience", "csv"): Place(file="c.yaml", line=3)}
    found = campaign(places=places)
    assert found.place("audience", "csv", 0).line == 3
    assert found.place("message", "text").line == 1
    assert campaign().place("message") == Place(file="/x/c.yaml")


def test_every_field_says_what_it_is() -> None:
    for model in SECTIONS.values():
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
