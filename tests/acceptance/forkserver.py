"""Starts of the command that cost a third: forks of a process that has imported what comes from elsewhere.

Nearly all of a start is the import of aiohttp, pydantic, NumPy and the like, and the tests start the command hundreds
of times. What is ours is imported afresh by each fork, which is a process like any other: an environment, a folder
and standard streams of its own, and an end of its own. The interpreter's own settings are the server's, so a command
with an unusual environment is executed instead, as is one that is still running when its test goes on.
"""

import atexit
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

PRELOADED = (
    *("aiohttp", "aiohttp.web", "apsw", "asyncio_throttle", "cronsim", "jinja2", "numpy", "orjson", "platformdirs"),
    *("pydantic", "rich.progress", "rich.table", "rich_click", "structlog", "yaml", "zoneinfo", "zstandard"),
)
USUAL = ("PATH", "HOME", "SSL_CERT_FILE", "CI", "INRO_", "CAMPAIGN_", "GITHUB_", "TMPDIR")


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether nothing in the environment is for the interpreter itself, or for what is imported already."""
    return all(name.startswith(USUAL) for name in environ)


def run(
    arguments: Sequence[str], *, folder: Path, environ: Mapping[str, str], stdin: bytes, seconds: float
) -> tuple[int, bytes, bytes]:
    """Exit code (negative for a signal), standard output and standard error of `campaign` with those arguments."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as asking:
        streams = Path(name)
        (streams / "0").write_bytes(stdin)
        asking.settimeout(seconds)
        asking.connect(_started()[0])
        order = {"arguments": arguments, "folder": str(folder), "environ": dict(environ), "streams": name}
        with asking.makefile("rw", encoding="utf-8", errors="surrogateescape") as line:
            line.write(f"{json.dumps(order)}\n")
            line.flush()
            pid = int(line.readline())
            try:
                code = int(line.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["campaign", *arguments], seconds) from None
        return code, (streams / "1").read_bytes(), (streams / "2").read_bytes()


@cache
def _started() -> tuple[str, "subprocess.Popen[bytes]"]:
    """A server that lives as long as this process, and its address."""
    address = str(Path(tempfile.mkdtemp()) / "forks")
    command = [sys.executable, "-m", "tests.acceptance.forkserver", address, *PRELOADED]
    environ = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": os.devnull, "OPENBLAS_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    server = subprocess.Popen(command, cwd=root, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout
    assert server.stdout.readline() == b"ready\n"
    atexit.register(_stop, server, Path(address).parent)
    return address, server


def _stop(server: "subprocess.Popen[bytes]", folder: Path) -> None:
    with server:
        server.terminate()
    shutil.rmtree(folder)


def _serve(address: str) -> dict[str, object]:
    """Answers for ever; returns in each fork, with what it has to do."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print("ready", flush=True)
        _end_with_parent()
        while True:
            asking, _ = listening.accept()
            if os.fork() == 0:
                break
            asking.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line = asking.makefile("rw", encoding="utf-8", errors="surrogateescape")
    order: dict[str, object] = json.loads(line.readline())
    if (pid := os.fork()) == 0:
        line.close()
        asking.close()
        return order
    line.write(f"{pid}\n")
    line.flush()
    _, status = os.waitpid(pid, 0)
    line.write(f"{os.waitstatus_to_exitcode(status)}\n")
    line.flush()
    os._exit(0)


def _end_with_parent() -> None:
    """The tests' process holds the other end of standard input; when that ends, so does this server."""
    server = os.getpid()
    if os.fork() == 0:
        sys.stdin.buffer.read()
        if os.getppid() == server:  # else it has ended already, and its number is somebody else's
            os.kill(server, signal.SIGTERM)
        os._exit(0)


def _become(order: Mapping[str, object]) -> None:
    streams = Path(str(order["streams"]))
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY | os.O_CREAT), (2, os.O_WRONLY | os.O_CREAT)):
        descriptor = os.open(streams / str(number), flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(str(order["folder"]))
    os.environ.clear()
    os.environ.update(order["environ"])  # type: ignore[call-overload]  # which is a mapping of text
    sys.argv = ["campaign", *order["arguments"]]  # type: ignore[misc]  # which is a list of text


if __name__ == "__main__":
    for module in sys.argv[2:]:
        __import__(module)
    gc.collect()
    gc.freeze()  # so that no fork looks through what all of them share
    _become(_serve(sys.argv[1]))
    from sender.cli import main

    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # taking the packages apart would last longer than most commands
