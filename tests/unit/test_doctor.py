"""What `doctor` makes of what it sees."""

import asyncio
import resource
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from sender import doctor, run
from sender.doctor import Finding, Level, api, examine, exit_code, ledger, machine
from sender.doctor.finding import problem, warning, well
from sender.inro.checkup import Checkup, Verdict, proxy_host, read_checkup
from sender.inro.wire import NoReply, Reply
from sender.ledger import database
from sender.ledger.sizes import sized

URL = "https://api.example.com/v1"
NOW = 1_800_000_000.0
JSON = {"content-type": "application/json"}


def said(finding: Finding) -> tuple[Level, int]:
    return finding.level, finding.code


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (Reply(status=200, headers=JSON, body=b"{}"), Verdict.WORKS),
        (Reply(status=204), Verdict.WORKS),
        (Reply(status=200, body=b"<!doctype html><p>Log in"), Verdict.ELSEWHERE),
        (Reply(status=301, headers={"location": "https://other.example.com/"}), Verdict.REDIRECTED),
        (Reply(status=401), Verdict.BAD_TOKEN),
        (Reply(status=403), Verdict.FORBIDDEN),
        (Reply(status=404), Verdict.ELSEWHERE),
        (Reply(status=429), Verdict.BUSY),
        (Reply(status=500), Verdict.ILL),
        (Reply(status=503, headers={"retry-after": "5"}), Verdict.ILL),
        (NoReply(began=False, reason="the host is not known here"), Verdict.UNREACHED),
        (NoReply(began=True, reason="no reply within 30 s"), Verdict.UNREACHED),
    ],
)
def test_every_reply_has_a_meaning(reply: Reply | NoReply, verdict: Verdict) -> None:
    assert read_checkup(reply, now=NOW).verdict is verdict


@pytest.mark.parametrize(
    ("verdict", "of_api", "of_token"),
    [
        (Verdict.WORKS, (Level.OK, 0), (Level.OK, 0)),
        (Verdict.BAD_TOKEN, (Level.OK, 0), (Level.PROBLEM, 4)),
        (Verdict.FORBIDDEN, (Level.OK, 0), (Level.PROBLEM, 4)),
        (Verdict.BUSY, (Level.WARNING, 0), (Level.WARNING, 0)),
        (Verdict.UNREACHED, (Level.PROBLEM, 4), (Level.WARNING, 0)),
        (Verdict.REDIRECTED, (Level.PROBLEM, 4), (Level.WARNING, 0)),
        (Verdict.ELSEWHERE, (Level.PROBLEM, 4), (Level.WARNING, 0)),
        (Verdict.ILL, (Level.PROBLEM, 4), (Level.WARNING, 0)),
    ],
)
def test_a_verdict_speaks_of_the_api_and_of_the_token(
    verdict: Verdict, of_api: tuple[Level, int], of_token: tuple[Level, int]
) -> None:
    found = Checkup(verdict=verdict, status=418, reason="the API's words")

    assert said(api.reachable(URL, found)) == of_api
    assert said(api.token_works(True, found)) == of_token
    assert URL in api.reachable(URL, found).says


def test_a_missing_token_is_bad_input_whatever_the_api_says() -> None:
    assert said(api.token_works(False, Checkup(verdict=Verdict.BAD_TOKEN))) == (Level.PROBLEM, 2)
    assert said(api.token_works(False, None)) == (Level.PROBLEM, 2)


def test_a_redirect_is_shown_without_what_its_query_or_its_user_may_hold() -> None:
    reply = Reply(status=302, headers={"location": "https://me:pass@login.example.com/in?token=secret#there"})

    finding = api.reachable(URL, read_checkup(reply, now=NOW))

    assert finding.says == f"{URL} redirects (HTTP 302) to https://login.example.com/in"


@given(skew=st.floats(-100_000, 100_000), seconds=st.floats(0, 20), share=st.floats(0, 1))
def test_the_clocks_are_compared_within_the_time_of_the_call(skew: float, seconds: float, share: float) -> None:
    written_at = int(NOW - seconds * share + skew)
    date = format_datetime(datetime.fromtimestamp(written_at, UTC), usegmt=True)

    found = read_checkup(Reply(status=200, headers={**JSON, "date": date}, seconds=seconds), now=NOW)

    assert found.clock_ahead_seconds is not None
    assert abs(found.clock_ahead_seconds - skew) <= seconds / 2 + 0.501


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [
        (None, Level.OK, "not compared"),
        (-29.0, Level.OK, "agrees"),
        (7200.0, Level.WARNING, "7,200 s behind the API's"),
        (-90.0, Level.WARNING, "90 s ahead of the API's"),
    ],
)
def test_a_clock_that_is_off_is_a_warning(ahead: float | None, level: Level, words: str) -> None:
    finding = api.clock_agrees(Checkup(verdict=Verdict.WORKS, clock_ahead_seconds=ahead))

    assert said(finding) == (level, 0)
    assert words in finding.says


@pytest.mark.parametrize("text", ["", "yesterday", "Thu, 99 Foo 2026 00:00:00 GMT"])
def test_a_date_that_is_none_is_not_compared(text: str) -> None:
    assert read_checkup(Reply(status=200, headers={"date": text}), now=NOW).clock_ahead_seconds is None


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://proxy.example.com:3128", "proxy.example.com:3128"),
        ("http://me:s3cret@proxy.example.com:3128/", "proxy.example.com:3128"),
        ("me:s3cret@proxy:1", "proxy:1"),
        ("http://me:s3/c#r?e@t@proxy:1", "proxy:1"),
        ("http://me:s3cret@", ""),
    ],
)
def test_a_proxy_is_shown_without_its_credentials(monkeypatch: pytest.MonkeyPatch, proxy: str, shown: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "inside.example.com")

    assert proxy_host(URL) == shown
    assert proxy_host("https://inside.example.com") is None
    assert proxy_host("http://127.0.0.1:80") is None


def test_a_proxy_without_a_host_is_a_problem() -> None:
    assert said(api.proxy_in_use("")) == (Level.PROBLEM, 4)
    assert said(api.proxy_in_use("proxy:1")) == said(api.proxy_in_use(None)) == (Level.OK, 0)


@given(codes=st.lists(st.sampled_from([0, 1, 2, 4, 7])))
def test_the_exit_code_is_the_first_that_send_would_stop_with(codes: list[int]) -> None:
    findings = [problem("x", "is bad", "mend it", code) if code else warning("x", "is odd", "look") for code in codes]

    found = exit_code([well("x", "is well"), *findings])

    assert found == next((code for code in (1, 2, 7, 4) if code in codes), 0)


@pytest.mark.parametrize(
    ("limit", "level", "words"),
    [
        (1024, Level.OK, "1,024, enough for 64 workers"),
        (192, Level.OK, "192, enough for 64 workers"),
        (100, Level.WARNING, "100 at once, enough for 18 workers"),
        (10, Level.WARNING, "10 at once, enough for 0 workers"),
        (resource.RLIM_INFINITY, Level.OK, "as many as one likes"),
    ],
)
def test_open_files_are_held_against_the_most_workers(limit: int, level: Level, words: str) -> None:
    finding = machine.files_suffice(limit)

    assert (finding.level, finding.says) == (level, words)


def test_an_old_sqlite_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.versions_sound().level is Level.OK
    monkeypatch.setattr(machine, "sqlite_version", lambda: "3.51.2")
    assert machine.versions_sound().level is Level.WARNING


@pytest.mark.parametrize(("free", "level"), [(0, Level.PROBLEM), (199_999_999, Level.WARNING), (200_000_000, Level.OK)])
def test_a_disk_that_fills_up_is_told_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    monkeypatch.setattr(ledger, "free_bytes", lambda _: free)

    finding = ledger.disk_has_room(tmp_path / "not" / "there" / "ledger.db")

    assert finding.level is level
    assert finding.says == f"{sized(free)} free at {tmp_path}"


def test_a_ledger_on_a_network_file_system_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "file_system", lambda _: "nfs4")

    assert said(ledger.ledger_healthy(tmp_path / "ledger.db")) == (Level.PROBLEM, 7)


def test_doctor_allows_the_clock_as_much_as_send_does() -> None:
    assert ledger.CLOCK_SLACK_SECONDS == run.CLOCK_SLACK_SECONDS


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1 kB"),
        (114_688, "115 kB"),
        (999_900, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (82_100_000_000, "82.1 GB"),
        (9_000_000_000_000_000, "9000.0 TB"),
    ],
)
def test_sizes_read_well(count: int, text: str) -> None:
    assert sized(count) == text


def test_every_check_is_made_however_many_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_url: str, _token: SecretStr | None) -> Checkup:
        raise ZeroDivisionError("of all things")

    def no_disk(_folder: Path) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(doctor, "check_up", broken)
    monkeypatch.setattr(ledger, "free_bytes", no_disk)
    environ = {
        "INRO_API_TOKEN": "to ken",
        "INRO_API_URL": URL,
        "CAMPAIGN_LEDGER": str(tmp_path / "ledger.db"),
        "CAMPAIGN_LOG_LEVEL": "loud",
    }

    findings = asyncio.run(examine(environ))

    assert {finding.check: said(finding) for finding in findings if finding.level is Level.PROBLEM} == {
        "token": (Level.PROBLEM, 2),
        "API": (Level.PROBLEM, 1),
        "disk": (Level.PROBLEM, 7),
        "log settings": (Level.PROBLEM, 2),
    }
    assert {"proxy", "ledger", "open files", "versions"} <= {finding.check for finding in findings}
    assert all(finding.do for finding in findings if finding.level is not Level.OK)
    assert "to ken" not in str(findings)


def test_variables_that_can_not_be_used_are_problems_and_the_rest_is_looked_at() -> None:
    environ = {"INRO_API_URL": "ftp://example.com", "CAMPAIGN_LEDGER": "postgres://db/x", "INRO_API_TOKEN": "t"}

    findings = asyncio.run(examine(environ))

    assert [(finding.check, finding.level, finding.code) for finding in findings] == [
        ("API", Level.PROBLEM, 2),
        ("token", Level.WARNING, 0),
        ("ledger", Level.PROBLEM, 2),
        ("open files", Level.OK, 0),
        ("versions", Level.OK, 0),
        ("log settings", Level.OK, 0),
    ]
    assert findings[0].says.startswith("INRO_API_URL is 'ftp://example.com': expected https://HOST/PATH")
    assert all(finding.do for finding in findings if finding.level is not Level.OK)
