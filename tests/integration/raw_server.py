"""A server made of one function that writes bytes, for replies that no framework would let out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

Handler = Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection at the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes]
    unread: bytes = b""

    async def head(self) -> bytes:
        """The next request's head, which is noted; b"" when the client closes instead, or says goodbye."""
        try:
            head, self.unread = self.unread or await self.reader.readuntil(b"\r\n\r\n"), b""
        except asyncio.IncompleteReadError:
            return b""
        if head.startswith(b"DELETE "):
            return b""
        self.requests.append(head)
        return head

    async def request(self) -> bytes:
        """The next request with its body; b"" when the client closes instead."""
        head = await self.head()
        return head + await self.body(head)

    async def body(self, head: bytes) -> bytes:
        """The body that belongs to a head."""
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        return await self.reader.readexactly(int(length.partition(b":")[2]))

    def put_back(self, head: bytes) -> None:
        """Lets the next `head` find this one again."""
        self.requests.remove(head)
        self.unread = head

    def abort(self) -> None:
        """Closes so that the client sees a reset."""
        self.writer.transport.abort()


@dataclass
class Server:
    """A server made of one function; whatever it does not answer stays unanswered."""

    url: str
    port: int
    connections: int = 0
    origin: str = ""
    requests: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Server]:
    """The handler, called with every connection."""
    served = Server(url="", port=0)
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(Connection(reader, writer, served.requests))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1 << 25)
    served.port = server.sockets[0].getsockname()[1]
    served.origin = f"http://127.0.0.1:{served.port}"
    served.url = f"http://127.0.0.1:{served.port}/api/v1"
    try:
        yield served
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*pieces: bytes) -> Handler:
    """Reads one request, writes this and closes."""

    async def handle(connection: Connection) -> None:
        await connection.request()
        connection.writer.writelines(pieces)
        await connection.writer.drain()

    return handle
