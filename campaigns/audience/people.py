"""One person, one message: who has been met already, and what a list of people amounts to."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, Self

from campaigns.audience.recipients import KINDS, Recipient
from campaigns.model import IdentifierKind

_HASHED_TOGETHER: Final = 1000


class People:
    """Everyone met so far, by each of their identifiers.

    One set for each kind, of bare values: tagged keys for ten million people would take a gigabyte more.
    """

    def __init__(self) -> None:
        self._ids = set[int | None]()
        self._usernames = set[str | None]()
        self._emails = set[str | None]()

    @classmethod
    def of_keys(cls, keys: Iterable[str]) -> Self:
        """Those whom `keys`, of Recipient.keys(), stand for."""
        people = cls()
        for key in keys:
            kind, value = key[0], key[2:]
            if kind == IdentifierKind.ID[0]:
                people._ids.add(int(value))
            elif kind == IdentifierKind.USERNAME[0]:
                people._usernames.add(value)
            else:
                people._emails.add(value)
        return people

    def __contains__(self, recipient: Recipient) -> bool:
        """Whether any identifier of the recipient is known."""
        number, username, email, _, _ = recipient
        return number in self._ids or username in self._usernames or email in self._emails

    def meet(self, recipient: Recipient) -> bool:
        """Whether the recipient is new; all their identifiers are known from now on."""
        number, username, email, _, _ = recipient
        known = number in self._ids or username in self._usernames or email in self._emails
        if number is not None:
            self._ids.add(number)
        if username is not None:
            self._usernames.add(username)
        if email is not None:
            self._emails.add(email)
        return not known


class Fingerprint:
    """SHA-256 over recipients: identifiers, the kind they are addressed by, order; not their lines."""

    def __init__(self, identify_by: Sequence[IdentifierKind]) -> None:
        self._order = tuple(KINDS.index(kind) for kind in identify_by)
        self._hash = hashlib.sha256()
        self._waiting = list[str]()

    def add(self, recipient: Recipient) -> None:
        """Takes the next recipient in."""
        number, username, email, _, _ = recipient
        for kind in self._order:
            if recipient[kind] is not None:
                break
        # No identifier has a space in it, and None is an empty field: no two recipients make the same line.
        self._waiting.append(f"{kind} {number or ''} {username or ''} {email or ''}\n")
        if len(self._waiting) == _HASHED_TOGETHER:
            self._flush()

    def hexdigest(self) -> str:
        """The fingerprint of all who were added so far."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update("".join(self._waiting).encode())
        self._waiting.clear()
