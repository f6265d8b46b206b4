"""The values that come out of an audience's files: recipients, rejected rows, counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from campaigns.errors import Place
from campaigns.model import IdentifierKind

KINDS: Final = tuple(IdentifierKind)
"""In the order of a Recipient's first fields."""


class Recipient(NamedTuple):
    """A person as one row names them, in normal forms."""

    id: int | None
    username: str | None
    email: str | None
    source: int
    """The index of the file in the audience's list."""
    line: int
    """The line of that file where the row starts."""

    def keys(self) -> tuple[str, ...]:
        """One string for each identifier, equal exactly when kind and identifier are."""
        number, username, email, _, _ = self
        # Spelled out, as identifier_key() would: the closure asks every row.
        keys = (
            f"i:{number}" if number is not None else None,
            f"u:{username}" if username is not None else None,
            f"e:{email}" if email is not None else None,
        )
        return tuple(filter(None, keys))

    def kind(self, identify_by: Sequence[IdentifierKind]) -> IdentifierKind | None:
        """The first of `identify_by` that this recipient has."""
        return next((kind for kind in identify_by if self[KINDS.index(kind)] is not None), None)

    def address(self, kind: IdentifierKind) -> int | str:
        """The identifier of that kind. Raises LookupError when there is none."""
        value = self[KINDS.index(kind)]
        if value is None:
            raise LookupError(f"the recipient of line {self.line} has no {kind}")
        return value


def identifier_key(kind: IdentifierKind, value: int | str) -> str:
    """The string for an identifier among those of all kinds: `i:178`, `u:maria`, `e:maria@example.com`."""
    return f"{kind[0]}:{value}"


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row that nobody can be addressed by, and why."""

    place: Place
    """The line where the row starts, and the number of the cell in it, both counted from 1."""
    reason: str
    """What was found, and what is accepted."""
    cells: tuple[str, ...]
    """The row as it was read, without quotes when those were at fault; fit to be written as UTF-8."""


@dataclass(kw_only=True)
class Counts:
    """Rows by what became of them; `rows` is the sum of the others."""

    rows: int = 0
    kept: int = 0
    invalid: int = 0
    duplicates: int = 0
    excluded: int = 0
    filtered: int = 0
