"""The normal forms of a contact's three identifiers: two cells that mean the same person become equal. Pure.

    normal_id("00178")                                      178
    normal_username(" @Maria.Rossi ")                       "maria.rossi"
    normal_username("https://instagram.com/maria/?hl=it")   "maria"
    normal_email("Maria@Example.COM")                       "maria@example.com"

Nothing outside ASCII is translated: what a full-width letter or a Kelvin sign resembles may be somebody
else's name, so such a cell is malformed. Spaces of every kind, zero-width and direction marks are stripped
at the ends only. Case in an e-mail's local part is ignored, as every large mail provider does.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeVar

T = TypeVar("T")

MAX_ID: Final = 2**63 - 1
_SURE_DIGITS: Final = 18  # what has no more of them is less than MAX_ID

# What str.isspace() knows, then the invisible characters that come along when text is copied from a page.
STRIPPED: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f"
    "\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)

ACCEPTED_ID: Final = f"a whole number from 1 to {MAX_ID}"
ACCEPTED_USERNAME: Final = "1 to 30 of a-z, 0-9, '.' and '_', with or without '@', or a link to a profile"
ACCEPTED_EMAIL: Final = "an address such as name@example.com"

_SHOWN: Final = 60
# What `_plain_…` and `_common_…` match is in normal form already, as most cells are.
_plain_id = re.compile(r"[1-9][0-9]{0,17}").fullmatch
_any_id = re.compile(r"0*([1-9][0-9]{0,18})", re.ASCII).fullmatch
_number = re.compile(r"[0-9]+(?:[.,][0-9]+)*[.,]?(e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE).fullmatch
_plain_username = re.compile(r"[a-z0-9._]{1,30}").fullmatch
_profile = re.compile(r"(?:https?://)?(?:www\.|m\.)?instagram\.com/@?([^/?#]+)/?(?:[?#].*)?", re.DOTALL).fullmatch
# Most addresses, at half the cost of the whole rule; it needs no bounds when there are 64 characters at most.
_COMMON_LENGTH: Final = 64
_common_email = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9]+\.)+[a-z]{2,63}").fullmatch
_plain_email = re.compile(
    r"(?=.{6,254}\Z)(?=[^@]{1,64}@)"
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9])"
).fullmatch

# One-segment addresses of instagram.com that are pages of Instagram itself.
_NOT_PROFILES: Final = frozenset({"accounts", "direct", "explore", "p", "reel", "reels", "stories", "tv"})


class MalformedIdentifier(ValueError):
    """A cell that is no identifier of its kind; its text says what was found and what is accepted."""


def normal_id(cell: str) -> int | None:
    """The contact id in `cell`, or None when the cell is blank. Raises MalformedIdentifier."""
    if _plain_id(cell):
        return int(cell)
    text = cell.strip(STRIPPED)
    if not text:
        return None
    digits = _any_id(text)
    if digits is None or int(digits[1]) > MAX_ID:
        _refuse_id(text)
    return int(digits[1])


def _refuse_id(text: str) -> NoReturn:
    number = _number(text)
    if number is not None and number[1]:
        raise MalformedIdentifier(
            f"found the id {shown(text)}, which a spreadsheet has shortened: its last digits are lost, so "
            f"format the column as text and export it again; accepted is {ACCEPTED_ID}"
        )
    raise MalformedIdentifier(f"found the id {_named(text)}; accepted is {ACCEPTED_ID}, in digits only")


def normal_username(cell: str) -> str | None:
    """The username in `cell`, a name or a link, or None when it is blank. Raises MalformedIdentifier."""
    if _plain_username(cell):
        return cell
    text = cell.strip(STRIPPED)
    if not text:
        return None
    # Before lower(), which would turn the Kelvin sign into an ASCII "k".
    name = _bare_username(text.lower()) if text.isascii() else ""
    if not _plain_username(name):
        raise MalformedIdentifier(f"found the username {_named(text)}; accepted are {ACCEPTED_USERNAME}")
    return name


def _bare_username(text: str) -> str:
    link = _profile(text)
    if link is None:
        return text.removeprefix("@")
    return "" if link[1] in _NOT_PROFILES else link[1]


def normal_email(cell: str) -> str | None:
    """The e-mail address in `cell`, or None when the cell is blank. Raises MalformedIdentifier."""
    if len(cell) <= _COMMON_LENGTH and _common_email(cell):
        return cell
    text = cell.strip(STRIPPED)
    if not text:
        return None
    address = text.lower().removeprefix("mailto:") if text.isascii() else ""
    if not _plain_email(address):
        raise MalformedIdentifier(f"found the e-mail {_named(text)}; accepted is {ACCEPTED_EMAIL}, in ASCII")
    return address


# Columns: what is in normal form already takes no call of ours, which at ten million rows would be seconds.


def normal_ids(cells: Sequence[str]) -> list[int | None]:
    """normal_id() of each cell; None for a malformed one, too."""
    digits = "".join(cells)
    if digits.isascii() and digits.isdecimal() and max(map(len, cells)) <= _SURE_DIGITS:
        return [int(cell) or None if cell else None for cell in cells]
    return [int(cell) if _plain_id(cell) else _found(normal_id, cell) for cell in cells]


def normal_usernames(cells: Sequence[str]) -> list[str | None]:
    """normal_username() of each cell; None for a malformed one, too."""
    return [cell if _plain_username(cell) else _found(normal_username, cell) for cell in cells]


def normal_emails(cells: Sequence[str]) -> list[str | None]:
    """normal_email() of each cell; None for a malformed one, too."""
    common, length = _common_email, _COMMON_LENGTH
    return [cell if len(cell) <= length and common(cell) else _found(normal_email, cell) for cell in cells]


def _found(normal: Callable[[str], T | None], cell: str) -> T | None:
    try:
        return normal(cell) if cell else None
    except MalformedIdentifier:
        return None


def _named(text: str) -> str:
    # A letter that looks like an ASCII one has to be pointed out.
    foreign = "" if text.isascii() else next(character for character in text if not character.isascii())
    return f"{shown(text)} with the character U+{ord(foreign):04X}" if foreign else shown(text)


def shown(text: str) -> str:
    """`text` in quotes, fit for a message: what is invisible is escaped, what is long is shortened."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return repr(readable(short))


def readable(text: str) -> str:
    """`text` with U+FFFD for each byte that could not be decoded, so that it can be written as UTF-8."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
