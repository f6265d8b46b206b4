"""Who shares an identifier with whom, and who is one person along chains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.audience import people
from campaigns.audience.block import Block
from campaigns.audience.components import components, reached
from campaigns.audience.people import People

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
    assert components(20, iter([arrays(first), arrays(second)])).tolist() == naive_components(first + second)


@settings(deadline=None)
@given(pairs=PAIRS, seeds=st.sets(st.integers(0, 19)))
def test_whoever_hangs_together_with_a_seed_is_reached(pairs: list[tuple[int, int]], seeds: set[int]) -> None:
    lowest = naive_components(pairs)
    mask = np.array([row in seeds for row in range(20)])

    found = reached(mask, [arrays(pairs)])

    assert found.tolist() == [any(lowest[row] == lowest[seed] for seed in seeds) for row in range(20)]


def test_a_long_chain_takes_a_few_rounds() -> None:
    rows = np.random.default_rng(1).permutation(100_000).astype(np.uint32)

    assert not components(len(rows), [(rows[:-1], rows[1:])]).any()


def test_two_identifiers_with_the_same_first_hash_are_still_two(monkeypatch: pytest.MonkeyPatch) -> None:
    def alike(texts: tuple[str | None, ...]) -> object:
        low = np.array([hash(text) for text in texts])
        return np.zeros_like(low), low, np.array([text is not None for text in texts])

    monkeypatch.setattr(people, "_hashed", alike)
    with People() as met:
        met.add(Block((None,) * 4, ("ann", "bob", None, "ann"), (None,) * 4, range(4), 0))

        [_, usernames, _] = met.shared()

        assert [row.tolist() for row in usernames.pairs(np.ones(4, np.bool_))] == [[0], [3]]
