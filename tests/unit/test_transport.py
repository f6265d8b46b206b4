"""What keeps a campaign from going over MCP, said before anything is sent."""

from pathlib import Path

import pytest

from campaigns.errors import CampaignError
from campaigns.loading import load_campaign
from campaigns.model import Campaign, Transport
from sender import transport
from sender.errors import InputError, SendingStopped
from sender.inro.wire import Content, FilePart
from sender.settings import sandbox_settings
from sender.transport import check_installed, mcp_client, warnings


def loaded(folder: Path, message: str, name: str = "mcp") -> Campaign:
    file = folder / "spring.yaml"
    delivery = f"{{transport: {name}}}"
    file.write_text(f"campaign: spring\naudience: {{csv: a.csv}}\nmessage: {message}\ndelivery: {delivery}\n")
    return load_campaign(file, {})


def test_without_the_sdk_only_mcp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "find_spec", lambda name: None)

    check_installed(Transport.REST)
    with pytest.raises(InputError, match=r"needs the MCP SDK: pip install 'inro-campaigns\[mcp\]'"):
        check_installed(Transport.MCP)
    assert len(warnings(loaded(tmp_path, "{text: Hi}"))) == 1


@pytest.mark.parametrize(
    ("message", "name", "count"),
    [
        ("{type: image, image: pic.png}", "mcp", 1),
        ("{type: image, image: pic.png}", "rest", 0),
        ("{type: image, image: https://cdn.example.com/pic.png}", "mcp", 0),
        ("{text: Hi}", "mcp", 0),
    ],
)
def test_check_warns_of_a_file_that_needs_a_url(tmp_path: Path, message: str, name: str, count: int) -> None:
    found = warnings(loaded(tmp_path, message, name))

    assert len(found) == count
    assert all("uploads pic.png over REST first" in warning for warning in found)


def test_a_file_with_every_call_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(CampaignError) as refused:
        loaded(tmp_path, "{type: image, image: pic.png, upload: each}")

    assert "spring.yaml:4:11: delivery: transport mcp takes media by public URL alone" in str(refused.value)
    assert loaded(tmp_path, "{type: image, image: pic.png, upload: each}", "rest").delivery.transport == "rest"


def test_an_unknown_transport_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="transport"):
        loaded(tmp_path, "{text: Hi}", "carrier-pigeon")


async def test_a_file_for_which_the_upload_gave_no_url_stops_before_anything_is_sent() -> None:
    settings = sandbox_settings({}, api_url="http://127.0.0.1:9/api/v1", token="made-up")
    part = FilePart(field="image", path=Path("/tmp/pic.png"), content_type="image/png")  # noqa: S108 – never opened

    with pytest.raises(SendingStopped, match=r"for pic\.png there is none: .*--transport rest"):
        async with mcp_client(settings, Content(fields={"message_type": "image"}, file=part), 1.0, []):
            pass
