"""How much of the rate is used, and how many 429s it costs: against a real nginx and the sandbox's limiters.

The whole way of a call is measured but the command itself: pool, throttle, ledger on disk, HTTP client. What can be
reached is W/(W+RTT) of the rate, since a call holds its place until a window after its answer; figures are parts of
that. `J` is a jitter of 0 to 50 ms on a request's way. nginx has `burst=5` at 20/s and 50 at 200/s: a bucket's burst
is there for the same quarter of a second of calls that come unevenly, however many those are.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from campaigns.model import Rate
from tests.bench.figures import Figure
from tests.bench.sender import Sent, send
from tests.bench.servers import Schedule, limiters, nginx

JITTER_SECONDS = 0.05
HALF: Schedule = ("sliding", [(0, "10/s")])
HALF_BUCKET: Schedule = ("token-bucket", [(0, "10/s")])
DIP: Schedule = ("sliding", [(0, "20/s"), (15, "10/s"), (50, "20/s")])
DIP_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How long each measurement takes, in seconds; 0 leaves it out."""

    slow: float = 25
    fast: float = 8
    starved: float = 15
    changing: float = DIP_SECONDS


def measure(scale: Scale = Scale()) -> Iterator[Figure]:
    """All figures; takes four minutes. Raises Skipped where nginx is missing."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        yield from _steady(folder, "20/s", 5, scale.slow, together=True)
        yield from _changing(folder, scale.changing)
        yield from _starved(folder, scale.starved)
        yield from _steady(folder, "200/s", 50, scale.fast, together=False)


def _steady(folder: Path, rate: str, burst: int, seconds: float, *, together: bool) -> Iterator[Figure]:
    """The four servers that allow what was asked, without and with jitter; few enough calls are made all together."""
    for jitter_seconds in (0.0, JITTER_SECONDS) if seconds else ():
        with _servers(folder, rate, burst) as ports:
            sizes = [list(ports)] if together else [[name] for name in ports]
            for names in sizes:
                sent = _send(folder, [ports[name] for name in names], rate, seconds, jitter_seconds)
                for name, each in zip(names, sent, strict=True):
                    yield from _used(f"{rate} {name}{' J' if jitter_seconds else ''}", rate, each, 0.99)


def _starved(folder: Path, seconds: float) -> Iterator[Figure]:
    """The same while two busy loops want the same cores."""
    if not seconds:
        return
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        with _servers(folder, "20/s", 5) as ports:
            for name, sent in zip(ports, _send(folder, list(ports.values()), "20/s", seconds, 0.0), strict=True):
                yield from _used(f"20/s {name}, starved", "20/s", sent, 0.97)
    finally:
        for process in busy:
            process.kill()
            process.wait()


def _changing(folder: Path, seconds: float) -> Iterator[Figure]:
    """Servers that do not allow what was asked, or not always: no burst at all, half the rate, half for a while."""
    if not seconds:
        return
    with ExitStack() as servers:
        (burstless,) = servers.enter_context(nginx(folder, [(20, 0)]))
        half, bucket, dip = servers.enter_context(limiters([HALF, HALF_BUCKET, DIP]))
        none, halved, drained, dipped = asyncio.run(_all(folder, seconds, burstless, half, bucket, dip))
    yield _figure("20/s nginx without burst J, of the rate", none.per_second() / 20, 0.60)
    yield _figure("20/s nginx without burst J, 429s", none.refused, 5, is_ceiling=True)
    for name, sent in (("sliding", halved), ("token bucket", drained)):
        yield _figure(f"10/s allowed of 20/s, {name}: of it after 30 s", sent.per_second(30, seconds) / 10, 0.90)
        yield _figure(f"10/s allowed of 20/s, {name}: 429s", sent.refused / len(sent.calls), 0.01, is_ceiling=True)
    if seconds >= DIP_SECONDS:
        yield _figure("halved at 15 s: of 10/s until 50 s, from 10 s later", dipped.per_second(25, 50) / 10, 0.90)
        yield _figure("given back at 50 s: of 20/s from 30 s later", dipped.per_second(80, 90) / 20, 0.90)
        yield _figure("halved and given back: 429s", dipped.refused / len(dipped.calls), 0.01, is_ceiling=True)


async def _all(folder: Path, seconds: float, burstless: int, *ports: int) -> list[Sent]:
    without_burst = send(folder, burstless, "20/s", seconds=min(seconds, 40), jitter_seconds=JITTER_SECONDS)
    return await asyncio.gather(without_burst, *(send(folder, port, "20/s", seconds=seconds) for port in ports))


def _send(folder: Path, ports: Sequence[int], rate: str, seconds: float, jitter_seconds: float) -> list[Sent]:
    async def run() -> list[Sent]:
        workers = max(16, int(Rate.parse(rate).per_second / 4))
        senders = (
            send(folder, port, rate, seconds=seconds, jitter_seconds=jitter_seconds, workers=workers) for port in ports
        )
        return await asyncio.gather(*senders)

    return asyncio.run(run())


class _servers:
    """The four servers by name, each with its port."""

    def __init__(self, folder: Path, rate: str, burst: int) -> None:
        self._folder, self._rate, self._burst = folder, rate, burst
        self._open = ExitStack()

    def __enter__(self) -> dict[str, int]:
        per_second = int(Rate.parse(self._rate).per_second)
        name = f"nginx burst={self._burst}"
        (port,) = self._open.enter_context(nginx(self._folder, [(per_second, self._burst)]))
        held: list[Schedule] = [(kind, [(0, self._rate)]) for kind in ("sliding", "fixed", "token-bucket")]
        ports = self._open.enter_context(limiters(held))
        return {name: port, **dict(zip(("sliding", "fixed", "token bucket"), ports, strict=True))}

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _used(name: str, rate: str, sent: Sent, bound: float) -> Iterator[Figure]:
    period = Rate.parse(rate).period_seconds
    possible = period / (period + sent.rtt_seconds)
    used = sent.per_second() / Rate.parse(rate).per_second
    note = f"= {used:.1%} of the rate, RTT {sent.rtt_seconds * 1000:.1f} ms"
    yield _figure(f"{name}: of W/(W+RTT)", used / possible, bound, note=note)
    yield _figure(f"{name}: 429s", sent.refused, 0, is_ceiling=True)


def _figure(name: str, value: float, bound: float, *, is_ceiling: bool = False, note: str = "") -> Figure:
    load = f"load {os.getloadavg()[0]:.1f}"
    return Figure(name=name, value=value, bound=bound, is_ceiling=is_ceiling, note=f"{note}{', ' * bool(note)}{load}")
