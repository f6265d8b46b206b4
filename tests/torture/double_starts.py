"""Two senders of one run, started in the same instant."""

from pathlib import Path

from tests.acceptance.conftest import pointed_at, serving
from tests.acceptance.files import write_campaign

PEOPLE = [f"person{number}" for number in range(60)]


def race(folder: Path, times: int) -> bool:
    """Starts two senders at once, so often. Whether one won each time, and nobody got it twice."""
    wrong = 0
    for number in range(times):
        place = folder / f"race{number}"
        place.mkdir(parents=True)
        wrong += not _once(place)
    print(f"{times} double starts; without exactly one winner, or with a double delivery: {wrong}", flush=True)
    return wrong == 0


def _once(folder: Path) -> bool:
    file = write_campaign(folder, PEOPLE, delivery="{rate: 1000/s, chunk_size: 2, workers: 2}")
    with serving() as sandbox:
        sandbox.faults = sandbox.faults.parse({"latency": "100ms"})
        campaign = pointed_at(sandbox, folder)
        both = [campaign.start("send", file, "--yes", "--json") for _ in range(2)]
        codes = sorted(running.end().code for running in both)
        stats = sandbox.stats()
        return codes == [0, 5] and stats["most_to_one"] == 1 and stats["deliveries_total"] == len(PEOPLE)
