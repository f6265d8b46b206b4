"""What bounds a sending, and what may change between its start and its end."""

import os
from pathlib import Path
from typing import Any

import pytest

from sender.sandbox import Sandbox
from tests.acceptance.command import Command, Ended
from tests.acceptance.conftest import serving
from tests.acceptance.files import write_campaign
from tests.acceptance.recorded import addressed, everybody, messages

PEOPLE = [f"person{number:02}" for number in range(30)]
TENS = "{rate: 1000/s, chunk_size: 10, workers: 1}"
LIMIT_REACHED = "The plan's first 13 recipients are done, with 17 pending: the same command without --limit goes on."
EXCLUDE = "  exclude: [optouts.csv]\n"
# The second row of ann tells an address that no recipient of the plan carries.
TIED = "username,email\nzoe,\nann,ann@example.com\nbob,\nann,ann.b@example.com\n"


def exclude(folder: Path, *people: str, header: str = "username") -> None:
    """An exclusion list of these people."""
    (folder / "optouts.csv").write_text(header + "\n" + "".join(f"{person}\n" for person in people), "utf-8")


def assert_reconciles(ended: Ended, **recipients: int) -> None:
    """The summary has these recipients and no others, and says of each planned one what became of them."""
    counts: dict[str, int] = ended.json["recipients"]
    assert {name: count for name, count in counts.items() if count} == recipients
    assert counts["planned"] == sum(count for name, count in counts.items() if name != "planned")
    chunks: dict[str, int] = ended.json["chunks"]
    assert chunks["planned"] == sum(count for name, count in chunks.items() if name != "planned")


# Limits


def test_a_canary_goes_to_the_first_of_the_plan_and_the_same_command_without_a_limit_goes_on(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS)

    canary = campaign("send", file, "--yes", "--limit", "13", "--json")
    assert canary.code == 0
    assert canary.json["state"] == "interrupted"
    assert_reconciles(canary, planned=30, accepted=13, pending=17)
    assert LIMIT_REACHED in canary.err
    assert everybody(sandbox) == PEOPLE[:13]

    same = campaign("send", file, "--yes", "--limit", "13", "--json")
    assert same.code == 0
    assert_reconciles(same, planned=30, accepted=13, pending=17)
    assert LIMIT_REACHED in same.err
    assert len(messages(sandbox)) == 2

    more = campaign("send", file, "--limit", "14", "--json")
    assert_reconciles(more, planned=30, accepted=14, pending=16)
    assert everybody(sandbox) == PEOPLE[:14]

    rest = campaign("send", file, "--json")
    assert rest.code == 0
    assert rest.json["state"] == "completed"
    assert_reconciles(rest, planned=30, accepted=30)
    assert "--limit" not in rest.err
    assert everybody(sandbox) == PEOPLE


def test_a_limit_beyond_the_plan_limits_nothing(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS)

    ended = campaign("send", file, "--yes", "--limit", "31", "--json")

    assert ended.code == 0
    assert ended.json["state"] == "completed"
    assert "--limit" not in ended.err
    assert_reconciles(ended, planned=30, accepted=30)


def test_expect_consents_to_its_own_number_alone(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS)

    for wrong in ("29", "31"):
        refused = campaign("send", file, "--yes", "--expect", wrong)
        assert refused.code == 2
        assert f"the plan has 30 recipients, and --expect says {wrong}: nothing was sent" in refused.err
    assert sandbox.requests() == []
    assert campaign("runs").out == "No run yet.\n"

    assert campaign("send", file, "--expect", "30").code == 0
    assert everybody(sandbox) == PEOPLE


def test_a_new_run_needs_consent_and_one_that_has_begun_needs_none(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS)

    refused = campaign("send", file)
    assert refused.code == 2
    assert "sending to 30 recipients needs consent: add --yes, or --expect 30" in refused.err
    assert sandbox.requests() == []

    assert campaign("send", file, "--yes", "--limit", "10").code == 0
    assert campaign("send", file).code == 0
    assert everybody(sandbox) == PEOPLE


def test_an_audience_of_more_than_max_recipients_is_refused_whole(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, max_recipients: 29}")
    refused = campaign("send", file, "--yes", "--limit", "1")
    assert refused.code == 2
    assert f"{file}:5:42: the audience has 30 recipients, more than max_recipients allows (29)" in refused.err
    assert sandbox.requests() == []

    write_campaign(tmp_path, PEOPLE, delivery="{rate: 1000/s, max_recipients: 30}")
    assert campaign("send", file, "--yes").code == 0
    assert sandbox.stats()["deliveries_total"] == 30


def test_strict_refuses_an_audience_for_one_rejected_row(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, "username\nann\nno name\nbob\n")

    refused = campaign("send", file, "--yes", "--strict")
    assert refused.code == 2
    assert "people.csv:3:1: found the username 'no name'" in refused.err
    assert sandbox.requests() == []

    sent = campaign("send", file, "--yes", "--json")
    assert sent.code == 0
    assert sent.json["audience"]["invalid"] == 1
    assert everybody(sandbox) == ["ann", "bob"]


def test_strict_tells_by_its_exit_code_that_somebody_was_not_found(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    file = write_campaign(tmp_path, ["ann", "nobody.home", "bob"])

    ended = campaign("send", file, "--yes", "--json")

    assert ended.code == 0
    assert_reconciles(ended, planned=3, accepted=2, not_found=1)
    report = campaign("report", "spring", "--format", "csv", "--state", "not_found").out.splitlines()
    assert [line.split(",")[1] for line in report] == ["username", "nobody.home"]
    assert campaign("send", file, "--strict").code == 3
    assert len(messages(sandbox)) == 1


def test_a_run_of_another_name_starts_afresh(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS)
    assert campaign("send", file, "--yes").code == 0

    assert campaign("send", file, "--run", "encore").code == 2
    encore = campaign("send", file, "--yes", "--run", "encore", "--json")

    assert encore.code == 0
    assert (encore.json["run"], encore.json["campaign"]) == ("encore", "spring")
    assert everybody(sandbox) == PEOPLE * 2
    keys = [call["idempotency_key"] for call in messages(sandbox)]
    assert len(set(keys)) == 6


# Exclusions


def test_whoever_opts_out_while_the_run_is_interrupted_gets_nothing(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    exclude(tmp_path, "person03")
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS, audience=EXCLUDE)
    begun = campaign("send", file, "--yes", "--limit", "9", "--json")
    assert begun.json["audience"]["excluded"] == 1
    # Somebody who has it already can't be called back, and is no cancelled recipient either.
    exclude(tmp_path, "person03", "person00", "person15", " @Person25 ", "https://instagram.com/person29/")

    ended = campaign("send", file, "--json")

    assert ended.code == 3
    assert ended.json["state"] == "completed"
    assert_reconciles(ended, planned=29, accepted=26, cancelled=3)
    left_out = ("person03", "person15", "person25", "person29")
    assert everybody(sandbox) == [person for person in PEOPLE if person not in left_out]
    report = campaign("report", "spring", "--format", "csv", "--state", "cancelled").out.splitlines()
    assert [line.split(",")[1] for line in report[1:]] == ["person15", "person25", "person29"]
    assert all(",excluded," in line for line in report[1:])


@pytest.mark.parametrize(
    "meanwhile",
    [
        "nothing",
        "touched",
        "deleted",
    ],
)
def test_an_opt_out_is_honoured_through_the_address_of_a_duplicate_row(
    campaign: Command, sandbox: Sandbox, tmp_path: Path, meanwhile: str
) -> None:
    exclude(tmp_path, "somebody.else")
    file = write_campaign(tmp_path, TIED, audience=EXCLUDE, delivery="{rate: 1000/s, chunk_size: 1, workers: 1}")
    assert campaign("send", file, "--yes", "--limit", "1").code == 0
    if meanwhile == "touched":
        os.utime(tmp_path / "people.csv", ns=(0, 0))
    elif meanwhile == "deleted":
        (tmp_path / "people.csv").unlink()
    exclude(tmp_path, "ann.b@example.com", header="email")

    ended = campaign("send", file, "--json")

    assert everybody(sandbox) == ["zoe", "bob"]
    assert ended.code == 3
    assert_reconciles(ended, planned=3, accepted=2, cancelled=1)


def test_whoever_opts_out_while_the_run_is_sent_is_left_out_within_a_few_calls(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    exclude(tmp_path, "somebody.else")
    # The lists are looked at every second: twelve calls, and as many again for a slow machine.
    slowly = "{rate: 12/s, chunk_size: 1, workers: 2}"
    file = write_campaign(tmp_path, PEOPLE, audience=EXCLUDE, delivery=slowly)
    running = campaign.start("send", file, "--yes", "--json")
    running.wait_for(lambda: sandbox.stats()["messages"]["received"] >= 2)
    exclude(tmp_path, "somebody.else", *PEOPLE[24:])
    ended = running.end()

    assert ended.code == 3
    assert everybody(sandbox) == PEOPLE[:24]
    assert_reconciles(ended, planned=30, accepted=24, cancelled=6)
    applied = [event for event in ended.events if event["event"] == "exclusions.applied"]
    assert [event["cancelled"] for event in applied] == [6]


def test_whoever_is_taken_off_the_list_is_not_added_to_a_run_that_has_begun(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    exclude(tmp_path, "person05", "person25")
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS, audience=EXCLUDE)
    assert campaign("send", file, "--yes", "--limit", "9").code == 0
    exclude(tmp_path, "somebody.else", "person26")
    assert campaign("send", file, "--limit", "10").code == 3
    exclude(tmp_path, "somebody.else")

    ended = campaign("send", file, "--json")

    assert ended.code == 3
    left_out = ("person05", "person25", "person26")
    assert everybody(sandbox) == [person for person in PEOPLE if person not in left_out]
    assert_reconciles(ended, planned=28, accepted=27, cancelled=1)


def test_an_exclusion_list_that_is_gone_lets_nothing_be_sent(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    exclude(tmp_path, "person05")
    file = write_campaign(tmp_path, PEOPLE, delivery=TENS, audience=EXCLUDE)
    assert campaign("send", file, "--yes", "--limit", "10").code == 0
    (tmp_path / "optouts.csv").unlink()

    refused = campaign("send", file)

    assert refused.code == 2
    assert "optouts.csv:1:1: found no such file" in refused.err
    assert len(everybody(sandbox)) == 10


# What changes meanwhile


def begun(campaign: Command, folder: Path) -> Path:
    """A campaign whose first ten have got their message."""
    file = write_campaign(folder, PEOPLE, delivery=TENS)
    assert campaign("send", file, "--yes", "--limit", "10").code == 0
    return file


def test_a_plan_whose_csv_is_gone_goes_on_and_says_so(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = begun(campaign, tmp_path)
    (tmp_path / "people.csv").unlink()

    ended = campaign("send", file, "--json")

    assert ended.code == 0
    assert "people.csv can't be read again, so the plan goes on as it was made." in ended.err
    assert everybody(sandbox) == PEOPLE


def test_a_plan_from_standard_input_goes_on_without_it(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "piped.yaml"
    file.write_text(f"campaign: piped\naudience: {{csv: '-'}}\nmessage: {{text: Hello}}\ndelivery: {TENS}\n")
    piped = ("username\n" + "\n".join(PEOPLE)).encode()
    assert campaign("send", file, "--yes", "--limit", "10", stdin=piped).code == 0

    ended = campaign("send", file, "--json", stdin=b"")

    assert ended.code == 0
    assert "can't be read again, so the plan goes on as it was made." in ended.err
    assert everybody(sandbox) == PEOPLE
    assert_reconciles(ended, planned=30, accepted=30)


def test_a_csv_that_was_touched_and_says_the_same_goes_on(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = begun(campaign, tmp_path)
    write_campaign(tmp_path, "username\n\n" + "".join(f" @{person.upper()}\n" for person in PEOPLE), delivery=TENS)

    ended = campaign("send", file, "--json")

    assert ended.code == 0
    assert everybody(sandbox) == PEOPLE


def test_the_chunks_of_a_plan_stay_when_the_file_asks_for_others(
    campaign: Command, sandbox: Sandbox, tmp_path: Path
) -> None:
    begun(campaign, tmp_path)
    file = write_campaign(tmp_path, PEOPLE, delivery="{rate: 500/s, chunk_size: 3, workers: 1}")

    ended = campaign("send", file, "--json")

    assert ended.code == 0
    assert ended.json["chunks"]["planned"] == 3
    assert [addressed(call) for call in messages(sandbox)] == [PEOPLE[:10], PEOPLE[10:20], PEOPLE[20:]]


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "message": ({"message": "{text: Hello!}"}, "the message has changed since it began"),
    "account": (
        {"more": "account: second\n"},
        "it belongs to campaign spring, account default; the file says campaign spring, account second",
    ),
    "order": (
        {"people": [*reversed(PEOPLE)]},
        "the audience has changed since it began: 30 rows as before, but other people or order",
    ),
    "one row less": ({"people": PEOPLE[:-1]}, "the audience has changed since it began: 30 rows then, 29 rows now"),
}


def test_a_run_does_not_go_on_as_another_than_it_began(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = begun(campaign, tmp_path)

    for changes, words in CHANGES.values():
        write_campaign(tmp_path, **{"people": PEOPLE, "delivery": TENS, **changes})
        refused = campaign("send", file, "--yes")
        assert refused.code == 6
        assert f"the run spring can't go on: {words}. Nothing was sent." in refused.err

    assert len(messages(sandbox)) == 1
    write_campaign(tmp_path, PEOPLE, delivery=TENS)
    assert campaign("send", file).code == 0
    assert everybody(sandbox) == PEOPLE


def test_a_run_does_not_go_on_at_another_api(campaign: Command, sandbox: Sandbox, tmp_path: Path) -> None:
    file = begun(campaign, tmp_path)
    with serving() as other:
        refused = campaign("send", file, "--yes", environ={"INRO_API_URL": other.url})

        assert refused.code == 6
        assert f"it began at the API {sandbox.url}, and this is {other.url}" in refused.err
        assert other.requests() == []
    assert len(messages(sandbox)) == 1
