"""An API that dies in the middle of a campaign and comes back."""

import time
from pathlib import Path

from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

CHUNKS = 100
WORKERS = 4


def outage(folder: Path, seconds: float) -> bool:
    """100 chunks against an API that dies after the 10th call, for so many seconds; prints the figures.

    Whether at most 3 + workers chunks and a few single recipients are unknown, and all others delivered once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    people = [f"person{number}" for number in range(CHUNKS * 10)]
    delivery = f"{{rate: 200/s, chunk_size: 10, workers: {WORKERS}, timeout: 2s}}"
    file = write_campaign(folder, people, delivery=delivery)
    with serving() as sandbox:
        campaign = pointed_at(sandbox, folder)
        running = campaign.start("send", file, "--yes", "--json")
        running.wait_for(lambda: sandbox.stats()["messages"]["accepted"] >= 10)
        sandbox.faults = sandbox.faults.parse({"down": "true"})
        time.sleep(seconds)
        sandbox.faults = sandbox.faults.parse({})
        ended = running.end()
        stats = sandbox.stats()
    chunks, recipients = ended.json["chunks"], ended.json["recipients"]
    print(
        f"an API dead for {seconds:g} s: {chunks['unknown']} chunks unknown with {recipients['unknown']} recipients, "
        f"{recipients['accepted']} accepted, {stats['deliveries_total']} delivered, most to one {stats['most_to_one']}",
        flush=True,
    )
    return (
        ended.code == 3
        and recipients["unknown"] <= (3 + WORKERS) * 10 + 3
        and recipients["accepted"] + recipients["unknown"] == len(people)
        and stats["most_to_one"] == 1
    )
