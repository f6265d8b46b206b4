"""Who shares an identifier with whom, and who is one person along chains."""

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.audience import KnownPeople, Recipient, people, read_audience
from campaigns.audience.block import Block
from campaigns.audience.components import Components
from campaigns.audience.people import People
from campaigns.errors import AudienceError
from campaigns.model import Audience

PAIRS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30)


def arrays(pairs: list[tuple[int, int]]) -> tuple[people.Rows, people.Rows]:
    one, other = zip(*pairs, strict=True) if pairs else ((), ())
    return np.array(one, np.uint32), np.array(other, np.uint32)


def naive_components(pairs: list[tuple[int, int]]) -> list[int]:
    lowest = list(range(20))
    for _ in range(20):
        for one, other in pairs:
            lowest[one] = lowest[other] = min(lowest[one], lowest[other])
    return lowest


@settings(deadline=None)
@given(first=PAIRS, second=PAIRS)
def test_components_equal_a_naive_fixpoint(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    found = Components(20)

    found.tie(*arrays(first))
    found.tie(*arrays(second))

    assert found.lowest().tolist() == naive_components(first + second)


@settings(deadline=None)
@given(pairs=PAIRS, seeds=st.sets(st.integers(0, 19)))
def test_whoever_hangs_together_with_a_seed_is_reached(pairs: list[tuple[int, int]], seeds: set[int]) -> None:
    lowest = naive_components(pairs)
    found = Components(20)

    found.tie(*arrays(pairs))
    reached = found.reached(np.array([row in seeds for row in range(20)]))

    assert reached.tolist() == [any(lowest[row] == lowest[seed] for seed in seeds) for row in range(20)]


@pytest.mark.parametrize("times", [1, 1000])
def test_a_long_chain_takes_a_few_rounds(times: int) -> None:
    rows = np.random.default_rng(1).permutation(100_000).astype(np.uint32)
    found = Components(len(rows))

    for one, other in zip(np.array_split(rows[:-1], times), np.array_split(rows[1:], times), strict=True):
        found.tie(one, other)

    assert not found.lowest().any()


NUMBERS = st.lists(st.none() | st.integers(1, 2**63 - 1) | st.integers(1, 9), max_size=40)


@settings(deadline=None)
@given(numbers=NUMBERS, block=st.integers(1, 9), run=st.integers(1, 9), at_once=st.integers(1, 9))
def test_each_row_pairs_with_the_one_before_it_that_has_its_identifier(
    numbers: list[int | None], block: int, run: int, at_once: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, People() as met:
        patch.setattr(people, "_RUN", run)
        patch.setattr(people, "_AT_ONCE", at_once)
        for first in range(0, len(numbers), block):
            ids = numbers[first : first + block]
            met.add(Block(ids, (None,) * len(ids), (None,) * len(ids), range(len(ids)), 0))
        found = [shared.pairs(np.ones(len(shared.rows), np.bool_)) for shared in met.shared()]

    places = {number: [row for row, other in enumerate(numbers) if other == number] for number in {*numbers} - {None}}
    expected = {pair for rows in places.values() for pair in pairwise(rows)}
    assert sorted((a, b) for one, other in found for a, b in zip(one, other, strict=True)) == sorted(expected)


def test_two_identifiers_with_the_same_first_hash_are_still_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(texts: tuple[str | None, ...]) -> object:
        low = np.array([hash(text) for text in texts])
        return np.zeros_like(low), low, np.array([text is not None for text in texts])

    monkeypatch.setattr(people, "_hashed", alike)
    with People() as met:
        met.add(Block((None,) * 4, ("ann", "bob", None, "ann"), (None,) * 4, range(4), 0))

        [_, usernames, _] = met.shared()

        assert [row.tolist() for row in usernames.pairs(np.ones(len(usernames.rows), np.bool_))] == [[0], [3]]


@pytest.mark.parametrize("run", [1, 1 << 16])
def test_a_disk_that_is_full_is_an_error_that_tells_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int
) -> None:
    monkeypatch.setattr(people, "TemporaryFile", partial(Path("/dev/full").open, "r+b", buffering=0))
    monkeypatch.setattr(people, "_RUN", run)
    (tmp_path / "people.csv").write_text("username\nann\n")

    def read() -> None:
        with KnownPeople() as known:
            known.add_planned((Recipient(None, "bob", None, 0, 2),))
            list(read_audience(Audience(csv=(str(tmp_path / "people.csv"),)), known=known))

    with pytest.raises(AudienceError, match="No space left on device; make room or set TMPDIR"):
        read()
