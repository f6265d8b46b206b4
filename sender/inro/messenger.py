"""Chunks out, outcomes back: the pool's port onto Inrō's REST API."""

from dataclasses import dataclass

from campaigns.media import MediaFile
from sender.inro import wire
from sender.inro.client import InroClient
from sender.inro.wire import Content, Request
from sender.ledger import StoredChunk
from sender.outcome import ChunkState, Outcome, Then


@dataclass(frozen=True, kw_only=True)
class InroMessenger:
    """Sends one message to many chunks.

    client    the account's connections
    content   the message as the API takes it
    key       the run's random key, with which its idempotency keys begin
    file      the content's file as it was checked, if it has one
    """

    client: InroClient
    content: Content
    key: str
    file: MediaFile | None = None

    def request(self, chunk: StoredChunk) -> Request:
        """The call that sends this chunk."""
        # One key for all tries of a chunk. Inrō documents no idempotency, and nothing here relies on it.
        return wire.message_request(chunk.kind, chunk.addresses, self.content, idempotency_key=f"{self.key}-{chunk.id}")

    async def send(self, chunk: StoredChunk, request: Request) -> Outcome:
        """What became of the call."""
        if request.file and self.file and not self.file.is_unchanged:
            reason = f"{self.file.path} has changed or gone since it was checked: put it back as it was"
            return Outcome(chunk=ChunkState.PENDING, then=Then.STOP, reason=reason)
        return wire.outcome(await self.client.send(request), request.addresses)

    async def probe(self) -> Outcome:
        """Whether the API answers a question that changes nothing."""
        return wire.probe_outcome(await self.client.get("/contacts", {"page": 1, "per_page": 1}))
