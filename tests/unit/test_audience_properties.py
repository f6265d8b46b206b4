"""What holds for any file whatsoever, and the definitions that the quick ways must agree with."""

import gzip
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from campaigns.audience import Recipient, excluded_keys, listed_keys, read_audience, textfile
from campaigns.audience.block import Block
from campaigns.audience.exclusions import tied_keys
from campaigns.audience.people import People
from campaigns.audience.sifting import sift
from campaigns.errors import AudienceError
from campaigns.model import Audience

IDS = st.none() | st.integers(1, 6)
NAMES = st.none() | st.sampled_from("abcdef")
EMAILS = st.none() | st.sampled_from([f"{letter}@x.io" for letter in "abcdef"])
PEOPLE = st.lists(
    st.builds(Recipient, IDS, NAMES, EMAILS, st.just(0), st.integers(2, 99)).filter(lambda r: any(r[:3])),
    max_size=25,
)
PIECES = (
    *("id", "username", "email", "1", "22", "bob", "@Al", "a@b.co", "1E9"),
    *(",", ",", ";", "\t", "|", '"', '"', "\n", "\n", "\r\n", "\r"),
    *(" ", "\0", "é", "\ufeff", "\u2028"),
)
CSV_PIECES = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
CSV_BYTES = st.one_of(
    st.binary(max_size=200),
    CSV_PIECES.map(str.encode),
    CSV_PIECES.map(lambda text: b"id,username,email\n" + text.encode()),
    CSV_PIECES.map(lambda text: b"username\n" + text.encode("latin-1", "replace")),
    CSV_PIECES.map(lambda text: f"id;email\n{text}".encode("utf-16")),
    st.binary(max_size=60).map(lambda junk: b"\xff\xfeu\0s\0e\0r\0n\0a\0m\0e\0\n\0" + junk),
    st.binary(max_size=60).map(lambda junk: gzip.compress(b"username\n") + junk),
    st.binary(max_size=60).map(lambda junk: b"\x1f\x8b" + junk),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@given(content=CSV_BYTES, excluded=st.none() | CSV_BYTES, encoding=st.sampled_from([None, "shift-jis", "utf-7"]))
@example(content=b'username\n"', excluded=None, encoding=None)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_counted_in_full_or_refused(content: bytes, excluded: bytes | None, encoding: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.csv").write_bytes(content)
        (Path(folder) / "out.csv").write_bytes(excluded or b"")
        audience = Audience(
            csv=(f"{folder}/in.csv",),
            exclude=() if excluded is None else (f"{folder}/out.csv",),
            encoding=encoding,
        )
        rejected: list[int] = []
        reading = read_audience(audience, on_rejected=lambda row: rejected.append(row.place.line or 0))
        try:
            kept = list(reading)
        except AudienceError:
            return
    counts = reading.counts
    others = counts.kept + counts.invalid + counts.duplicates + counts.excluded + counts.filtered
    assert counts.rows == others
    assert counts.kept == len(kept)
    assert counts.invalid == len(rejected)
    assert rejected == sorted(set(rejected))
    assert all(one.line < other.line for one, other in pairwise(kept))


def outcome(path: Path) -> object:
    rejected: list[tuple[str, str]] = []
    reading = read_audience(
        Audience(csv=(str(path),)), on_rejected=lambda row: rejected.append((str(row.place), row.reason))
    )
    try:
        return list(reading), rejected, reading.counts, reading.fingerprint
    except AudienceError as error:
        return str(error)


@given(content=CSV_BYTES, block_bytes=st.integers(8, 40))
@settings(deadline=None, max_examples=300)
def test_it_makes_no_difference_where_the_blocks_of_a_file_end(folder: Path, content: bytes, block_bytes: int) -> None:
    path = folder / "blocks.csv"
    path.write_bytes(content)
    whole = outcome(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textfile, "BLOCK_BYTES", block_bytes)
        assert outcome(path) == whole


def naive_closure(listed: set[str], recipients: Sequence[Recipient]) -> set[str]:
    excluded = set(listed)
    while True:
        more = set[str]().union(*(r.keys() for r in recipients if excluded & set(r.keys())))
        if more <= excluded:
            return excluded
        excluded |= more


@given(recipients=PEOPLE, listed=st.sets(st.sampled_from(["i:1", "i:2", "u:a", "u:b", "e:a@x.io", "u:zoe"])))
@settings(deadline=None)
def test_the_closure_equals_a_naive_fixpoint(recipients: list[Recipient], listed: set[str]) -> None:
    assert tied_keys(listed, iter([Block.of(recipients)])) == naive_closure(listed, recipients)


def naively_kept(recipients: Sequence[Recipient], excluded: set[str]) -> list[Recipient]:
    return [
        recipient
        for index, recipient in enumerate(recipients)
        if not any(set(recipient.keys()) & set(earlier.keys()) for earlier in recipients[:index])
        and not set(recipient.keys()) & excluded
    ]


def as_csv(recipients: Sequence[Recipient]) -> str:
    rows = (",".join(str(value or "") for value in recipient[:3]) for recipient in recipients)
    return "\n".join(["id,username,email", *rows])


@given(recipients=PEOPLE, opted_out=PEOPLE.map(lambda people: people[:2]))
@settings(deadline=None)
def test_who_is_kept_equals_the_naive_definition(
    folder: Path, recipients: list[Recipient], opted_out: list[Recipient]
) -> None:
    (folder / "in.csv").write_text(as_csv(recipients))
    (folder / "out.csv").write_text(as_csv(opted_out))
    audience = Audience(csv=(str(folder / "in.csv"),), exclude=(str(folder / "out.csv"),))
    numbered = [recipient._replace(line=line) for line, recipient in enumerate(recipients, 2)]
    listed = set[str]().union(*(recipient.keys() for recipient in opted_out))
    excluded = naive_closure(listed, numbered)

    reading = read_audience(audience)

    assert list(reading) == naively_kept(numbered, excluded)
    assert reading.counts.excluded == sum(bool(set(r.keys()) & excluded) for r in numbered)
    assert listed_keys(audience) == listed
    assert excluded_keys(audience) == excluded


@given(
    planned=PEOPLE,
    ties=PEOPLE,
    listed=PEOPLE.map(lambda people: people[:2]),
    rows=PEOPLE,
    passes=st.lists(st.booleans(), min_size=25, max_size=25),
    at_once=st.integers(1, 30),
)
@settings(deadline=None)
def test_what_becomes_of_each_row_equals_the_naive_definition(
    planned: list[Recipient],
    ties: list[Recipient],
    listed: list[Recipient],
    rows: list[Recipient],
    passes: list[bool],
    at_once: int,
) -> None:
    keys = [set(row.keys()) for row in rows]
    excluded = naive_closure(set().union(*(row.keys() for row in listed)), rows)
    known = naive_closure(set().union(*(row.keys() for row in planned)), [*planned, *ties, *rows])

    def fate(place: int) -> str:
        if not passes[place]:
            return "filtered"
        if keys[place] & excluded:
            return "excluded"
        if any(earlier & keys[place] for earlier, through in zip(keys[:place], passes, strict=False) if through):
            return "duplicates"
        return "already_planned" if keys[place] & known else "kept"

    with pytest.MonkeyPatch.context() as patch, People() as people:
        patch.setattr("campaigns.audience.people._RUN", at_once)
        patch.setattr("campaigns.audience.people._AT_ONCE", at_once)
        for part in (planned, ties, listed, rows):
            people.add(Block.of(part))
        through = np.array(passes[: len(rows)], np.bool_)
        fates = sift(people, through, planned=len(planned), known=len(planned) + len(ties), listed=len(listed))

    masks = {name: getattr(fates, name) for name in ("filtered", "excluded", "duplicates", "already_planned", "kept")}
    found = [[name for name, mask in masks.items() if mask[place]] for place in range(len(rows))]
    assert found == [[fate(place)] for place in range(len(rows))]
