"""Who is kept: one person one message, whoever opted out stays out, and every row is counted once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from campaigns.audience import (
    AudienceReading,
    Counts,
    Recipient,
    excluded_keys,
    listed_keys,
    read_audience,
)
from campaigns.errors import AudienceError
from campaigns.model import Audience, IdentifierKind

Files = Callable[..., Audience]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Writes audience and exclusion lists, and makes the Audience of them."""

    def make(*csv: str, exclude: tuple[str, ...] = (), **settings: object) -> Audience:
        paths = []
        for name, content in [(f"{n}.csv", c) for n, c in enumerate(csv)] + [
            (f"out{n}.csv", c) for n, c in enumerate(exclude)
        ]:
            (tmp_path / name).write_text(content)
            paths.append(str(tmp_path / name))
        lists = {"csv": tuple(paths[: len(csv)]), "exclude": tuple(paths[len(csv) :])}
        return Audience.model_validate(lists | settings)

    return make


def kept(audience: Audience) -> tuple[list[int], AudienceReading]:
    """The lines of the kept recipients, and the reading."""
    reading = read_audience(audience)
    return [recipient.line for recipient in reading], reading


def fingerprint(audience: Audience) -> str:
    return kept(audience)[1].fingerprint


def test_a_recipient_knows_its_keys_kind_and_address() -> None:
    recipient = Recipient(7, None, "a@example.com", 0, 2)

    assert recipient.keys() == ("i:7", "e:a@example.com")
    assert recipient.kind((IdentifierKind.USERNAME, IdentifierKind.EMAIL)) is IdentifierKind.EMAIL
    assert recipient.kind((IdentifierKind.USERNAME,)) is None
    assert recipient.address(IdentifierKind.ID) == 7


def test_a_row_that_shares_any_identifier_with_an_earlier_one_is_a_duplicate(files: Files) -> None:
    lines, reading = kept(files("id,username\n1,alice\n1,other\n,OTHER\n2,bob\n,@Bob\n"))

    assert lines == [2, 5]
    assert reading.counts == Counts(rows=5, kept=2, duplicates=3)


def test_equal_text_of_different_kinds_is_not_the_same_person(files: Files) -> None:
    assert kept(files("id,username\n1,\n,1\n"))[0] == [2, 3]


def test_duplicates_are_found_across_files(files: Files) -> None:
    reading = read_audience(files("username\nalice\n", "id;username\n1;alice\n2;bob\n"))

    assert [(r.source, r.line, r.username) for r in reading] == [(0, 2, "alice"), (1, 3, "bob")]


def test_a_filtered_row_is_nobodys_duplicate(files: Files) -> None:
    lines, reading = kept(files("username,country\na,DE\na, FR \nb,fr\n", where={"Country": ("FR", "BE")}))

    assert lines == [3]
    assert reading.counts == Counts(rows=3, kept=1, filtered=2)


def test_a_mapped_column_replaces_the_usual_header(files: Files) -> None:
    reading = read_audience(files("username,Insta Handle\nx y,alice\n", columns={"username": "insta handle"}))

    assert [r.username for r in reading] == ["alice"]


def test_a_row_with_only_what_identify_by_leaves_out_is_invalid(files: Files) -> None:
    _, reading = kept(files("username,email\n,a@example.com\nbob,\n", identify_by=("username",)))

    assert reading.counts == Counts(rows=2, kept=1, invalid=1)


def test_whoever_opted_out_stays_out_along_the_chain_in_either_direction(files: Files) -> None:
    audience = files(
        "id,username,email,country\n"
        ",alice,,FR\n"  # excluded only by way of the rows below
        "5,,c@example.com,DE\n"  # filtered, and still a link of the chain
        "4,bob,,FR\n"
        "4,,c@example.com,FR\n"
        "5,alice,,FR\n",
        exclude=("username\nBOB\n",),
        where={"country": ("FR",)},
    )

    lines, reading = kept(audience)

    assert lines == []
    assert reading.counts == Counts(rows=5, filtered=1, excluded=4)
    assert excluded_keys(audience) == {"u:bob", "u:alice", "i:4", "i:5", "e:c@example.com"}
    assert listed_keys(audience) == {"u:bob"}


def test_an_invalid_row_ties_nobody(files: Files) -> None:
    lines, reading = kept(files("id,username,email\n1,bob,x\n1,,\n", exclude=("username\nbob\n",)))

    assert lines == [3]
    assert reading.counts == Counts(rows=2, kept=1, invalid=1)


def test_an_excluded_duplicate_counts_as_excluded(files: Files) -> None:
    _, reading = kept(files("username\nbob\nbob\nalice\nalice\n", exclude=("username\nbob\n",)))

    assert reading.counts == Counts(rows=4, kept=1, excluded=2, duplicates=1)


LENIENT = {
    "a sound cell beside a malformed one": ("username,email\nbob,no address\n", {"u:bob"}),
    "too few cells": ("name,username,email\nbob@example.com\n", {"e:bob@example.com"}),
    "too many cells": ("username\nbob,,\n", {"u:bob"}),
    "a comma that shifts the cells": ("name,email\nDoe, Bob,bob@example.com\n", {"e:bob@example.com"}),
    "a quote that is never closed": ('username,note\n"bob,x\ncarl,y\n', {"u:bob", "u:x", "u:carl"}),
    "a quote that swallows a line": ('username\n"bob\ncarl"\n', {"u:bob", "u:carl"}),
    "several people in a cell": ("email\na@x.io; Bob <b@x.io>\n", {"e:a@x.io", "e:b@x.io"}),
    "the other delimiter, though not in the header": ("username\nbob;carl\n", {"u:bob", "u:carl"}),
    "quotes after a space": ('name,username\nB, "bob"\n', {"u:bob"}),
    "the usual header though another is mapped": ("username\nbob\n", {"u:bob"}),
    "the mapped header": ("handle\nbob\n", {"u:bob"}),
    "both headers": ("handle,username\nbob,carl\n", {"u:bob", "u:carl"}),
    "another delimiter": ("username;name\nbob;B\n", {"u:bob"}),
    "a header and nothing else": ("username\n", set()),
}


@pytest.mark.parametrize("case", LENIENT)
def test_no_opt_out_is_lost_however_its_row_is_damaged(files: Files, case: str) -> None:
    content, expected = LENIENT[case]
    audience = files("handle\nalice\n", exclude=(content,), columns={"username": "handle"}, delimiter=",")

    assert listed_keys(audience) == expected
    _, reading = kept(audience)
    assert reading.exclusion_problems == []


def test_latin_1_in_an_exclusion_list_costs_no_opt_out(files: Files, tmp_path: Path) -> None:
    audience = files("username\nalice\n", exclude=("",))
    (tmp_path / "out0.csv").write_bytes(b"username,name\nbob,Ren\xe9\n")

    assert listed_keys(audience) >= {"u:bob"}


def test_rows_of_an_exclusion_list_that_exclude_nobody_are_collected(files: Files) -> None:
    audience = files("username\nalice\n", exclude=("username,email\nb b,\nbob,\n\n,\n",))

    _, reading = kept(audience)

    assert [f"{Path(row.place.file).name}:{row.place.line}: {row.reason}" for row in reading.exclusion_problems] == [
        "out0.csv:2: found 'b b', '', which excludes nobody; accepted is a row with a sound username or email",
        "out0.csv:5: found '', '', which excludes nobody; accepted is a row with a sound username or email",
    ]
    with pytest.raises(AudienceError, match="found 'b b', '', which excludes nobody"):
        list(read_audience(audience, strict=True))


@pytest.mark.parametrize("read", [listed_keys, excluded_keys, lambda audience: list(read_audience(audience))])
def test_a_missing_exclusion_list_is_never_passed_over(files: Files, read: Callable[[Audience], object]) -> None:
    audience = files("username\nalice\n", exclude=("username\nbob\n",))
    Path(audience.exclude[0]).unlink()

    with pytest.raises(AudienceError, match="found no such file"):
        read(audience)


def test_an_exclusion_list_of_no_bytes_or_without_usable_column_is_refused(files: Files) -> None:
    with pytest.raises(AudienceError, match="the exclusion list is empty; accepted is at least a header"):
        listed_keys(files("username\nalice\n", exclude=("",)))
    with pytest.raises(AudienceError, match="no column holds recipients; the columns are 'name'"):
        listed_keys(files("username\nalice\n", exclude=("name\nbob\n",)))


def test_the_fingerprint_is_of_people_and_their_order(files: Files) -> None:
    base = fingerprint(files("id,username\n1,alice\n2,bob\n"))

    assert fingerprint(files("username;id\n@Alice;01\n\nBOB;2\n")) == base
    assert fingerprint(files("id,username\n1,alice\n1,\n2,bob\n,BOB\n")) == base
    assert fingerprint(files("id,username\n1,alice\nx,\n2,bob\n")) == base
    assert fingerprint(files("id,username\n1,alice\n2,bob\n", exclude=("username\nbob\n",))) == base
    assert fingerprint(files("id,username\n2,bob\n1,alice\n")) != base
    assert fingerprint(files("id,username\n1,alice\n")) != base
    assert fingerprint(files("id,username\n1,alice\n2,\n")) != base
    assert fingerprint(files("id,username\n1,alice\n2,bob\n", identify_by=("username", "id"))) != base
    assert fingerprint(files("id,username\n1,alice\n2,bob\n", identify_by=("id", "email"))) == base


def test_progress_is_told_at_every_thousand_rows(files: Files) -> None:
    seen: list[int] = []
    audience = files("id\n" + "".join(f"{n}\n" for n in range(1, 2501)), "id\n" + "x\n" * 600)

    list(read_audience(audience, on_progress=seen.append))

    assert seen == [1000, 2000, 3000]
