"""Campaigns that send themselves: `schedule`, `due`, occurrences, windows and deadlines, through the real command.

Times are some minutes or hours from now in UTC, whose clocks never change, so no boundary can fall into a test.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sender.sandbox import Sandbox
from tests.acceptance.command import Command, Running
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.received import nothing_came

PEOPLE = 40
SLOW = "{rate: 10/s, chunk_size: 1, workers: 2, max_wait: 10s}"
FAST = "{rate: 1000/s, chunk_size: 1, workers: 2, max_wait: 10s}"


def hours_from_now(hours: float) -> datetime:
    return datetime.now(UTC) + timedelta(hours=hours)


def once(hours: float) -> str:
    return f"schedule: {{at: '{hours_from_now(hours):%Y-%m-%d %H:%M:%S}', timezone: UTC}}\n"


def daily(moment: datetime) -> str:
    return f"schedule: {{cron: '{moment.minute} {moment.hour} * * *', timezone: UTC}}\n"


def window(hours: float) -> str:
    """A window of an hour that opens so many hours from now."""
    begin, end = hours_from_now(hours), hours_from_now(hours + 1)
    return f"window: {{from: '{begin:%H:%M}', to: '{end:%H:%M}', timezone: UTC}}\n"


@contextmanager
def started(campaign: Command, *arguments: str | Path) -> Iterator[Running]:
    """The command under way, which is stopped if a test fails before."""
    running = campaign.start(*arguments)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.send_signal(signal.SIGTERM)
            running.end()


def sent_to(sandbox: Sandbox, name: str) -> int:
    """How many of those people have got a message."""
    return sum(person.startswith(f"username:{name}") for person in sandbox.stats()["deliveries"])


def by_run(sent: Any) -> dict[str, Any]:
    return {each["run"]: each for each in sent}


def test_due_sends_what_is_due_cancels_what_was_missed_and_leaves_the_rest(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    folder, ten_minutes_ago = tmp_path / "campaigns", hours_from_now(-1 / 6)
    folder.mkdir()
    occurrence = f"daily@{ten_minutes_ago:%Y-%m-%dT%H:%M}"
    recurring = write_campaign(folder, ["ann", "bob"], name="daily", more=daily(ten_minutes_ago))
    for name, hours in (("missed", -3.0), ("later", 2.0)):
        write_campaign(folder, ["ann", "bob"], name=name, more=once(hours))
    bad = write_campaign(folder, ["ann", "bob"], name="bad", more="schedule: sometimes\n")

    first = campaign("due", folder, "--json")
    sent = by_run(first.json["sent"])
    assert first.code == 3, "the highest of 0, 3 for the missed one, and 2 for the bad file"
    assert {run: (each["exit_code"], each["report"]["state"]) for run, each in sent.items()} == {
        occurrence: (0, "completed"),
        "missed": (3, "cancelled"),
    }
    reason = sent["missed"]["report"]["reason"]
    assert reason.startswith("cancelled by misfire: due ")
    assert reason.endswith(" late, grace 1h")
    assert first.json["problems"][0].startswith(f"{bad}:")
    assert sandbox.stats()["deliveries_total"] == 2

    second = campaign("due", folder)
    assert (second.code, second.out) == (2, "Nothing is due.\n")
    [bad_file] = [event for event in second.events if event["event"] == "schedule.bad_file"]
    assert str(bad) in bad_file["problem"]

    listed = campaign("schedule", folder, "--list", "--json")
    assert listed.code == 2
    states = [(each["run"], each["state"]) for each in listed.json["occurrences"]]
    tomorrow = ten_minutes_ago + timedelta(days=1)
    assert states[:4] == [
        ("missed", "cancelled"),
        (occurrence, "completed"),
        ("later", "planned"),
        (f"daily@{tomorrow:%Y-%m-%dT%H:%M}", "planned"),
    ]

    again = campaign("send", recurring, "--yes", "--occurrence", occurrence.removeprefix("daily@"))
    assert again.code == 0
    assert "Nothing is left to send" in again.err
    assert sandbox.stats()["deliveries_total"] == 2


def test_a_killed_scheduler_leaves_its_sender_at_work_and_one_that_is_stopped_lets_it_finish(tmp_path: Path) -> None:
    folder = tmp_path / "campaigns"
    more = folder / "more"
    more.mkdir(parents=True)
    springs, summers = ([f"{name}{n}" for n in range(PEOPLE)] for name in ("spring", "summer"))
    write_campaign(folder, springs, more=once(-0.01), delivery=SLOW)
    with serving() as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        with started(campaign, "schedule", folder) as first:
            first.wait_for(lambda: sent_to(sandbox, "spring") >= 2)
            first.send_signal(signal.SIGKILL)
            first.process.wait()
        with started(campaign, "schedule", folder, more) as second:
            bad = write_campaign(more, summers, name="summer", more="schedule: soon\n", delivery=SLOW)
            second.wait_for(lambda: str(bad) in second.err)
            write_campaign(more, summers, name="summer", more=once(-0.01), delivery=SLOW)
            second.wait_for(lambda: sent_to(sandbox, "summer") >= 2)
            second.send_signal(signal.SIGTERM)
            stopped = second.end()

        assert stopped.code == 0
        codes = [(each["run"], each["exit_code"]) for each in stopped.events if each["event"] == "schedule.sent"]
        assert codes == [("summer", 143)]
        assert [each["run"] for each in stopped.events if each["event"] == "schedule.due"] == ["summer"]
        assert 2 <= sent_to(sandbox, "summer") < PEOPLE
        first.end()  # when its sender has ended, which holds its standard error open
        assert sent_to(sandbox, "spring") == PEOPLE

        write_campaign(more, summers, name="summer", more=once(-9), delivery=FAST)
        finished = campaign("due", folder, more, "--json")
        assert finished.code == 0, "what has begun goes on, however late"
        [sent] = finished.json["sent"]
        assert (sent["report"]["recipients"]["accepted"], sent["report"]["recipients"]["unknown"]) == (PEOPLE, 0)
        assert sent_to(sandbox, "summer") == PEOPLE
        assert sandbox.stats()["most_to_one"] == 1


def test_a_run_waits_for_its_window_goes_on_in_it_and_is_cancelled_after_its_deadline(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, delivery=FAST, more=window(2))
    with started(campaign, "send", file, "--yes", "--json") as waiting:
        waiting.wait_for(lambda: "run.waiting" in waiting.err)
        status = campaign("status", "--json").json
        waiting.send_signal(signal.SIGTERM)
        interrupted = waiting.end()
    assert status["state"] == "scheduled"
    assert status["reason"].startswith("outside its window, waits until ")
    assert interrupted.code == 143
    assert (interrupted.json["state"], interrupted.json["recipients"]["pending"]) == ("interrupted", 2)
    assert nothing_came(sandbox)

    write_campaign(tmp_path, delivery=FAST, more=window(-0.5))
    canary = campaign("send", file, "--limit", "1", "--json")
    assert (canary.code, canary.json["recipients"]["accepted"]) == (0, 1)

    write_campaign(tmp_path, delivery=FAST, more=f"not_after: {hours_from_now(-1):%Y-%m-%d %H:%M}Z\n")
    late = campaign("send", file, "--json")
    assert (late.code, late.json["state"]) == (3, "cancelled")
    assert late.json["reason"].startswith("cancelled by not_after, ")
    assert (late.json["recipients"]["accepted"], late.json["recipients"]["cancelled"]) == (1, 1)

    refused = campaign("send", file, "--yes", "--run", "another")
    assert refused.code == 2
    assert "not_after has passed" in refused.err
    assert sandbox.stats()["deliveries_total"] == 1
