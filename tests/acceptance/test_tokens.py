"""The API token: what happens without a right one, and that it is seen by nobody but the API."""

import signal
from pathlib import Path

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import TOKEN, Command, Ended
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.received import addresses, nothing_came
from tests.acceptance.servers import Answer, answering, reply

WRONG_TOKEN = "wrong-token-0815-secret"


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, by its name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tells(token: str, ended: Ended, folder: Path) -> list[str]:
    """Where the token can be read: in what was printed, or in a file of the ledger's folder."""
    places = {"standard output": ended.out.encode(), "standard error": ended.err.encode(), **files_of(folder)}
    return [name for name, content in places.items() if token.encode() in content]


def test_a_wrong_token_stops_the_run_keeps_everybody_pending_and_is_written_nowhere(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    environ = {"INRO_API_TOKEN": WRONG_TOKEN, "CAMPAIGN_LOG_LEVEL": "debug"}

    stopped = campaign("send", file, "--yes", "--json", environ=environ)

    assert stopped.code == 4
    assert stopped.json["state"] == "stopped"
    assert stopped.json["reason"] == "HTTP 401: The bearer token is missing or wrong"
    assert stopped.json["recipients"]["pending"] == stopped.json["recipients"]["planned"] == 2
    assert stopped.json["chunks"]["pending"] == 1
    assert sandbox.stats()["deliveries_total"] == 0
    assert files_of(tmp_path / "state")
    assert tells(WRONG_TOKEN, stopped, tmp_path / "state") == []
    assert campaign("send", file).code == 0, "with the right token the same command goes on"
    assert sandbox.stats()["most_to_one"] == 1


def test_while_it_sends_the_token_is_in_no_file_of_the_ledger(tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"rate-hang": "1"})
        running = pointed_at(sandbox, tmp_path).start("send", file, "--yes", environ={"CAMPAIGN_LOG_LEVEL": "debug"})
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 2)
        files = files_of(tmp_path / "state")
        running.send_signal(signal.SIGKILL)
        killed = running.end()

    assert "ledger.db-wal" in files
    assert [name for name, content in files.items() if TOKEN.encode() in content] == []
    assert tells(TOKEN, killed, tmp_path / "state") == []


def test_without_a_token_nothing_is_sent_and_one_reads_what_to_set(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)

    for empty in (None, "  "):
        refused = campaign("send", file, "--yes", environ={"INRO_API_TOKEN": empty})
        assert (refused.code, refused.out) == (2, "")
        assert refused.err == (
            "campaign: no API token: set INRO_API_TOKEN to your organization's token (in Inrō: Settings, API), "
            "or INRO_API_TOKEN_FILE to a file that holds it; --sandbox needs none\n"
        )
    assert nothing_came(sandbox)


def test_the_token_may_stand_in_a_file(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\r\n", "utf-8")

    sent = campaign(
        "send",
        write_campaign(tmp_path),
        "--yes",
        environ={"INRO_API_TOKEN": None, "INRO_API_TOKEN_FILE": str(tmp_path / "token")},
    )

    assert sent.code == 0
    assert addresses(sandbox) == ["ann", "bob"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "can't be read: No such file or directory"),
        (b" \n", "is empty"),
        (b"\xff\xfe\x00", "can't be read: not a text file"),
    ],
)
def test_a_token_file_that_holds_none_is_refused(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = write_campaign(tmp_path)
    if content is not None:
        (tmp_path / "token").write_bytes(content)

    refused = campaign("send", file, "--yes", environ={"INRO_API_TOKEN": None, "INRO_API_TOKEN_FILE": "token"})

    assert refused.code == 2
    assert refused.err == f"campaign: the file that INRO_API_TOKEN_FILE names {reason}\n"
    assert nothing_came(sandbox)


@pytest.mark.parametrize("token", ["two words-4711", "line\nbreak-4711", "quoted\u201d-4711"])
def test_a_malformed_token_is_refused_without_being_repeated(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, token: str
) -> None:
    file = write_campaign(tmp_path)
    (tmp_path / "token").write_text(token, "utf-8")

    given = campaign("send", file, "--yes", environ={"INRO_API_TOKEN": token})
    from_file = campaign("send", file, "--yes", environ={"INRO_API_TOKEN": None, "INRO_API_TOKEN_FILE": "token"})

    for refused in (given, from_file):
        assert refused.code == 2
        assert refused.err == (
            "campaign: the API token holds characters that no token has: copy it again, without spaces or quotes\n"
        )
    assert nothing_came(sandbox)


def test_a_free_plan_stops_the_run_with_the_words_of_the_api(tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    with serving(plan="free") as sandbox:
        stopped = pointed_at(sandbox, tmp_path)("send", file, "--yes", "--json")

        assert stopped.code == 4
        assert stopped.json["reason"] == "HTTP 403: The API needs a Pro or Trial plan"
        assert stopped.json["recipients"]["pending"] == 2
        assert sandbox.stats()["deliveries_total"] == 0


def the_token_in(request: bytes) -> bytes:
    return next(line.split()[-1] for line in request.split(b"\r\n") if line.lower().startswith(b"authorization:"))


ECHOES: dict[str, Answer] = {
    "a refused token": lambda request: reply("401 Unauthorized", b'{"error": "no: %b"}' % the_token_in(request)),
    "a refused message": lambda request: reply("422 Unprocessable", b'{"errors": ["%b"]}' % the_token_in(request)),
    "a server's fault": lambda request: reply("500 Oops", b"<pre>%b</pre>" % request),
    "a reply of success": lambda request: reply("202 Accepted", b'{"batch_task_id": "%b"}' % the_token_in(request)),
    "a reply that breaks off": lambda request: reply("401 No", b'{"error": "%b"}' % the_token_in(request))[:-2],
}


def sent_to(answer: Answer, folder: Path) -> tuple[Ended, Ended]:
    """What a send to that server and the report on it print, logs at debug."""
    file = write_campaign(folder, delivery="{rate: 1000/s, max_wait: 1s, workers: 1}")
    with answering(answer) as server:
        environ = {
            "INRO_API_URL": server.url,
            "INRO_API_TOKEN": TOKEN,
            "CAMPAIGN_LEDGER": str(folder / "state" / "ledger.db"),
            "CAMPAIGN_LOG_LEVEL": "debug",
        }
        campaign = Command(folder=folder, environ=environ)
        ended, report = campaign("send", file, "--yes", "--json"), campaign("report", "--format", "csv")
        assert any(TOKEN.encode() in request for request in server.received)
    return ended, report


@pytest.mark.parametrize("case", ECHOES)
def test_an_api_that_repeats_the_token_makes_it_appear_nowhere(tmp_path: Path, case: str) -> None:
    ended, report = sent_to(ECHOES[case], tmp_path)

    assert ended.code in (0, 3, 4)
    assert tells(TOKEN, ended, tmp_path / "state") == []
    assert tells(TOKEN, report, tmp_path / "state") == []


ODD_ECHOES: dict[str, Answer] = {
    "in the id of the request": lambda request: reply("401 No", X_Request_Id=the_token_in(request).decode()),
    "in a status line that is none": lambda request: the_token_in(request) + b"\r\n\r\n",
    "in a header that is none": lambda request: b"HTTP/1.1 401 No\r\n" + the_token_in(request) + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", ODD_ECHOES)
def test_an_api_that_repeats_the_token_in_odd_places_makes_it_appear_nowhere(tmp_path: Path, case: str) -> None:
    ended, report = sent_to(ODD_ECHOES[case], tmp_path)

    assert ended.code in (3, 4)
    assert tells(TOKEN, ended, tmp_path / "state") == []
    assert tells(TOKEN, report, tmp_path / "state") == []


@pytest.mark.parametrize("url", ["http://192.0.2.1/api/v1", "http://localhost.example.com/api/v1"])
def test_the_token_is_not_shown_to_a_network(campaign: Command, tmp_path: Path, url: str) -> None:
    refused = campaign("send", write_campaign(tmp_path), "--yes", environ={"INRO_API_URL": url})

    assert refused.code == 2
    assert refused.err == (
        f"campaign: INRO_API_URL is '{url}': plain http would show the token to the network; use https\n"
    )


@pytest.mark.parametrize("status", ["302 Found", "308 Permanent"])
def test_a_redirect_is_not_followed_and_its_target_never_sees_the_token(tmp_path: Path, status: str) -> None:
    with answering(lambda request: reply("202 Accepted")) as target:
        ended, _ = sent_to(lambda request: reply(status, Location=target.url), tmp_path)

        assert ended.code == 4
        assert ended.json["recipients"]["pending"] == 2
        assert ended.json["reason"] == f"HTTP {status[:3]}"
        assert target.received == []
