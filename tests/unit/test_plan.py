"""Recipients -> chunks."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.audience import Recipient
from campaigns.model import IdentifierKind
from campaigns.plan import MAX_RECIPIENTS_PER_CHUNK, plan_chunks

ID, USERNAME, EMAIL = IdentifierKind
EVERY_KIND = (ID, USERNAME, EMAIL)


def people(*identifiers: tuple[int | None, str | None, str | None]) -> list[Recipient]:
    return [Recipient(*three, 0, line) for line, three in enumerate(identifiers, 2)]


def test_a_chunk_takes_one_kind_and_the_first_that_the_recipient_has() -> None:
    recipients = people((1, "a", None), (None, "b", None), (2, None, None), (None, None, "c@x.io"))

    chunks = list(plan_chunks(recipients, identify_by=EVERY_KIND, chunk_size=10))

    assert [(chunk.kind, [r.line for r in chunk.recipients]) for chunk in chunks] == [
        (ID, [2, 4]),
        (USERNAME, [3]),
        (EMAIL, [5]),
    ]


def test_identify_by_decides_which_kind_goes_first() -> None:
    [chunk] = plan_chunks(people((1, "a", None)), identify_by=(USERNAME, ID), chunk_size=10)

    assert chunk.kind is USERNAME
    assert chunk.recipients[0].address(chunk.kind) == "a"


def test_a_full_chunk_comes_out_before_the_next_recipient_is_asked_for() -> None:
    def endless() -> Iterator[Recipient]:
        for number in itertools.count(1):
            yield Recipient(number, None, None, 0, number)

    chunks = plan_chunks(endless(), identify_by=EVERY_KIND, chunk_size=3)

    assert [r.id for r in next(chunks).recipients] == [1, 2, 3]
    assert [r.id for r in next(chunks).recipients] == [4, 5, 6]


def test_nobody_makes_no_chunk() -> None:
    assert list(plan_chunks([], identify_by=EVERY_KIND, chunk_size=5)) == []


@pytest.mark.parametrize("chunk_size", [0, -1, 1001])
def test_a_chunk_size_that_the_api_does_not_take_is_refused_at_once(chunk_size: int) -> None:
    with pytest.raises(ValueError, match=f"found a chunk size of {chunk_size}; accepted is 1 to 1,000"):
        plan_chunks([], identify_by=EVERY_KIND, chunk_size=chunk_size)


def test_a_recipient_without_any_of_the_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match="the recipient of line 2 has none of: username, email"):
        list(plan_chunks(people((1, None, None)), identify_by=(USERNAME, EMAIL), chunk_size=5))


def test_asking_for_an_address_that_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="the recipient of line 2 has no email"):
        people((1, None, None))[0].address(EMAIL)


identifiers = st.tuples(
    st.none() | st.integers(1, 2**63 - 1),
    st.none() | st.just("name"),
    st.none() | st.just("name@example.com"),
).filter(any)


@given(
    recipients=st.lists(identifiers, max_size=60).map(lambda rows: people(*rows)),
    identify_by=st.permutations(EVERY_KIND),
    chunk_size=st.integers(1, 12) | st.just(MAX_RECIPIENTS_PER_CHUNK),
)
def test_a_plan_is_a_partition_into_chunks_of_one_kind_that_keeps_the_order(
    recipients: list[Recipient], identify_by: list[IdentifierKind], chunk_size: int
) -> None:
    chunks = list(plan_chunks(iter(recipients), identify_by=identify_by, chunk_size=chunk_size))

    assert all(1 <= len(chunk.recipients) <= chunk_size for chunk in chunks)
    for kind in EVERY_KIND:
        planned = [r for chunk in chunks if chunk.kind is kind for r in chunk.recipients]
        assert planned == [r for r in recipients if r.kind(identify_by) is kind]
        assert sum(chunk.kind is kind and len(chunk.recipients) < chunk_size for chunk in chunks) <= 1
    assert sum(len(chunk.recipients) for chunk in chunks) == len(recipients)
