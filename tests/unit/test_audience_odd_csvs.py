"""What comes out of odd and broken CSVs, and what their owner reads."""

from pathlib import Path

import pytest

from campaigns.audience import AudienceReading, RejectedRow, read_audience
from campaigns.errors import AudienceError
from campaigns.model import Audience

USERNAME_RULE = "accepted are 1 to 30 of a-z, 0-9, '.' and '_', with or without '@', or a link to a profile"
ID_RULE = "accepted is a whole number from 1 to 9223372036854775807"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(content: bytes) -> Path:
    path = Path("people.csv").absolute()
    path.write_bytes(content)
    return path


def read(content: bytes, **settings: object) -> tuple[list[str], list[str], AudienceReading]:
    """`line:identifiers` of the kept, `place: reason` of the rejected, and the reading."""
    audience = Audience.model_validate({"csv": (str(written(content)),), **settings})
    rejected: list[RejectedRow] = []
    reading = read_audience(audience, on_rejected=rejected.append)
    kept = [f"{r.line}:" + ",".join(str(value) for value in r[:3] if value is not None) for r in reading]
    return kept, [f"{row.place}: {row.reason}" for row in rejected], reading


SOUND = {
    "a byte order mark": (b"\xef\xbb\xbfusername\nalice\n", ["2:alice"]),
    "UTF-16, little-endian": ("\ufeffusername\nalice\n".encode("utf-16-le"), ["2:alice"]),
    "UTF-16, big-endian": ("\ufeffusername;id\nalice;1\n".encode("utf-16-be"), ["2:1,alice"]),
    "UTF-32": ("username\nalice\n".encode("utf-32"), ["2:alice"]),
    "semicolons": (b"name;username\nA, B;alice\n", ["2:alice"]),
    "tabs": (b"name\tusername\nA, B\talice\n", ["2:alice"]),
    "pipes": (b"name|username\nA, B|alice\n", ["2:alice"]),
    "Excel's hint": (b"sep=;\r\nid;username\r\n1;bob\r\n", ["3:1,bob"]),
    "Excel's hint, one line after it": (b"sep=;\nusername\nbob", ["3:bob"]),
    "CRLF": (b"username\r\nalice\r\nbob\r\n", ["2:alice", "3:bob"]),
    "CR": (b"username\ralice\rbob\r", ["2:alice", "3:bob"]),
    "mixed line ends, blank lines": (b"\nusername\r\nalice\rbob\n\r\n \t\n\ncarl", ["3:alice", "4:bob", "8:carl"]),
    "quoted line breaks": (b'note,username\n"a\r\nb\n",alice\nx,bob\n', ["2:alice", "5:bob"]),
    "a quoted delimiter and quote": (b'note,username\n"a,""b""",alice\n', ["2:alice"]),
    "everything quoted": (b'"id","username"\n"1","alice"\n', ["2:1,alice"]),
    "a quote inside an unquoted cell": (b'size,username\n5" x 7",alice\n', ["2:alice"]),
    "line breaks of other alphabets": ("name,username\na\u2028b\x0bc\x85,alice\n".encode(), ["2:alice"]),
    "a NUL where nobody looks": (b"name,username\na\0b,alice\n", ["2:alice"]),
    "headers with capitals, spaces and @": (b" Contact_ID , @User Name\n1,alice\n", ["2:1,alice"]),
    "the API's own headers": (
        b"contact_username,contact_email\nalice,a@example.com\n",
        ["2:alice,a@example.com"],
    ),
    "a trailing delimiter everywhere": (b"username;\nalice;\n", ["2:alice"]),
    "no line end at the end": (b"username\nalice", ["2:alice"]),
    "a header of several lines": (b'"full\nname",username\nA,alice\n', ["3:alice"]),
    "a header of several lines and no line end": (b'"full\nname",username', []),
    "a header and nothing else": (b"username\n", []),
    "a header without its line end": (b"username", []),
}


@pytest.mark.parametrize("case", SOUND)
def test_odd_but_sound_files_are_read_without_a_word(case: str) -> None:
    content, expected = SOUND[case]

    kept, rejected, reading = read(content)

    assert (kept, rejected) == (expected, [])
    assert reading.counts.rows == len(expected)


BROKEN = {
    "a row with too few cells": (
        b"id,username\n1\n2,bob\n",
        ["3:2,bob"],
        ["people.csv:2:2: found 1 cell; accepted are 2, as in the header"],
    ),
    "a row with too many cells": (
        b"id,username\n1,alice,x\n2,bob\n",
        ["3:2,bob"],
        ["people.csv:2:3: found 3 cells; accepted are 2, as in the header"],
    ),
    "a row without identifiers": (
        b"name,id,username\nx,,\nx,2,\n",
        ["3:2"],
        ["people.csv:2:2: found nothing to address anyone by; accepted is a row with id or username"],
    ),
    "a malformed identifier beside a sound one": (
        b"id,username\n1,al ice\n2,bob\n",
        ["3:2,bob"],
        [f"people.csv:2:2: found the username 'al ice'; {USERNAME_RULE}"],
    ),
    "a NUL in an identifier": (
        b"id,username\n1,al\0ice\n2,bob\n",
        ["3:2,bob"],
        [f"people.csv:2:2: found the username 'al\\x00ice'; {USERNAME_RULE}"],
    ),
    "an id as a spreadsheet shows it": (
        b"id\n1.23E+15\n2\n",
        ["3:2"],
        [
            "people.csv:2:1: found the id '1.23E+15', which a spreadsheet has shortened: its last digits are lost, "
            f"so format the column as text and export it again; {ID_RULE}"
        ],
    ),
    "an id with a decimal point": (
        b"id\n12.0\n2\n",
        ["3:2"],
        [f"people.csv:2:1: found the id '12.0'; {ID_RULE}, in digits only"],
    ),
    "an e-mail in Unicode": (
        "email\nbob@exämple.com\n".encode(),
        [],
        [
            "people.csv:2:1: found the e-mail 'bob@exämple.com' with the character U+00E4; "
            "accepted is an address such as name@example.com, in ASCII"
        ],
    ),
    "Latin-1 in UTF-8": (
        b"username,name\nalice,Ren\xe9\nbob,x\n",
        ["3:bob"],
        [
            "people.csv:2:2: found the byte 0xe9 in 'Ren\ufffd', which is no text in this file's encoding; "
            "accepted is UTF-8, or what `encoding:` names"
        ],
    ),
    "half a character at the end of UTF-16": (
        "\ufeffusername\nalice\nbob".encode("utf-16-le") + b"x",
        ["2:alice"],
        [
            "people.csv:3:1: found the byte 0x78 in 'bob\ufffd', which is no text in this file's encoding; "
            "accepted is UTF-8, or what `encoding:` names"
        ],
    ),
    "a quote that is never closed": (
        b'note,username\nx,alice\n"y,bob\nz,carl\nw,dave\n',
        ["2:alice", "4:carl", "5:dave"],
        [
            "people.csv:3:1: found a quote that opens in line 3 and is not closed; accepted are quotes in pairs "
            "(the lines after it are read as rows of their own)"
        ],
    ),
    "a quote that another row's quote closes": (
        b'note,username\n"y,bob\nz,carl\n"w",dave\nv,erin',
        ["3:carl", "4:dave", "5:erin"],
        [
            "people.csv:2:1: found a quote that opens in line 2 and closes in line 4 in the midst of a cell; "
            'accepted are quotes around a whole cell, and "" for a quote inside it'
        ],
    ),
    "text after a closing quote": (
        b'note,username\nx,"alice"a\nz,bob\n',
        ["3:bob"],
        [
            "people.csv:2:2: found a quote that closes in line 2 in the midst of a cell; "
            'accepted are quotes around a whole cell, and "" for a quote inside it'
        ],
    ),
    "a giant cell": (
        b"username,note\nalice," + b"x" * 200_000 + b"\nbob,y\n",
        ["3:bob"],
        ["people.csv:2:2: found a cell of more than 131,072 characters; accepted are shorter ones"],
    ),
    "a giant quoted cell": (
        b'username,note\nalice,"' + b"x" * 200_000 + b'"\nbob,y\n',
        ["3:bob"],
        ["people.csv:2:2: found a cell of more than 131,072 characters; accepted are shorter ones"],
    ),
    "a line break in an identifier": (
        b'username\n"ali\nce"\nbob\n',
        ["4:bob"],
        [f"people.csv:2:1: found the username 'ali\\nce'; {USERNAME_RULE}"],
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_row_is_rejected_alone_and_its_owner_reads_why(case: str) -> None:
    content, expected_kept, expected_rejected = BROKEN[case]

    kept, rejected, reading = read(content)

    assert kept == expected_kept
    assert rejected == expected_rejected
    assert reading.counts.invalid == len(expected_rejected)
    assert reading.counts.rows == len(expected_kept) + len(expected_rejected)


def test_a_quote_that_is_never_closed_costs_one_row_however_long_the_file_is() -> None:
    rows = b"".join(b"%d,user%d\n" % (number, number) for number in range(1, 40_001))

    kept, rejected, _ = read(b'id,username\n7777777,"oops\n' + rows)

    assert len(kept) == 40_000
    assert kept[-1] == "40002:40000,user40000"
    assert len(rejected) == 1


def test_line_numbers_hold_across_blocks_and_cells_of_many_lines() -> None:
    rows = b"".join(b'%d,"note\n\nof three lines"\r\n' % number for number in range(1, 20_001))

    kept, rejected, _ = read(b"id,note\n" + rows)

    assert rejected == []
    assert kept[:2] == ["2:1", "5:2"]
    assert kept[-1] == "59999:20000"


def test_a_named_encoding_and_delimiter_are_obeyed() -> None:
    kept, rejected, _ = read("name|x;username\nRené|;alice\n".encode("cp1252"), encoding="cp1252", delimiter=";")

    assert (kept, rejected) == (["2:alice"], [])


def test_rejected_cells_can_be_written_as_utf8() -> None:
    audience = Audience(csv=(str(written(b"username,name\nalice,Ren\xe9\n")),))
    rejected: list[RejectedRow] = []
    list(read_audience(audience, on_rejected=rejected.append))

    assert rejected[0].cells == ("alice", "Ren\ufffd")
    assert "".join(rejected[0].cells).encode()


def test_strict_refuses_with_the_first_twenty_rows_and_the_number_of_the_rest() -> None:
    audience = Audience(csv=(str(written(b"username\nalice\n" + b"a b\n" * 25)),))

    with pytest.raises(AudienceError) as caught:
        list(read_audience(audience, strict=True))

    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 21
    assert messages[0] == f"people.csv:3:1: found the username 'a b'; {USERNAME_RULE}"
    assert messages[19] == f"people.csv:22:1: found the username 'a b'; {USERNAME_RULE}"
    assert messages[20] == "people.csv: and 5 more"


def test_strict_has_nothing_against_a_sound_file() -> None:
    audience = Audience(csv=(str(written(b"username\nalice\nalice\n")),))

    assert len(list(read_audience(audience, strict=True))) == 1
