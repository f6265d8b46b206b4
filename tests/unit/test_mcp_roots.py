"""What an agent names stays within the folders that the server was given."""

import os
from pathlib import Path

import pytest

from campaigns.errors import CampaignFileError
from campaigns.model import VideoMessage
from sender.errors import InputError
from sender.mcp.roots import Roots
from tests.acceptance.files import write_campaign

OUTSIDE = "leads outside the folders that this server was given"


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    write_campaign(tmp_path / "outside", name="other")
    (tmp_path / "outside" / "film.mp4").write_bytes(b"....ftyp")
    write_campaign(tmp_path / "inside")
    return tmp_path / "inside"


@pytest.mark.parametrize("name", ["spring.yaml", "./spring.yaml", "sub/../spring.yaml", "{inside}/spring.yaml"])
def test_a_campaign_in_the_folder_is_loaded(inside: Path, name: str) -> None:
    (inside / "sub").mkdir()
    assert Roots.of([inside]).load(name.format(inside=inside)).campaign == "spring"


def test_a_folder_that_is_a_link_is_what_it_leads_to(inside: Path) -> None:
    (inside.parent / "link").symlink_to(inside)
    roots = Roots.of([inside.parent / "link"])
    assert roots.load("spring.yaml").file == inside / "spring.yaml"
    assert roots.load(str(inside.parent / "link" / "spring.yaml")).file == inside / "spring.yaml"


@pytest.mark.parametrize(
    "name", ["../outside/other.yaml", "{outside}/other.yaml", "/etc/passwd", "link.yaml", "way/other.yaml", "~/x.yaml"]
)
def test_a_campaign_outside_is_refused_whichever_way_leads_there(inside: Path, name: str) -> None:
    outside = inside.parent / "outside"
    (inside / "link.yaml").symlink_to(outside / "other.yaml")
    (inside / "way").symlink_to(outside)
    expected = "there is no file" if name.startswith("~") else OUTSIDE  # no shell has been here
    with pytest.raises(InputError, match=expected):
        Roots.of([inside]).load(name.format(outside=outside))


@pytest.mark.parametrize("path", ["../outside/people.csv", "{outside}/people.csv", "link.csv", "way/people.csv", "-"])
@pytest.mark.parametrize("section", ["csv", "exclude"])
def test_a_csv_or_an_exclusion_list_outside_is_refused_at_its_place(inside: Path, section: str, path: str) -> None:
    outside = inside.parent / "outside"
    (inside / "link.csv").symlink_to(outside / "people.csv")
    (inside / "way").symlink_to(outside)
    path = path.format(outside=outside)
    lists = {"csv": f"csv: [people.csv, '{path}']", "exclude": f"csv: people.csv\n  exclude: '{path}'"}
    text = f"campaign: a\naudience:\n  {lists[section]}\nmessage: {{text: Hi}}\n"
    (inside / "a.yaml").write_text(text, "utf-8")
    with pytest.raises((InputError, CampaignFileError), match=rf"a\.yaml:[34]:.*({OUTSIDE}|standard input)"):
        Roots.of([inside]).load("a.yaml")


def test_media_outside_are_refused_in_a_campaign_and_in_a_message(inside: Path) -> None:
    message = {"type": "video", "video": "../outside/film.mp4"}
    write_campaign(inside, name="a", message="{type: video, video: ../outside/film.mp4}")
    with pytest.raises(InputError, match=rf"a\.yaml:4:\d+: .*{OUTSIDE}"):
        Roots.of([inside]).load("a.yaml")
    with pytest.raises(InputError, match=OUTSIDE):
        Roots.of([inside]).message(message)


def test_a_message_may_have_an_address_or_a_file_within(inside: Path) -> None:
    roots = Roots.of([inside])
    for source, expected in (("film.mp4", str(inside / "film.mp4")), ("https://x.org/a.mp4", "https://x.org/a.mp4")):
        message = roots.message({"type": "video", "video": source}).message
        assert isinstance(message, VideoMessage)
        assert message.video == expected


def test_what_is_no_regular_file_is_not_read(inside: Path) -> None:
    os.mkfifo(inside / "pipe.yaml")
    os.mkfifo(inside / "pipe.csv")
    (inside / "a.yaml").write_text("campaign: a\naudience: {csv: pipe.csv}\nmessage: {text: Hi}\n", "utf-8")
    for name in ("pipe.yaml", "a.yaml", "."):
        with pytest.raises(InputError, match="is not a file that can be read"):
            Roots.of([inside]).load(name)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "x" * 5000])
def test_what_is_no_path_is_refused_with_a_sentence(inside: Path, name: str) -> None:
    with pytest.raises(InputError):
        Roots.of([inside]).load(name)


def test_a_campaign_takes_no_variable_of_the_environment(inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    write_campaign(inside, message="{text: 'It is ${SECRET}'}")
    with pytest.raises(CampaignFileError, match=r"\$\{SECRET\} is not taken over MCP"):
        Roots.of([inside]).load("spring.yaml")


def test_a_file_that_is_not_there_is_answered_with_those_that_are(inside: Path) -> None:
    (inside / ".hidden").mkdir()
    (inside / ".hidden" / "b.yaml").touch()
    with pytest.raises(InputError, match=rf"there is no file a\.yaml; campaign files here: {inside}/spring\.yaml$"):
        Roots.of([inside]).load("a.yaml")


def test_a_root_is_a_folder(inside: Path) -> None:
    with pytest.raises(InputError, match=r"--root: .* is not a folder"):
        Roots.of([inside / "spring.yaml"])
