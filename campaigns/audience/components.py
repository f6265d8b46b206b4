"""Who is one person along chains: the connected components of rows that share identifiers. Pure."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from campaigns.audience.people import Mask, Rows


def reached(seeds: Mask, pairs: Iterable[tuple[Rows, Rows]]) -> Mask:
    """The rows that hang together with one of the `seeds`, the seeds among them; each pair is one tie."""
    roots = components(len(seeds), pairs)
    found = np.zeros(len(seeds), np.bool_)
    found[roots[seeds]] = True
    return found[roots]


def components(count: int, pairs: Iterable[tuple[Rows, Rows]]) -> NDArray[np.uint32]:
    """For each of `count` rows the lowest row that it hangs together with.

    Every round hangs the root of one end of a tie below that of the other, and then every row straight below its
    root; the rounds grow with the logarithm of the longest chain.
    """
    parents = np.arange(count, dtype=np.uint32)
    for one, other in pairs:
        while True:
            one, other = parents[one], parents[other]
            open_ties = one != other
            if not open_ties.any():
                break
            one, other = one[open_ties], other[open_ties]
            np.minimum.at(parents, np.maximum(one, other), np.minimum(one, other))
            _flatten(parents)
    return parents


def _flatten(parents: NDArray[np.uint32]) -> None:
    while True:
        grandparents = parents[parents]
        if np.array_equal(grandparents, parents):
            return
        parents[:] = grandparents
