"""What the pool needs of others: somebody who sends, and somebody who is told."""

from typing import Protocol

from sender.inro.wire import Request
from sender.ledger import StoredChunk
from sender.outcome import Outcome


class Messenger(Protocol):
    """What the pool needs of an API."""

    def request(self, chunk: StoredChunk) -> Request:
        """The call that sends this chunk, encoded once for all its tries."""

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        """What became of the call; the request leaves at most once."""

    async def probe(self) -> Outcome:
        """Whether the API answers a question that changes nothing."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def settled(self, recipients: int, outcome: Outcome) -> None:
        """A call has its outcome, and the ledger knows it; so many recipients need no further call."""

    def paused(self, seconds: float, reason: str) -> None:
        """The whole account waits for so long."""
