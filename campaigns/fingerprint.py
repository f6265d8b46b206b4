"""What somebody was shown and agreed to, as one word: a run's message, recipients and their order. Pure."""

from collections.abc import Iterable
from hashlib import sha256

from campaigns.audience.recipients import Recipient
from campaigns.model import IdentifierKind

LENGTH = 32


class PlanFingerprint:
    """Takes a plan's recipients in, however they are cut into chunks, and tells its fingerprint.

    An audience's own fingerprint has the order, and whoever is excluded; what is added here is who is not.
    """

    def __init__(self) -> None:
        self._people = list[str]()

    def add(self, kind: IdentifierKind, recipients: Iterable[Recipient]) -> None:
        """Takes recipients in who are addressed by that kind of identifier."""
        self._people += (f"{kind} {' '.join(recipient.keys())}" for recipient in recipients)

    def hexdigest(self, *, run: str, campaign: str, account: str, message: str, audience: str) -> str:
        """32 hex digits; `message` and `audience` are the fingerprints of these."""
        # No name or identifier has a line's end in it: no two plans make the same text.
        text = "\n".join((run, campaign, account, message, audience, *sorted(self._people)))
        return sha256(text.encode()).hexdigest()[:LENGTH]
