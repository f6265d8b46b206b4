"""Who is one person along chains: the connected components of rows that share identifiers. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from campaigns.audience.people import Mask, Rows

_AT_ONCE: Final = 1 << 20


class Components:
    """Rows, each of which hangs alone at first, and then together with whomever it is tied to."""

    def __init__(self, count: int) -> None:
        self._parents = np.arange(count, dtype=np.uint32)
        """The lower row that each hangs below; a root hangs below itself."""

    def tie(self, one: Rows, other: Rows) -> None:
        """Ties each row of `one` to the same place's of `other`.

        Every round hangs the root of one end of a tie below that of the other; the rounds grow with the logarithm
        of the longest chain.
        """
        while len(one):
            one, other = self._roots(one, other)
            open_ties = one != other
            one, other = one[open_ties], other[open_ties]
            np.minimum.at(self._parents, np.maximum(one, other), np.minimum(one, other))

    def reached(self, seeds: Mask | slice) -> Mask:
        """The rows that hang together with one of the `seeds`, the seeds among them."""
        roots = self.lowest()
        found = np.zeros(len(roots), np.bool_)
        found[roots[seeds]] = True
        return found[roots]

    def lowest(self) -> NDArray[np.uint32]:
        """For each row the lowest that it hangs together with."""
        # From the lowest on, so that whatever a row hangs below is done before it.
        for begin in range(0, len(self._parents), _AT_ONCE):
            self._hang_below_roots(slice(begin, begin + _AT_ONCE))
        return self._parents

    def _roots(self, one: Rows, other: Rows) -> tuple[Rows, Rows]:
        self._hang_below_roots(np.concatenate([one, other]))
        return self._parents[one], self._parents[other]

    def _hang_below_roots(self, rows: Rows | slice) -> None:
        parents = self._parents
        above = parents[rows]
        while not np.array_equal(higher := parents[above], above):
            parents[rows] = above = higher
