"""The campaigns to copy: each loads, names files that exist, and speaks of made-up people alone."""

import re
from pathlib import Path

import pytest

from campaigns.loading import load_campaign
from campaigns.media import check_media
from campaigns.model import Rate

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_loads_and_its_files_are_there(path: Path) -> None:
    campaign = load_campaign(path, {})
    check_media(campaign)
    assert campaign.campaign == path.stem
    for file in (*campaign.audience.csv, *campaign.audience.exclude):
        assert Path(file).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_explains_itself(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert max(map(len, text.splitlines())) <= 120


def test_there_is_an_example_for_each_type_of_message() -> None:
    types = {load_campaign(path, {}).message.type for path in FILES}
    assert types == {"text", "image", "video", "audio", "share"}


def test_the_demo_takes_some_seconds_and_shows_every_kind_of_row() -> None:
    rows = (CONFIGS / "demo.csv").read_text().splitlines()[1:]
    delivery = load_campaign(CONFIGS / "demo.yaml", {}).delivery
    assert len(rows) >= 2500
    assert delivery.rate == Rate.parse("5/s")
    assert 4 <= len(rows) / delivery.chunk_size / delivery.rate.per_second <= 8


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.csv")), ids=lambda path: path.stem)
def test_every_address_is_at_example_com(path: Path) -> None:
    domains = re.findall(r"\w@([\w-]+\.\w+)", path.read_text().lower())
    assert set(domains) <= {"example.com"}


def test_examples_are_small() -> None:
    assert all(path.stat().st_size < 20_000 for path in (CONFIGS / "media").iterdir())
