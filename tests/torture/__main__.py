"""`make torture`: 200 kills or more, fifty double starts, a dead API, 12,000 spoilt inputs.

Prints the figures, exits 1 if one is wrong.
"""

import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.dead_api import outage
from tests.torture.double_starts import race
from tests.torture.fuzz import fuzz
from tests.torture.kills import Figures, torment

KILLS = 200
KILLS_EACH = 5


def main() -> int:
    """Runs everything; returns the exit code."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = [
            _kills(Path(folder), seed),
            race(Path(folder) / "races", 50),
            outage(Path(folder) / "outage", 20.0),
            fuzz(Path(folder) / "fuzz", random.Random(seed), inputs=12_000, commands=200),
        ]
    return 0 if all(results) else 1


def _kills(folder: Path, seed: int) -> bool:
    began, figures = time.monotonic(), Figures()
    dice = random.Random(seed)
    number = 0
    with ThreadPoolExecutor(2) as pool:
        while figures.kills < KILLS:
            number += 2
            jobs = []
            for campaign in (number, number + 1):
                place = folder / f"campaign{campaign}"
                place.mkdir()
                jobs.append(pool.submit(torment, place, figures, random.Random(dice.random()), kills=KILLS_EACH))
            for job in jobs:
                job.result()
            print(f"  {figures.kills} killed, {time.monotonic() - began:.0f} s", flush=True)
    print(figures, flush=True)
    return not (figures.delivered_twice or figures.lost or figures.unreconciled or figures.wrong_exits)


if __name__ == "__main__":
    sys.exit(main())
