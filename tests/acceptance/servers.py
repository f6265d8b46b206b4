"""Servers that are not the API: they answer what a test tells them, and remember what reached them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Answer = Callable[[bytes], bytes]
"""The bytes of a request -> the bytes of the reply."""


@dataclass(kw_only=True)
class Server:
    """A server on this machine, and the requests that reached it."""

    url: str
    received: list[bytes] = field(default_factory=list)


@contextmanager
def answering(answer: Answer) -> Iterator[Server]:
    """A server that reads each request to its end, answers it, and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(url=f"http://127.0.0.1:{listening.getsockname()[1]}/api/v1")
        thread = threading.Thread(target=_serve, args=(listening, server, answer))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, server: Server, answer: Answer) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            request = _read(connection)
            server.received.append(request)
            connection.sendall(answer(request))


def _read(connection: socket.socket) -> bytes:
    request = b""
    while not _is_whole(request) and (more := connection.recv(65_536)):
        request += more
    return request


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    told = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(told[0] if told else 0)


def reply(status: str, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP reply; `status` is such as `422 Unprocessable`, underscores in header names are dashes."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
