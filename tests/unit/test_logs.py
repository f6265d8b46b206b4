"""What is logged, how, and what never is."""

import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from sender import logs
from sender.errors import InputError

TOKEN = "inro-live-9f8e7d6c5b4a"


@pytest.fixture(autouse=True)
def _structlog_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Written:
    """What has gone to standard error so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def __str__(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in str(self).splitlines()]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    return Written(capsys)


def test_an_event_is_one_json_line_with_its_bound_values(written: Written) -> None:
    logs.configure({}, is_terminal=False)

    logs.get_logger(run="spring", campaign="spring").bind(chunk=7).info(logs.CHUNK_ACCEPTED, status=202, seconds=0.1)

    [line] = written.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "chunk.accepted",
        "level": "info",
        "run": "spring",
        "campaign": "spring",
        "chunk": 7,
        "status": 202,
        "seconds": 0.1,
    }


@pytest.mark.parametrize(
    ("environ", "is_terminal", "levels"),
    [
        ({}, False, ["info", "warning", "error"]),
        ({}, True, ["warning", "error"]),
        ({"CAMPAIGN_LOG_LEVEL": "debug"}, True, ["debug", "info", "warning", "error"]),
        ({"CAMPAIGN_LOG_LEVEL": "WARNING"}, False, ["warning", "error"]),
        ({"CAMPAIGN_LOG_LEVEL": "error"}, False, ["error"]),
        ({"CAMPAIGN_LOG_LEVEL": ""}, False, ["info", "warning", "error"]),
    ],
)
def test_what_is_below_the_level_is_not_written(
    written: Written, environ: Mapping[str, str], is_terminal: bool, levels: list[str]
) -> None:
    logs.configure({"CAMPAIGN_LOG_FORMAT": "json", **environ}, is_terminal=is_terminal)
    log = logs.get_logger()

    for level in ("debug", "info", "warning", "error"):
        getattr(log, level)("something.happened")

    assert [line["level"] for line in written.lines] == levels


@pytest.mark.parametrize("name", ["CAMPAIGN_LOG_LEVEL", "CAMPAIGN_LOG_FORMAT"])
def test_a_bad_value_is_refused_with_those_that_are_accepted(name: str) -> None:
    accepted = {"CAMPAIGN_LOG_LEVEL": "debug, info, warning, error", "CAMPAIGN_LOG_FORMAT": "json, console"}[name]

    with pytest.raises(InputError) as caught:
        logs.configure({name: "Loud"}, is_terminal=False)

    assert str(caught.value) == f"{name} is 'Loud': expected one of {accepted}"


@pytest.mark.parametrize("form", logs.FORMATS)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_secret_is_stars_in_every_format_and_depth(written: Written, form: str, is_terminal: bool) -> None:
    logs.configure({"CAMPAIGN_LOG_FORMAT": form, "CAMPAIGN_LOG_LEVEL": "debug"}, is_terminal=is_terminal)
    secret = SecretStr(TOKEN)

    logs.get_logger(token=secret).error("odd", nested={"token": [secret]}, words=f"with {secret}")

    assert TOKEN not in str(written)
    assert "**********" in str(written)


@pytest.mark.parametrize("form", logs.FORMATS)
@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_traceback_shows_no_local_variables(written: Written, form: str, is_terminal: bool) -> None:
    logs.configure({"CAMPAIGN_LOG_FORMAT": form}, is_terminal=is_terminal)

    def fail() -> None:
        token = SecretStr(TOKEN).get_secret_value()
        raise ValueError(f"a token of {len(token)} characters")

    try:
        fail()
    except ValueError:
        logs.get_logger().exception("failed")

    assert "a token of 22 characters" in str(written)
    assert TOKEN not in str(written)


def test_a_console_without_a_terminal_or_with_no_color_has_no_escape_codes(written: Written) -> None:
    for environ, is_terminal in (({}, False), ({"NO_COLOR": "1"}, True)):
        logs.configure({"CAMPAIGN_LOG_FORMAT": "console", **environ}, is_terminal=is_terminal)
        logs.get_logger().warning("account.paused", seconds=3)

    assert str(written).count("account.paused") == 2
    assert "\x1b" not in str(written)


def test_a_value_that_json_does_not_know_is_written_as_text(written: Written) -> None:
    logs.configure({}, is_terminal=False)

    logs.get_logger().info("odd", path=Path("/tmp/x"), error=ValueError("no"))  # noqa: S108

    assert (written.lines[0]["path"], written.lines[0]["error"]) == ("/tmp/x", "no")  # noqa: S108


def test_a_line_break_in_a_value_does_not_break_the_line(written: Written) -> None:
    logs.configure({}, is_terminal=False)

    logs.get_logger().info("odd", reason='two\nlines"}\n{"event":"run.finished"')

    assert [line["event"] for line in written.lines] == ["odd"]


def test_a_file_name_that_is_no_utf_8_ends_nothing(written: Written) -> None:
    logs.configure({}, is_terminal=False)

    logs.get_logger().warning(logs.PLAN_FROZEN, gone=["na\udcefve.csv"])

    assert [line["event"] for line in written.lines] == ["plan.frozen"]


def test_standard_error_is_looked_up_at_every_line(monkeypatch: pytest.MonkeyPatch, written: Written) -> None:
    logs.configure({}, is_terminal=False)
    log = logs.get_logger()
    log.info("one")
    bar = io.StringIO()
    monkeypatch.setattr(sys, "stderr", bar)
    log.info("two")

    assert "one" in str(written)
    assert "two" in bar.getvalue()


def test_event_names_are_distinct_and_dotted() -> None:
    names = [value for name, value in vars(logs).items() if name.isupper() and isinstance(value, str)]

    assert len(set(names)) == len(names)
    assert all("." in name or name == "notice" for name in names)
