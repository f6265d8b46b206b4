"""The normal forms of ids, usernames and e-mails."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.audience.identifiers import (
    MalformedIdentifier,
    normal_email,
    normal_emails,
    normal_id,
    normal_ids,
    normal_username,
    normal_usernames,
    shown,
)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("178", 178),
        ("00178", 178),
        (" \u00a0178\u200b", 178),
        ("9223372036854775807", 2**63 - 1),
        ("  ", None),
        ("\ufeff", None),
    ],
)
def test_ids_are_positive_integers(cell: str, expected: int | None) -> None:
    assert normal_id(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "0",
        "000",
        "-5",
        "+5",
        "1_000",
        "1,000",
        "12.0",
        "１２",
        "٣",
        "9223372036854775808",
        "9" * 5000,
        "a1",
        "1 2",
    ],
)
def test_anything_but_ascii_digits_up_to_the_largest_integer_is_no_id(cell: str) -> None:
    with pytest.raises(MalformedIdentifier, match="accepted is a whole number from 1 to 9223372036854775807"):
        normal_id(cell)


@pytest.mark.parametrize("cell", ["1.23E+15", "1,23e+15", "1E15", "1.7841400000E+16"])
def test_an_id_that_a_spreadsheet_shortened_is_called_that(cell: str) -> None:
    with pytest.raises(MalformedIdentifier, match="which a spreadsheet has shortened: its last digits are lost"):
        normal_id(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("maria.rossi_9", "maria.rossi_9"),
        (" @Maria.Rossi ", "maria.rossi"),
        ("\u200e@maria\u2069", "maria"),
        ("https://www.instagram.com/Maria/?hl=it", "maria"),
        ("http://instagram.com/maria", "maria"),
        ("instagram.com/maria/", "maria"),
        ("HTTPS://M.Instagram.com/@maria#top", "maria"),
        ("x" * 30, "x" * 30),
        ("", None),
    ],
)
def test_usernames_are_lower_case_without_at_sign_and_profile_links_are_usernames(
    cell: str, expected: str | None
) -> None:
    assert normal_username(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "@",
        "@@bob",
        "bo b",
        "bob!",
        "x" * 31,
        "Ｂob",
        "bo\u200bb",
        "instagram.com/",
        "https://instagram.com/explore/",
        "https://www.instagram.com/p/Cabc/",
        "https://instagram.com.evil.example/bob",
        "https://evil.example/bob",
    ],
)
def test_what_is_no_username_is_malformed(cell: str) -> None:
    with pytest.raises(MalformedIdentifier, match="accepted are 1 to 30 of a-z, 0-9"):
        normal_username(cell)


def test_a_letter_that_only_looks_like_an_ascii_one_is_pointed_out() -> None:
    with pytest.raises(MalformedIdentifier, match=r"^found the username '\u212aen' with the character U[+]212A; "):
        normal_username("\u212aen")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Bob@Example.COM", "bob@example.com"),
        ("\u00a0b.o+b@x-y.co.uk\n", "b.o+b@x-y.co.uk"),
        ("mailto:b@x.io", "b@x.io"),
        ("o'b@a-b.example.com", "o'b@a-b.example.com"),
        ("a" * 64 + "@x.io", "a" * 64 + "@x.io"),
        ("\t", None),
    ],
)
def test_emails_are_lower_case(cell: str, expected: str | None) -> None:
    assert normal_email(cell) == expected


@pytest.mark.parametrize(
    "cell",
    [
        "bob",
        "bob@",
        "@example.com",
        "bob@localhost",
        "b..b@example.com",
        ".b@example.com",
        "bob@-x.com",
        "bob@x-.com",
        "bob@x.c",
        "bob@1.2.3.4",
        "a@b@example.com",
        "x@" + "y" * 64 + ".com",
        "Bob <bob@example.com>",
        "bob@example.com,eve@example.com",
        "bob＠example.com",
        "bob@exämple.com",
        "x" * 65 + "@example.com",
        "bob@" + "x." * 130 + "com",
    ],
)
def test_what_is_no_email_is_malformed(cell: str) -> None:
    with pytest.raises(MalformedIdentifier, match=r"accepted is an address such as name@example\.com"):
        normal_email(cell)


def test_messages_show_invisible_characters_and_shorten_long_values() -> None:
    assert shown("a\0b\u200b\n") == r"'a\x00b\u200b\n'"
    assert shown("x" * 100) == f"'{'x' * 59}…'"


CELLS = st.one_of(
    st.text(),
    st.from_regex(r"@?[A-Za-z0-9._]{1,31}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.+]{1,9}@[A-Za-z0-9.-]{1,9}\.[a-z]{2,3}", fullmatch=True),
    st.integers().map(str),
)


@given(cell=CELLS, space=st.sampled_from(["", " ", "\u00a0", "\u200b\t"]))
@pytest.mark.parametrize("normal", [normal_id, normal_username, normal_email])
def test_normalising_twice_is_normalising_once(normal: object, cell: str, space: str) -> None:
    assert callable(normal)
    try:
        once = normal(space + cell + space)
    except MalformedIdentifier:
        return
    if once is not None:
        assert normal(str(once)) == once
        assert str(once) == str(once).lower()
        assert str(once).isascii()


def of_each(normal: Callable[[str], object], cells: list[str]) -> list[object]:
    found = []
    for cell in cells:
        try:
            found.append(normal(cell))
        except MalformedIdentifier:
            found.append(None)
    return found


@settings(deadline=None)
@given(cells=st.lists(CELLS | st.sampled_from(["", "0", "007", "9" * 18, "9" * 19, "٣", "a@b.co"]), max_size=9))
@pytest.mark.parametrize(
    ("column", "normal"),
    [(normal_ids, normal_id), (normal_usernames, normal_username), (normal_emails, normal_email)],
)
def test_a_column_is_normalised_as_its_cells_are(
    column: Callable[[list[str]], list[object]], normal: Callable[[str], object], cells: list[str]
) -> None:
    numbers = [cell for cell in cells if cell.isdecimal()]
    assert column(cells) == of_each(normal, cells)
    assert column(numbers) == of_each(normal, numbers)
