"""What a list of people amounts to, in one line of hexadecimal."""

import hashlib
from collections.abc import Iterable, Sequence

from campaigns.audience.recipients import KINDS, Recipient
from campaigns.model import IdentifierKind


class Fingerprint:
    """SHA-256 over recipients: identifiers, the kind they are addressed by, order; not their lines."""

    def __init__(self, identify_by: Sequence[IdentifierKind]) -> None:
        # By which identifiers are there (1 for an id, 2 for a username, 4 for an e-mail): the kind that is used.
        order = [KINDS.index(kind) for kind in identify_by]
        self._kinds = tuple(next((kind for kind in order if there >> kind & 1), order[-1]) for there in range(8))
        self._hash = hashlib.sha256()

    def add(self, recipients: Iterable[Recipient]) -> None:
        """Takes the next recipients in."""
        kinds = self._kinds
        # No identifier has a space in it, and None is an empty field: no two recipients make the same line.
        lines = [
            f"{kinds[(number is not None) + 2 * (username is not None) + 4 * (email is not None)]}"
            f" {number or ''} {username or ''} {email or ''}\n"
            for number, username, email, _, _ in recipients
        ]
        self._hash.update("".join(lines).encode())

    def hexdigest(self) -> str:
        """The fingerprint of all who were added so far."""
        return self._hash.hexdigest()
