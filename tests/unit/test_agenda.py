"""What is due of a campaign at a moment, and campaign files that change, come and go."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campaigns.loading import load_campaign
from campaigns.model import Campaign
from sender.agenda import Agenda, Sending, due
from sender.errors import InputError
from sender.naming import occurrence_name, occurrence_of, run_name

ONCE = "schedule: {at: 2026-12-01 09:00, timezone: Europe/Paris}\n"  # 08:00 in UTC
MONDAYS = 'schedule: {cron: "0 9 * * MON", timezone: Europe/Paris}\n'  # 2026-11-23 and 30, 08:00 in UTC
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def write(folder: Path, more: str, name: str = "spring", file: str = "") -> Path:
    path = folder / (file or f"{name}.yaml")
    path.write_text(f"campaign: {name}\naudience: {{csv: people.csv}}\nmessage: {{text: Hello}}\n{more}", "utf-8")
    return path


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """What `due` says of a file at a moment: the run and why it is missed; None when nothing is due."""

    more: str
    now: str
    run: str | None
    missed: str = ""
    written_at: datetime = LONG_AGO
    is_forgotten: bool = False


EVER = "misfire: {policy: send}\n"
UNTIL_SIX = "not_after: 2026-12-01 18:00\n"
PAST_SIX = "not_after, 2026-12-01 18:00"
CASES = {
    "a second before its time": Case(ONCE, "2026-12-01 07:59:59", None),
    "at its time": Case(ONCE, "2026-12-01 08:00", "spring"),
    "at the last moment of the grace": Case(ONCE, "2026-12-01 09:00", "spring"),
    "a second later than that": Case(
        ONCE, "2026-12-01 09:00:01", "spring", "misfire: due 2026-12-01 09:00 Europe/Paris, 1h1s late, grace 1h"
    ),
    "at midnight, with a grace of a day": Case(ONCE + "misfire: {grace: 24h}\n", "2026-12-01 23:00", "spring"),
    "at midnight": Case(
        ONCE, "2026-12-01 23:00", "spring", "misfire: due 2026-12-01 09:00 Europe/Paris, 15h late, grace 1h"
    ),
    "a year late, but to be sent": Case(ONCE + EVER, "2027-12-01 08:00", "spring"),
    "a second before not_after": Case(ONCE + EVER + UNTIL_SIX, "2026-12-01 16:59:59", "spring"),
    "at not_after": Case(ONCE + EVER + UNTIL_SIX, "2026-12-01 17:00", "spring", PAST_SIX),
    "an old one-shot in a new file is missed, and told": Case(
        ONCE,
        "2026-12-02 08:00",
        "spring",
        "misfire: due 2026-12-01 09:00 Europe/Paris, 24h late, grace 1h",
        written_at=utc("2026-12-02 07:00"),
    ),
    "an occurrence": Case(MONDAYS, "2026-11-23 08:00", "spring@2026-11-23T09:00"),
    "two were missed: the latest": Case(MONDAYS + EVER, "2026-12-05 12:00", "spring@2026-11-30T09:00"),
    "an occurrence before its file": Case(
        MONDAYS,
        "2026-11-25 08:00",
        "spring@2026-11-23T09:00",
        "misfire: due 2026-11-23 09:00 Europe/Paris, 48h late, grace 1h",
        written_at=utc("2026-11-25 07:00"),
        is_forgotten=True,
    ),
    "an occurrence before its file, to be sent late": Case(
        MONDAYS + EVER,
        "2026-11-25 08:00",
        "spring@2026-11-23T09:00",
        written_at=utc("2026-11-25 07:00"),
        is_forgotten=True,
    ),
    "an occurrence whose file was mended in the grace": Case(
        MONDAYS, "2026-11-23 08:30", "spring@2026-11-23T09:00", written_at=utc("2026-11-23 08:20")
    ),
    "a cron ends at not_after: the last before it stands": Case(
        MONDAYS + UNTIL_SIX, "2027-03-10 12:00", "spring@2026-11-30T09:00", PAST_SIX
    ),
    "no schedule": Case("", "2026-12-01 08:00", None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_due(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    campaign = load_campaign(write(tmp_path, case.more), {})

    found = due(campaign, written_at=case.written_at, now=utc(case.now))

    assert (found.run if found else None) == case.run
    if found:
        assert (found.missed, found.is_forgotten) == (case.missed, case.is_forgotten)


def agenda(*paths: Path) -> Agenda:
    return Agenda(paths, {})


def names(found: Agenda) -> list[str]:
    found.refresh()
    return [campaign.campaign for campaign, _ in found.campaigns]


def touch(path: Path) -> None:
    """Gives the file another time, as if it were written a second later."""
    later = path.stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(later, later))


def test_files_that_come_change_and_go_are_noticed(tmp_path: Path) -> None:
    folder = agenda(tmp_path)
    assert names(folder) == []
    spring = write(tmp_path, ONCE)
    write(tmp_path, MONDAYS, "weekly", "weekly.yml")
    assert names(folder) == ["spring", "weekly"]

    write(tmp_path, ONCE.replace("09:00", "10:00:30"))
    folder.refresh()
    assert [sending.occurrence.local.hour for sending in folder.due(utc("2026-12-24 08:00"))] == [10, 9]

    spring.unlink()
    assert names(folder) == ["weekly"]
    assert folder.problems == []


def test_a_file_that_is_as_it_was_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, ONCE)
    folder = agenda(tmp_path)
    folder.refresh()
    [(before, _)] = folder.campaigns
    folder.refresh()
    [(after, _)] = folder.campaigns
    assert after is before


def test_a_bad_file_is_told_of_with_its_place_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path, ONCE)
    bad = write(tmp_path, 'schedule: {cron: "0 9 * *", timezone: Europe/Paris}\n', "weekly")
    folder = agenda(tmp_path)

    assert names(folder) == ["spring"]
    [problem] = folder.problems
    assert problem.startswith(f"{bad}:4:18: ")

    write(tmp_path, MONDAYS, "weekly")
    assert names(folder) == ["spring", "weekly"]
    assert folder.problems == []

    bad.write_bytes(b"\xff\xfe\x00")
    assert names(folder) == ["spring"]
    assert len(folder.problems) == 1


def test_of_two_files_with_one_campaign_name_none_is_sent_until_one_is_gone(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    first, second = write(tmp_path, ONCE), write(tmp_path / "more", MONDAYS)
    both = agenda(tmp_path, second)

    assert names(both) == []
    assert both.problems == [f"{first} and {second} share the campaign name spring: none of them is sent"]

    second.unlink()
    assert names(both) == ["spring"]
    assert both.problems == []


def test_a_folder_may_hold_campaigns_without_a_schedule_but_one_that_is_named_must_have_one(tmp_path: Path) -> None:
    by_hand = write(tmp_path, "")
    assert names(agenda(tmp_path)) == []
    assert agenda(tmp_path).problems == []

    named = agenda(by_hand)
    assert names(named) == []
    assert named.problems == ["spring.yaml has no schedule: add one, or send it by hand"]


def test_what_is_no_campaign_file_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, ONCE)
    write(tmp_path, ONCE, "draft", ".draft.yaml")
    write(tmp_path, ONCE, "backup", "spring.yaml~")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")  # reading it would wait for ever

    folder = agenda(tmp_path)

    assert names(folder) == ["spring"]
    assert folder.problems == []


def test_a_folder_that_can_not_be_read_is_a_problem_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, spring = tmp_path / "closed", write(tmp_path, ONCE)
    closed.mkdir()
    both = agenda(closed, spring)

    def refuse(folder: Path) -> object:  # root may read everything, so no mode of the folder shows it
        raise PermissionError(13, "Permission denied", str(folder))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", refuse)
        assert names(both) == ["spring"]
        assert both.problems == [f"{closed} can't be read: permission denied"]
    closed.rmdir()
    assert names(both) == ["spring"]
    assert both.problems == []


def test_a_path_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is neither a folder nor a file"):
        agenda(tmp_path / "nowhere")


def test_the_name_of_an_occurrence_is_read_back(tmp_path: Path) -> None:
    weekly = load_campaign(write(tmp_path, MONDAYS), {})
    local = datetime(2026, 11, 23, 9)  # noqa: DTZ001
    assert occurrence_name(weekly, local) == "spring@2026-11-23T09:00"
    assert occurrence_of(weekly, "spring@2026-11-23T09:00") == local
    for other in ("spring", "spring@later", "summer@2026-11-23T09:00", "spring+2", "2026-11-23T09:00"):
        assert occurrence_of(weekly, other) is None


def test_a_one_shot_keeps_the_name_of_its_campaign_whatever_its_time(tmp_path: Path) -> None:
    def sending(more: str) -> Sending | None:
        return due(load_campaign(write(tmp_path, more), {}), written_at=LONG_AGO, now=utc("2026-12-24 08:00"))

    first, later = sending(ONCE), sending(ONCE.replace("12-01", "12-24"))
    assert first
    assert later
    assert first.run == later.run == "spring"
    assert run_name(later.campaign, run=None, occurrence=None) == "spring"


def refusal(campaign: Campaign, *, run: str | None = None, occurrence: datetime | None = None) -> str:
    with pytest.raises(InputError) as caught:
        run_name(campaign, run=run, occurrence=occurrence)
    return str(caught.value)


def test_which_run_is_meant_has_to_be_said_of_a_cron_and_of_nothing_else(tmp_path: Path) -> None:
    monday = datetime(2026, 11, 23, 9)  # noqa: DTZ001
    weekly = load_campaign(write(tmp_path, MONDAYS), {})
    assert run_name(weekly, run="by-hand", occurrence=None) == "by-hand"
    assert run_name(weekly, run=None, occurrence=monday) == "spring@2026-11-23T09:00"
    assert "which occurrence this is has to be said: add --occurrence WHEN (last 20" in refusal(weekly)
    tuesday = monday + timedelta(days=1)
    assert "2026-11-24T09:00 is no occurrence of '0 9 * * MON'" in refusal(weekly, occurrence=tuesday)
    assert "--run and --occurrence both name the run" in refusal(weekly, run="by-hand", occurrence=tuesday)

    once = load_campaign(write(tmp_path, ONCE), {})
    assert "this campaign is sent once" in refusal(once, occurrence=monday)
