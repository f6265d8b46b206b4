"""The sender's own cost: against a server that does nothing, beside a bare loop and what users would write."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from campaigns.audience import Recipient, stamp
from campaigns.loading import load_campaign
from campaigns.model import Campaign, IdentifierKind
from campaigns.plan import Chunk
from sender import content
from sender.ledger import NewRun, Plan, open_ledger
from sender.planning import audience_spec
from tests.bench.figures import Figure, Skipped
from tests.bench.processes import Used, cpu_seconds, used_by

CAMPAIGN = str(Path(sys.executable).with_name("campaign"))
SINK = Path(__file__).with_name("sink.c")
CALLS, ROUNDS, PEOPLE = 10_000, 3, 100_000
UNLIMITED = "1000000/s"
SETTLED_SECONDS, WATCHED_SECONDS = 3, 15
CAMPAIGN_FILE = """
campaign: cost
audience: {{csv: people.csv}}
message: {{type: text, text: Hello}}
delivery: {{rate: {rate}, workers: {workers}}}
"""


class Sink:
    """A server in a process of its own; once it is closed, `calls` and `seconds` tell what came."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if not compiler:
            raise Skipped("a C compiler is missing (Debian: apt-get install gcc)")
        program = folder / "sink"
        if not program.exists():
            subprocess.run([compiler, "-O2", "-o", str(program), str(SINK)], check=True)
        self._process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.calls, self.seconds = 0, 0.0

    def close(self) -> None:
        """Ends it."""
        said, _ = self._process.communicate()
        calls, seconds = said.split()
        self.calls, self.seconds = int(calls), float(seconds)


@contextmanager
def sink(folder: Path) -> Iterator[Sink]:
    """A server as long as the context lasts. Raises Skipped where it can't be compiled."""
    server = Sink(folder)
    try:
        yield server
    finally:
        server.close()


def measure() -> Iterator[Figure]:
    """The best of some rounds each, turn about, since other programs run meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for workers, bound in ((16, 0.50), (64, 0.60)):
            pairs = [(_campaign(folder, workers), _bare(folder, workers)) for _ in range(ROUNDS)]
            speed = max(one for (one, _), _ in pairs) / max(other for _, (other, _) in pairs)
            yield Figure(name=f"calls/s at {workers} workers / bare loop", value=speed, bound=bound)
            cost = min(one for (_, one), _ in pairs) / min(other for _, (_, other) in pairs)
            if workers == 16:
                yield Figure(name="CPU a call / bare loop", value=cost, bound=2.2, is_ceiling=True)
        for rate, workers, bound in (("1/s", 64, 0.01), ("20/s", 16, 0.05)):
            share = _share(folder, rate, workers)
            yield Figure(name=f"{rate} with {workers} workers, of a core", value=share, bound=bound, is_ceiling=True)
        ours, script, curl = (min(each(folder) for _ in range(ROUNDS)) for each in (_whole, _script, _curl))
        yield Figure(name="100,000 recipients, seconds / script", value=ours / script, bound=1.3, is_ceiling=True)
        yield Figure(name="100,000 recipients, seconds / xargs curl", value=ours / curl, bound=0.25, is_ceiling=True)


def environ(folder: Path, url: str, ledger: str = "ledger.db") -> dict[str, str]:
    """What `campaign` is started with."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CAMPAIGN_LEDGER": str(folder / ledger),
        "INRO_API_URL": url,
        "INRO_API_TOKEN": "token-of-the-bench",
    }


# Calls a second and CPU seconds a call


def _campaign(folder: Path, workers: int) -> tuple[float, float]:
    campaign = _write(folder, workers, people=1)
    with sink(folder) as server:
        asyncio.run(_seal(campaign, folder / "ledger.db", server.url))
        sent, idle = (_send(folder, server.url) for _ in range(2))
    assert server.calls == CALLS
    return server.calls / server.seconds, (sent.cpu_seconds - idle.cpu_seconds) / CALLS


def _share(folder: Path, rate: str, workers: int) -> float:
    """What part of a core the whole command takes at that rate, once it is under way."""
    campaign = _write(folder, workers, people=1, rate=rate)
    with sink(folder) as server:
        asyncio.run(_seal(campaign, folder / "ledger.db", server.url))
        command = [CAMPAIGN, "send", str(folder / "campaign.yaml"), "--yes"]
        process = subprocess.Popen(
            command, env=environ(folder, server.url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(SETTLED_SECONDS)
            before, began = cpu_seconds(process.pid), time.monotonic()
            time.sleep(WATCHED_SECONDS)
            return (cpu_seconds(process.pid) - before) / (time.monotonic() - began)
        finally:
            process.kill()
            process.wait()


def _bare(folder: Path, workers: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "tests.bench.bare", "loop"]
    with sink(folder) as server:
        sent, idle = (used_by([*command, server.url, str(workers), str(calls)]) for calls in (CALLS, 0))
    return server.calls / server.seconds, (sent.cpu_seconds - idle.cpu_seconds) / CALLS


def _send(folder: Path, url: str) -> Used:
    return used_by([CAMPAIGN, "send", str(folder / "campaign.yaml"), "--yes"], environ(folder, url))


def _write(folder: Path, workers: int, people: int, rate: str = UNLIMITED) -> Campaign:
    for file in folder.glob("ledger*"):
        file.unlink()
    (folder / "campaign.yaml").write_text(CAMPAIGN_FILE.format(workers=workers, rate=rate), "utf-8")
    names = "".join(f"customer_{number}\n" for number in range(people))
    (folder / "people.csv").write_text(f"username\n{names}", "utf-8")
    return load_campaign(folder / "campaign.yaml", {})


async def _seal(campaign: Campaign, ledger_path: Path, url: str) -> None:
    """A run of CALLS chunks, as if it had been planned from the campaign's file."""
    people = tuple(Recipient(None, f"customer_{number}_0", None, 0, number) for number in range(1000))
    source = stamp(campaign.audience.csv[0])
    assert source
    async with open_ledger(ledger_path) as ledger:
        new = NewRun(
            name=campaign.campaign,
            campaign=campaign.campaign,
            origin=url,
            account=campaign.account,
            message_fingerprint=content.fingerprint(campaign, None),
            audience_spec=audience_spec(campaign),
            created_at=time.time(),
        )
        run = await ledger.begin_plan(new)
        for first in range(0, CALLS, 100):
            await ledger.add_chunks(run.id, first * 1000, [Chunk(IdentifierKind.USERNAME, people)] * 100)
        counts = {"rows": CALLS * 1000, "kept": CALLS * 1000}
        plan = Plan(audience_fingerprint="", sources=(source,), exclusions=(), counts=counts, planned=CALLS * 1000)
        await ledger.seal(run.id, plan)


# Whole processes, in seconds


def _whole(folder: Path) -> float:
    _write(folder, 16, people=PEOPLE)
    with sink(folder) as server:
        seconds = _send(folder, server.url).seconds
    assert server.calls == PEOPLE // 1000
    return seconds


def _script(folder: Path) -> float:
    command = [sys.executable, "-m", "tests.bench.bare", "script"]
    with sink(folder) as server:
        return used_by([*command, server.url, "16", str(folder / "people.csv")]).seconds


def _curl(folder: Path) -> float:
    if not shutil.which("curl"):
        raise Skipped("curl is missing (Debian: apt-get install curl)")
    names = (folder / "people.csv").read_text("utf-8").splitlines()[1:]
    for start in range(0, PEOPLE, 1000):
        body = {"usernames": names[start : start + 1000], "text": "Hello"}
        (folder / f"body{start}.json").write_text(json.dumps(body), "utf-8")
    with sink(folder) as server:
        one = f"curl -s -o /dev/null -H 'Content-Type: application/json' --data-binary @{{}} {server.url}/messages"
        call = f"ls {folder}/body*.json | xargs -P8 -I{{}} {one}"
        seconds = used_by(["sh", "-c", call]).seconds
    assert server.calls == PEOPLE // 1000
    return seconds
