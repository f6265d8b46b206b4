"""Which column of a CSV holds which identifier, told from its header."""

from dataclasses import dataclass
from typing import Final

from campaigns.audience.csvfile import Header, header_key
from campaigns.audience.identifiers import MalformedIdentifier, normal_email, normal_id, normal_username, shown
from campaigns.audience.sources import file_error
from campaigns.errors import AudienceError
from campaigns.model import Audience, IdentifierKind

HEADERS: Final = {
    IdentifierKind.ID: ("id", "contact_id"),
    IdentifierKind.USERNAME: ("username", "contact_username"),
    IdentifierKind.EMAIL: ("email", "contact_email"),
}
_SHOWN_HEADERS: Final = 12


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where to look in a row; positions count from 0."""

    width: int
    """How many cells a row must have."""
    identifiers: dict[IdentifierKind, int]
    """The column of each kind that the file has."""
    where: tuple[tuple[int, frozenset[str]], ...]
    """Columns with the values that a row must have to be kept."""


def wanted_headers(audience: Audience) -> frozenset[str]:
    """The keys of all headers that mean something to this audience."""
    names = [name for kind in IdentifierKind for name in _names(audience, kind)]
    return frozenset(map(header_key, (*names, *audience.where)))


def find_columns(header: Header, audience: Audience, path: str) -> Columns:
    """The columns of an audience's CSV.

    Raises AudienceError when none is usable, when one that the campaign names is missing, or stands twice.
    """
    found: dict[IdentifierKind, int] = {}
    for kind in IdentifierKind:
        positions = _positions(header, _names(audience, kind))
        if not positions and kind in audience.columns:
            raise _missing(header, audience.columns[kind], f"columns: {kind}", path)
        if positions:
            found[kind] = _only(header, positions, kind, path)
    if not found.keys() & set(audience.identify_by):
        raise _no_usable_column(header, audience, path)
    where = []
    for name, values in audience.where.items():
        positions = _positions(header, (name,))
        if not positions:
            raise _missing(header, name, "where", path)
        where.append((_only(header, positions, name, path), frozenset(values)))
    return Columns(width=len(header.cells), identifiers=found, where=tuple(where))


def find_exclusion_columns(header: Header, audience: Audience, path: str) -> list[tuple[IdentifierKind, int]]:
    """Every column of an exclusion list that holds identifiers, by its own name or the one in `columns`.

    Raises AudienceError when there is none. A kind that stands twice counts twice: no opt-out may be lost.
    """
    names = {kind: (*HEADERS[kind], *_names(audience, kind)) for kind in IdentifierKind}
    found = [(kind, position) for kind in IdentifierKind for position in _positions(header, names[kind])]
    if not found:
        raise _no_usable_column(header, audience, path)
    return found


def _names(audience: Audience, kind: IdentifierKind) -> tuple[str, ...]:
    return (audience.columns[kind],) if kind in audience.columns else HEADERS[kind]


def _positions(header: Header, names: tuple[str, ...]) -> list[int]:
    keys = set(map(header_key, names))
    return [position for position, cell in enumerate(header.cells) if header_key(cell) in keys]


def _only(header: Header, positions: list[int], what: str, path: str) -> int:
    if len(positions) > 1:
        names = " and ".join(shown(header.cells[position]) for position in positions)
        raise file_error(
            path,
            f"found {len(positions)} columns for {what}, {names}; accepted is one: remove or rename the rest",
        )
    return positions[0]


def _missing(header: Header, name: str, key: str, path: str) -> AudienceError:
    return file_error(
        path, f"found no column {shown(name)}, which `{key}` names; accepted are the columns {_list(header)}"
    )


def _no_usable_column(header: Header, audience: Audience, path: str) -> AudienceError:
    if any("\0" in cell for cell in header.cells):
        return file_error(path, "found NUL characters in the header; if this is UTF-16, name it: `encoding: utf-16-le`")
    names = [name for kind in audience.identify_by for name in _names(audience, kind)]
    accepted = f"accepted are {', '.join(names)}"
    if data := next(filter(_looks_like_data, header.cells), None):
        return file_error(
            path,
            f"the first line looks like a recipient ({shown(data)}), not like the names of the columns; "
            f"{accepted}: put such a line above it",
        )
    return file_error(
        path,
        f"no column holds recipients; the columns are {_list(header)}; "
        f"{accepted}, or another name that `columns:` maps",
    )


def _looks_like_data(cell: str) -> bool:
    for normal in (normal_email, normal_id):
        try:
            if normal(cell) is not None:
                return True
        except MalformedIdentifier:
            pass
    try:
        return ("/" in cell or cell.startswith("@")) and normal_username(cell) is not None
    except MalformedIdentifier:
        return False


def _list(header: Header) -> str:
    more = len(header.cells) - _SHOWN_HEADERS
    names = ", ".join(map(shown, header.cells[:_SHOWN_HEADERS]))
    return f"{names} and {more} more" if more > 0 else names
