"""A campaign sent over MCP: the same promises, the same words, another wire."""

from pathlib import Path

from sender.sandbox import Faults
from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign
from tests.acceptance.media import PNG, write_media
from tests.acceptance.recorded import uploads

FAULTS = ("429", "500-after", "ok", "404", "cut", "ok", "reset-before", "ok")
URL = "https://files.sandbox.invalid/1/spring.png"


def test_a_campaign_over_mcp_reaches_nobody_twice_whatever_goes_wrong_and_its_file_is_uploaded_first(
    tmp_path: Path,
) -> None:
    write_media(tmp_path, "spring.png", PNG)
    people = [f"person{number}" for number in range(28)] + ["nobody1", "nobody2"]
    delivery = "{transport: mcp, rate: 1000/s, chunk_size: 5, workers: 1}"
    file = write_campaign(tmp_path, people, message="{type: image, image: spring.png}", delivery=delivery)

    with serving(faults=Faults(script=FAULTS, retry_after_seconds=0)) as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        checked = campaign("check", file)
        sent = campaign("send", file, "--yes", "--json")
        stats, calls = sandbox.stats(), [request for request in sandbox.requests() if request["path"] == "/mcp"]

    assert checked.code == 0
    assert "`send` uploads spring.png over REST first" in checked.err
    assert sent.code == 3
    recipients = sent.json["recipients"]
    assert (recipients["accepted"], recipients["not_found"], recipients["unknown"]) == (13, 2, 15)
    assert sent.json["requests"] == {"sent": 8, "retried": 2, "rate_limited": 1}
    assert (stats["most_to_one"], stats["deliveries_total"], len(uploads(sandbox))) == (1, 23, 1)
    assert len([call for call in calls if call["idempotency_key"]]) == len(FAULTS)
    arguments = [call["json"]["params"]["arguments"] for call in calls if call["idempotency_key"] and call["json"]]
    assert {(each["message_type"], each["image"]) for each in arguments} == {("image", URL)}
    assert not [line for line in sent.err.splitlines() if not line.startswith("{")]
