"""Who would have got a message, and how often: what a test asks to prove that nobody got one twice."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime

from sender.sandbox.messages import Message
from sender.sandbox.options import holds


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of one accepted call."""

    batch_task_id: int
    """The task that carries it out."""
    kind: str
    """How its recipients are named."""
    accepted_count: int
    """How many get the message."""
    not_found: tuple[str, ...]
    """Who is not known."""
    accepted_at: float
    """When, by the sandbox's clock."""
    created_at: str
    """When, by the calendar (UTC)."""


class Deliveries:
    """Counts messages for each recipient (`username:ann`) at the moment of acceptance."""

    def __init__(self, unknown_contacts: frozenset[str], *, keep_receipts: int = 10_000) -> None:
        self._unknown = unknown_contacts
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self.largest_call = 0
        self.most_to_one = 0
        self.recent: deque[str] = deque(maxlen=24)
        self.receipts: deque[Receipt] = deque(maxlen=keep_receipts)

    def accept(self, message: Message, now: float, *, half: bool = False) -> Receipt:
        """Count the message for everybody who is found, or with `half` in the first half of the list."""
        looked_at = message.recipients[: len(message.recipients) // 2 if half else None]
        found = tuple(each for each in looked_at if not self.is_unknown(message.kind, each))
        missing = tuple(each for each in looked_at if self.is_unknown(message.kind, each))
        self.calls += 1
        self.largest_call = max(self.largest_call, len(message.recipients))
        for identifier in found:
            self._count(f"{message.kind}:{identifier.lower()}")
        receipt = Receipt(
            batch_task_id=self.calls,
            kind=message.kind,
            accepted_count=len(found),
            not_found=missing,
            accepted_at=now,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.receipts.append(receipt)
        return receipt

    def is_unknown(self, kind: str, identifier: str) -> bool:
        """Whether nobody is found under this identifier."""
        return identifier.lower().startswith("nobody") or holds(self._unknown, kind, identifier)

    def _count(self, recipient: str) -> None:
        self.counts[recipient] += 1
        self.most_to_one = max(self.most_to_one, self.counts[recipient])
        self.recent.appendleft(recipient)
