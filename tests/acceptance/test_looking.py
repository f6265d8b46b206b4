"""What can be known before, while and after a campaign is sent, and what can be tried without sending one."""

import http.client
import importlib.util
import re
import signal
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sender.sandbox import Sandbox
from tests.acceptance.command import EXECUTABLE, TOKEN, Command, Ended
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.media import MP4, PNG, write_media
from tests.acceptance.recorded import messages

CONFIGS = Path(__file__).parents[2] / "configs"
STATES = ["accepted", "not_found", "rejected", "unknown", "assumed_sent", "cancelled", "pending", "sending"]
KEYS: dict[str, list[str]] = {
    "run": [],
    "campaign": [],
    "account": [],
    "state": [],
    "audience": ["rows", "kept", "invalid", "duplicates", "excluded", "filtered", "already_planned"],
    "recipients": ["planned", *STATES],
    "chunks": ["planned", *(state for state in STATES if state != "not_found")],
    "requests": ["sent", "retried", "rate_limited"],
    "elapsed_seconds": [],
}
MIXED = "id,username,email\n7,,\n,ann,\n,nobody.here,\n,,eve@example.com\n"


def assert_shape(report: Any, *more: str) -> None:
    """The document has exactly the keys that are promised."""
    assert list(report) == [*KEYS, *more]
    for name, inner in KEYS.items():
        if inner:
            assert list(report[name]) == inner
            assert all(isinstance(count, int) for count in report[name].values())
    counts = report["recipients"]
    assert counts["planned"] == sum(counts[state] for state in STATES)


def text_of(ended: Ended) -> str:
    """What was printed, with all white space made one."""
    return " ".join(ended.out.split())


# Runs


def test_before_anything_was_sent_there_is_nothing_to_see_and_nothing_is_made(
    campaign: Command, tmp_path: Path
) -> None:
    ledger = campaign.environ["CAMPAIGN_LEDGER"]

    assert campaign("runs").out == "No run yet.\n"
    assert campaign("runs", "--json").json == {"runs": []}
    for command in (["status"], ["report", "spring"], ["report", "spring", "--format", "csv"]):
        ended = campaign(*command)
        assert (ended.code, ended.out) == (2, "")
        assert f"there is no ledger at {ledger} yet: nothing was ever sent from here" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_can_be_looked_at_in_every_form(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    write_campaign(tmp_path, "username\nann\n", name="older")
    assert campaign("send", "older.yaml", "--yes").code == 0
    write_campaign(tmp_path, MIXED + ",,no address\n,ANN,\n")
    sent = campaign("send", "spring.yaml", "--yes", "--json")
    assert sent.code == 0
    assert_shape(sent.json)

    status = campaign("status", "--json")
    assert status.json == campaign("report", "spring", "--format", "json").json == sent.json
    runs = campaign("runs", "--json").json
    assert list(runs) == ["runs"]
    assert [run["run"] for run in runs["runs"]] == ["spring", "older"]
    assert runs["runs"][0] == sent.json
    assert_shape(runs["runs"][1])
    table = campaign("runs").out.splitlines()
    assert table[0].split() == ["run", "account", "state", "planned", "accepted", "pending", "unknown", "rejected"]
    assert table[1].split() == ["spring", "default", "completed", "4", "3", "0", "0", "0"]

    text = text_of(campaign("report", "spring"))
    assert text.startswith("spring: completed, ")
    for words in ("planned 4", "accepted 3", "not found 1", "rows 6", "invalid 1", "duplicates 1", "3 chunks, 3 calls"):
        assert words in text
    assert "delivered" not in text

    lines = campaign("report", "spring", "--format", "csv").out.splitlines()
    assert lines[0].startswith("id,username,email,")
    assert [line.split(",")[:7] for line in lines[1:]] == [
        ["7", "", "", "id", "people.csv", "2", "accepted"],
        ["", "ann", "", "username", "people.csv", "3", "accepted"],
        ["", "nobody.here", "", "username", "people.csv", "4", "not_found"],
        ["", "", "eve@example.com", "email", "people.csv", "5", "accepted"],
    ]
    some = campaign("report", "--format", "csv", "--state", "not-found, rejected").out.splitlines()
    assert some == [lines[0], lines[3]]


def test_questions_that_make_no_sense_are_answered_with_what_would(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    assert campaign("send", file).code == 2
    nothing = campaign("status")
    assert (nothing.code, nothing.out) == (2, "")
    assert "the ledger has no run yet" in nothing.err
    assert campaign("send", file, "--yes").code == 0

    for command in (["status", "autumn"], ["report", "autumn", "--format", "csv"]):
        unknown = campaign(*command)
        assert (unknown.code, unknown.out) == (2, "")
        assert "there is no run 'autumn'; the ledger has: spring" in unknown.err
    state = campaign("report", "spring", "--format", "csv", "--state", "delivered")
    assert (state.code, state.out) == (2, "")
    assert "'delivered' is no state; there are accepted, not_found" in " ".join(state.err.replace("│", " ").split())
    assert campaign("report", "spring", "--state", "accepted").code == 2


def test_a_run_can_be_looked_at_while_it_is_sent_and_after_its_sender_was_killed(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, ["ann", "bob", "cat", "dan"], delivery="{rate: 1000/s, chunk_size: 1, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"script": "ok", "rate-hang": "1"})
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["deliveries_total"] == 3 and "chunk.accepted" in running.err)

        live = campaign("status", "--json").json
        assert_shape(live)
        assert live["state"] == "running"
        assert live["elapsed_seconds"] > 0
        assert live["recipients"] == {
            **dict.fromkeys(STATES, 0), "planned": 4, "accepted": 1, "sending": 2, "pending": 1
        }  # fmt: skip
        text = text_of(campaign("status", "spring"))
        assert f"sent by process {running.process.pid} on " in text

        running.send_signal(signal.SIGKILL)
        running.end()
        dead = campaign("status", "--json").json
        assert_shape(dead, "reason")
        assert (dead["state"], dead["recipients"]) == ("interrupted", live["recipients"])
        text = text_of(campaign("status"))
        assert text.startswith("spring: interrupted, ")
        assert "its sender died; the same command goes on" in text
        assert "sent by" not in text
        doubtful = campaign("report", "--format", "csv", "--state", "sending").out.splitlines()
        assert len(doubtful) == 3


def test_a_stopped_run_says_why(tmp_path: Path) -> None:
    file = write_campaign(tmp_path)
    with serving(plan="free") as sandbox:
        campaign = pointed_at(sandbox, tmp_path)

        stopped = campaign("send", file, "--yes", "--json")

        assert stopped.code == 4
        assert_shape(stopped.json, "reason")
        assert stopped.json["state"] == "stopped"
        assert "HTTP 403: The API needs a Pro or Trial plan" in stopped.json["reason"]
        assert stopped.json["recipients"]["pending"] == 2
        assert stopped.json["reason"] in campaign("status").out


# One message to try


@pytest.mark.parametrize(
    ("to", "who"),
    [
        ("@Maria.Rossi", {"contact_username": "maria.rossi"}),
        ("Maria@Example.com", {"contact_email": "maria@example.com"}),
        ("00178", {"contact_id": 178}),
        ("https://www.instagram.com/maria.rossi/", {"contact_username": "maria.rossi"}),
    ],
    ids=["name", "e-mail", "id", "profile"],
)
def test_a_test_goes_to_the_one_contact_that_is_meant_through_the_singular_field(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, to: str, who: dict[str, Any]
) -> None:
    file = write_campaign(tmp_path)

    ended = campaign("test", file, "--to", to)

    [address] = who.values()
    assert ended.code == 0
    assert ended.out == f"Accepted: the message to {address} is on its way, if the contact is active.\n"
    [call] = sandbox.requests()
    assert call["json"] == {**who, "message_type": "text", "text": "Hello"}
    assert call["idempotency_key"]
    assert campaign("runs").out == "No run yet.\n"


def test_a_test_to_somebody_unknown_says_so(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path)

    ended = campaign("test", file, "--to", "@nobody.here")
    assert (ended.code, ended.out) == (3, "Not accepted: no such contact\n")
    said = campaign("test", file, "--to", "@nobody.here", "--json")
    assert said.code == 3
    assert said.json == {
        "to": "nobody.here",
        "kind": "username",
        "outcome": "accepted",
        "reason": "",
        "not_found": True,
        "status": 202,
    }
    # A second test is meant to arrive a second time.
    keys = [call["idempotency_key"] for call in messages(sandbox)]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("to", ["", "two words", "0", "ann@", "https://www.instagram.com/p/Cx1yZ2/"])
def test_a_test_to_what_is_no_contact_sends_nothing(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, to: str
) -> None:
    ended = campaign("test", write_campaign(tmp_path), "--to", to)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("campaign: --to: ")
    assert sandbox.requests() == []


# Media


def test_posts_and_kept_files_are_listed(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    medias = campaign("medias", "--json")
    assert medias.code == 0
    assert list(medias.json) == ["medias"]
    assert len(medias.json["medias"]) == 12
    assert medias.json["medias"][0] == {
        "media_id": "17912345678904550",
        "media_type": "VIDEO",
        "caption": "Spring drop, first look 🌿",
        "permalink": "https://www.instagram.com/reel/C00SandboxZ/",
        "timestamp": "2026-11-20T17:30:00+00:00",
    }
    upload = campaign("media-files", "upload", write_media(tmp_path, "spring.png", PNG))
    assert upload.out == "https://files.sandbox.invalid/1/spring.png\n"
    assert campaign("media-files", "upload", write_media(tmp_path, "walk.mp4", MP4)).code == 0
    files = campaign("media-files", "--type", "video", "--json")
    assert files.json == {
        "media_files": [
            {"id": "2", "media_type": "video", "url": "https://files.sandbox.invalid/2/walk.mp4", "caption": ""}
        ]
    }
    listed = campaign("media-files").out.splitlines()
    assert [line.split()[:2] for line in listed] == [["id", "media_type"], ["2", "video"], ["1", "image"]]


def test_a_table_that_is_piped_has_one_whole_line_for_each_post(campaign: Command, sandbox: Sandbox) -> None:
    table = campaign("medias").out.splitlines()

    assert table[0].split() == ["media_id", "media_type", "timestamp", "permalink", "caption"]
    assert len(table) == 13
    assert table[1].split()[:4] == [
        "17912345678904550",
        "VIDEO",
        "2026-11-20T17:30:00+00:00",
        "https://www.instagram.com/reel/C00SandboxZ/",
    ]


# Campaign files


def test_the_schema_describes_every_campaign_to_copy(campaign: Command) -> None:
    ended = campaign("schema", environ={"INRO_API_TOKEN": None})
    assert ended.code == 0
    schema = ended.json
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) == {"campaign", "audience", "message"}
    assert schema["additionalProperties"] is False
    files = sorted(CONFIGS.glob("*.yaml"))
    assert files
    for file in files:
        # As the product reads it: every plain value is the text that stands there.
        document = yaml.load(file.read_text("utf-8"), Loader=yaml.SafeLoader)
        assert_described(document, schema)


def assert_described(document: dict[str, Any], schema: dict[str, Any]) -> None:
    """The document fits its schema; without jsonschema, at least its keys are those that the schema names."""
    if importlib.util.find_spec("jsonschema"):
        import_module("jsonschema").validate(document, schema)
    assert set(schema["required"]) <= document.keys() <= schema["properties"].keys()
    for name, section in document.items():
        known = _keys(schema["properties"][name], schema)
        if isinstance(section, dict) and known:
            assert section.keys() <= known


def _keys(part: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """All keys that a section may have, through references and alternatives."""
    found = set(part.get("properties", ()))
    if "$ref" in part:
        found |= _keys(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    for alternative in (*part.get("anyOf", ()), *part.get("oneOf", ()), *part.get("allOf", ())):
        found |= _keys(alternative, schema)
    return found


def test_what_init_writes_can_be_checked_planned_and_rehearsed(campaign: Command, tmp_path: Path) -> None:
    written = campaign("init", "spring drop")
    assert written.code == 0
    folder = tmp_path / "spring drop"
    assert sorted(path.name for path in folder.iterdir()) == ["campaign.yaml", "people.csv"]
    file = folder / "campaign.yaml"

    assert campaign("check", file).out == f"{file}: ok, 3 recipients\n"
    planned = text_of(campaign("plan", file))
    assert planned.startswith("spring-drop: text, account default")
    assert re.search("recipients planned 3 by id 1 in 1 calls? by username 1 in 1 calls? by email 1 in 1 call", planned)
    rehearsed = campaign("send", file, "--sandbox", "--rate", "1000/s", "--json")
    assert rehearsed.code == 0
    assert rehearsed.json["recipients"]["accepted"] == 3


def test_init_overwrites_nothing(campaign: Command, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("username\nann\n")

    refused = campaign("init")

    assert (refused.code, refused.out) == (2, "")
    assert "people.csv exists already, and nothing was written" in refused.err
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]
    assert (tmp_path / "people.csv").read_text() == "username\nann\n"


@pytest.mark.parametrize("command", ["plan", "check"])
def test_a_preview_is_one_json_document(campaign: Command, tmp_path: Path, command: str) -> None:
    file = write_campaign(tmp_path, MIXED, delivery="{rate: 2/s, chunk_size: 1}")

    ended = campaign(command, file, "--json")

    assert ended.code == 0
    found = ended.json if command == "plan" else ended.json["files"][0]
    assert found["recipients"] == {"planned": 4, "id": 1, "username": 2, "email": 1}
    assert found["calls"] == {"planned": 4, "id": 1, "username": 2, "email": 1}
    assert found["audience"]["rows"] == found["audience"]["kept"] == 4
    assert found["seconds_at_rate"] == 1.5


# Rehearsals


def test_a_rehearsal_reads_no_token_and_touches_no_ledger_but_its_own(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path)
    without = {"INRO_API_TOKEN": None, "INRO_API_TOKEN_FILE": str(tmp_path / "no-such-file"), "INRO_API_URL": "ftp:x"}

    assert campaign("send", file, "--yes", environ=without).code == 2
    rehearsed = campaign("send", file, "--sandbox", "--json", environ=without)
    tried = campaign("test", file, "--to", "@ann", "--sandbox", environ=without)
    looked = campaign("medias", "--sandbox", "--json", environ=without)

    assert (rehearsed.code, tried.code, looked.code) == (0, 0, 0)
    assert rehearsed.json["recipients"]["accepted"] == 2
    assert sandbox.requests() == []
    folder = Path(campaign.environ["CAMPAIGN_LEDGER"]).parent
    assert {path.name.partition(".")[0] for path in folder.iterdir()} == {"ledger-sandbox"}
    assert campaign("status", "--sandbox", "--json").json == rehearsed.json
    assert campaign("runs").out == "No run yet.\n"
    # The same campaign is as new to the real API as it was before.
    assert campaign("send", file, "--expect", "2").code == 0
    assert sandbox.stats()["deliveries_total"] == 2


def test_a_campaign_with_an_upload_can_be_rehearsed(campaign: Command, tmp_path: Path) -> None:
    write_media(tmp_path, "spring.png", PNG)
    file = write_campaign(tmp_path, message="{type: image, image: spring.png}")

    rehearsed = campaign("send", file, "--sandbox", "--json")

    assert rehearsed.code == 0
    assert rehearsed.json["recipients"]["accepted"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_sandbox_serves_until_it_is_told_to_end(tmp_path: Path, number: signal.Signals) -> None:
    environ = {"PATH": str(EXECUTABLE.parent), "HOME": str(tmp_path)}
    command: list[str | Path] = [
        EXECUTABLE,
        "sandbox",
        "--port",
        "0",
        "--token",
        TOKEN,
        "--unknown",
        "bob",
        "--fault",
        "latency=1ms",
    ]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        page, api = (process.stdout.readline().split() for _ in range(2))
        assert (page[0], api[0]) == ("Page", "API")
        campaign = Command(folder=tmp_path, environ={"INRO_API_URL": api[1], "INRO_API_TOKEN": TOKEN})

        empty = get(page[1])
        sent = campaign("send", write_campaign(tmp_path), "--yes", "--json")
        shown = get(page[1])

        process.send_signal(number)
        assert process.wait(10) in (0, 128 + number)
        assert process.stderr.read() == ""
    assert sent.json["recipients"]["accepted"] == sent.json["recipients"]["not_found"] == 1
    assert empty.startswith("<!doctype html>")
    assert api[1] in empty
    assert "username:ann" in shown or "ann" in shown
    assert TOKEN not in empty + shown


def get(url: str) -> str:
    """The page at that address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", parts.path)
        reply = connection.getresponse()
        assert (reply.status, reply.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
        return reply.read().decode()
    finally:
        connection.close()


def test_a_port_that_is_taken_is_said_to_be(campaign: Command, sandbox: Sandbox) -> None:
    taken = campaign("sandbox", "--port", str(urlsplit(sandbox.origin).port))

    assert (taken.code, taken.out) == (2, "")
    assert "port is taken" in taken.err
    assert "Traceback" not in taken.err
