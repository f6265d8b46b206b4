"""Servers that hold a rate: the sandbox's limiters and a real nginx, each in a process of its own."""

import asyncio
import json
import math
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sender.sandbox.limits import Limit, Limiter, LimiterKind, limiter
from tests.bench.figures import Skipped

# `return` alone would answer before nginx looks at the limit.
_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  {zones}
  {servers}
}}
"""
_ZONE = "limit_req_zone $server_port zone=z{port}:1m rate={per_second}r/s;"
_SERVER = """server {{ listen 127.0.0.1:{port}; limit_req zone=z{port} {burst}; limit_req_status 429;
  location / {{ try_files /nothing @ok; }} location @ok {{ return 202 "{{}}"; }} }}"""
# The limiter's kind, and its limits as (seconds from the start, rate).
Schedule = tuple[LimiterKind, Sequence[tuple[float, str]]]


def free_ports(count: int) -> list[int]:
    """As many ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def nginx(folder: Path, limits: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """A port for each (calls a second, burst). Raises Skipped where nginx is missing."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin")
    if not program:
        raise Skipped("nginx is missing (Debian: apt-get install nginx)")
    ports = free_ports(len(limits))
    zones = [_ZONE.format(port=port, per_second=each) for port, (each, _) in zip(ports, limits, strict=True)]
    bursts = [f"burst={burst} nodelay" if burst else "" for _, burst in limits]
    servers = [_SERVER.format(port=port, burst=burst) for port, burst in zip(ports, bursts, strict=True)]
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, zones="\n".join(zones), servers="\n".join(servers)), "utf-8")
    with _process([program, "-p", str(folder), "-c", str(config)], ports):
        yield ports


@contextmanager
def limiters(schedules: Sequence[Schedule]) -> Iterator[list[int]]:
    """A port for each limiter, whose time begins with its first call."""
    ports = free_ports(len(schedules))
    arguments = json.dumps([[port, *schedule] for port, schedule in zip(ports, schedules, strict=True)])
    with _process([sys.executable, "-m", __spec__.name, arguments], ports):
        yield ports


@contextmanager
def _process(command: list[str], ports: list[int]) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        for port in ports:
            _wait_for(port)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


class _Changing:
    """A limiter whose limit changes at set times."""

    def __init__(self, kind: LimiterKind, limits: Sequence[tuple[float, str]]) -> None:
        self._kind = kind
        self._limits = list(limits)
        self._began: float | None = None
        self._limiter: Limiter | None = None

    def take(self, now: float) -> float | None:
        self._began = now if self._began is None else self._began
        while self._limits and now - self._began >= self._limits[0][0]:
            self._limiter = limiter(self._kind, Limit.parse(self._limits.pop(0)[1]))
        assert self._limiter is not None
        return self._limiter.take(now)


class _Answering(asyncio.Protocol):
    """Answers 202, or 429 with Retry-After in whole seconds, to whatever comes with a Content-Length."""

    def __init__(self, held: _Changing) -> None:
        self._held = held
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if len(body) < length:
            return
        self._received = body[length:]
        wait_seconds = self._held.take(time.monotonic())
        status, more = "202 Accepted", ""
        if wait_seconds is not None:
            status, more = "429 Too Many Requests", f"Retry-After: {max(1, math.ceil(wait_seconds))}\r\n"
        head_out = f"HTTP/1.1 {status}\r\n{more}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        self._transport.write(head_out.encode() + b"{}")


async def _serve(schedules: list[tuple[int, LimiterKind, Sequence[tuple[float, str]]]]) -> None:
    loop = asyncio.get_running_loop()
    for port, kind, limits in schedules:
        held = _Changing(kind, limits)
        await loop.create_server(lambda held=held: _Answering(held), "127.0.0.1", port)  # type: ignore[misc]  # mypy has no type for a lambda's default
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
