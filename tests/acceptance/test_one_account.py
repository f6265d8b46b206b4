"""Several campaigns of one account, sent at the same time by processes of their own."""

from pathlib import Path

from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

LIMIT = 25
PEOPLE = 60


def test_two_senders_of_one_account_keep_its_rate_together(tmp_path: Path) -> None:
    with serving(rate_limit=f"{LIMIT}/s") as sandbox:
        campaign = pointed_at(sandbox, tmp_path)
        running = []
        for name in ("spring", "autumn"):
            folder = tmp_path / name
            folder.mkdir()
            people = [f"{name}{number}" for number in range(PEOPLE)]
            file = write_campaign(folder, people, name=name, delivery=f"{{rate: {LIMIT}/s, chunk_size: 1}}")
            running.append(campaign.start("send", file, "--yes", "--json"))
        ended = [sender.end() for sender in running]
        stats = sandbox.stats()

    assert [(each.code, each.json["recipients"]["accepted"]) for each in ended] == [(0, PEOPLE)] * 2
    assert [each.json["requests"]["rate_limited"] for each in ended] == [0, 0]
    assert stats["messages"]["rate_limited"] == 0
    assert stats["peak_messages_per_window"] <= LIMIT
    assert stats["deliveries_total"] == 2 * PEOPLE
