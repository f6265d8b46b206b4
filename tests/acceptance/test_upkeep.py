"""`doctor` and `ledger`: is everything well, and looking after the ledger while it is used."""

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from sender.sandbox import Sandbox
from tests.acceptance.command import TOKEN, Command, Ended
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.servers import answering, reply

PEOPLE = [f"person{number}" for number in range(400)]
WRONG_TOKEN = "wrong-token-0815-secret"
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"


def found(ended: Ended) -> dict[str, tuple[str, str]]:
    """Each check of `doctor --json`: its level, and what it says."""
    return {each["check"]: (each["level"], each["says"]) for each in ended.json["findings"]}


def not_ok(ended: Ended) -> dict[str, str]:
    """The checks that are not ok, by their level; each says what to do."""
    assert all(bool(each["do"]) == (each["level"] != "ok") for each in ended.json["findings"])
    return {check: level for check, (level, _) in found(ended).items() if level != "ok"}


def one_line(ended: Ended) -> str:
    return " ".join(ended.out.split())


def test_all_is_well_and_no_ledger_is_made(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    ended = campaign("doctor")

    assert (ended.code, ended.err) == (0, "")
    lines = [line.split(maxsplit=1)[0] for line in ended.out.splitlines()]
    assert lines == ["ok"] * 9
    assert f"{sandbox.url} answers" in ended.out
    assert "none yet; `send` makes it at" in ended.out
    assert TOKEN not in ended.out
    assert list(tmp_path.iterdir()) == []
    assert [request["method"] for request in sandbox.requests()] == ["GET"]


def test_a_wrong_token_and_a_damaged_ledger_are_found_at_once(campaign: Command, tmp_path: Path) -> None:
    ledger = tmp_path / "state" / "ledger.db"
    assert campaign("send", write_campaign(tmp_path), "--yes").code == 0
    content = bytearray(ledger.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    ledger.write_bytes(content)
    ledger.chmod(0o644)

    ended = campaign("doctor", "--json", environ={"INRO_API_TOKEN": WRONG_TOKEN})

    assert (ended.code, ended.json["ok"]) == (7, False)
    assert not_ok(ended).items() >= {"token": "problem", "ledger": "problem", "ledger permissions": "warning"}.items()
    assert found(ended)["API"][0] == "ok"
    assert f"the ledger {ledger}: it is damaged" in found(ended)["ledger"][1]
    assert WRONG_TOKEN not in ended.out + ended.err
    assert ledger.read_bytes() == content


def test_an_api_that_does_not_answer_is_a_problem(campaign: Command) -> None:
    ended = campaign("doctor", environ={"INRO_API_URL": "http://127.0.0.1:9/api/v1"})

    assert (ended.code, ended.err) == (4, "")
    assert "problem API http://127.0.0.1:9/api/v1 does not answer: no connection" in one_line(ended)


def test_another_clock_is_a_warning_found_by_one_get(campaign: Command) -> None:
    with answering(lambda _: reply("200 OK", b"{}", Content_Type="application/json", Date=LONG_AGO)) as server:
        skewed = campaign("doctor", "--json", environ={"INRO_API_URL": server.url})
        assert [request.split()[0] for request in server.received] == [b"GET"]

    assert (skewed.code, not_ok(skewed)) == (0, {"clock": "warning"})
    assert found(skewed)["clock"][1].endswith(" s ahead of the API's")


def records(ended: Ended) -> list[Any]:
    return [orjson.loads(line) for line in ended.out.splitlines()]


def test_everything_but_vacuum_works_while_a_run_is_sent(tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 10/s, chunk_size: 2, workers: 2}")
    backup = tmp_path / "backup.db"
    with serving() as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        running = campaign.start("send", file, "--yes")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 1)
        vacuumed = campaign("ledger", "vacuum")
        backed_up = campaign("ledger", "backup", backup)
        exported = campaign("ledger", "export", "spring")
        checked = campaign("doctor", "--json")
        running.send_signal(signal.SIGKILL)
        running.end()
        afterwards = campaign("doctor")

    assert vacuumed.code == 5
    assert f"process {running.process.pid} on" in vacuumed.err
    assert (backed_up.code, backed_up.err) == (0, "")
    assert backed_up.out.startswith(f"Backed up to {backup}: ")
    with closing(sqlite3.connect(backup)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("select sum(size) from chunk").fetchall() == [(len(PEOPLE),)]
    recipients = [record for record in records(exported) if record["type"] == "recipient"]
    assert sorted(record["username"] for record in recipients) == sorted(PEOPLE)
    assert {"accepted", "pending"} <= set(Counter(record["state"] for record in recipients))
    assert (checked.code, not_ok(checked)) == (0, {})
    assert found(checked)["runs"] == ("ok", "1 run, 1 being sent now")
    assert afterwards.code == 0
    words = "warning dead senders the sender died of spring -> the same `campaign send` goes on where it stopped"
    assert words in one_line(afterwards)
