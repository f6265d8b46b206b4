"""What becomes of each valid row, once all are read: kept, filtered, excluded, a duplicate, or planned before."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from campaigns.audience.block import Block
from campaigns.audience.components import Components
from campaigns.audience.people import Mask, People
from campaigns.audience.recipients import Recipient
from campaigns.audience.spool import explained_spooling


class KnownPeople:
    """Those whom earlier runs have planned, and the rows that tied identifiers together then. A context.

    Taking somebody in raises AudienceError when the temporary files can't be written.
    """

    def __init__(self) -> None:
        self.people = People()
        self.planned = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *arguments: object) -> None:
        self.people.__exit__(*arguments)

    def add_planned(self, recipients: tuple[Recipient, ...]) -> None:
        """Takes in recipients of an earlier run; all of them come before the first tie."""
        with explained_spooling():
            self.people.add(Block.of(recipients))
        self.planned = len(self.people)

    def add_ties(self, rows: tuple[Recipient, ...]) -> None:
        """Takes in rows that make one person of several identifiers."""
        with explained_spooling():
            self.people.add(Block.of(rows))


@dataclass(frozen=True, kw_only=True)
class Fates:
    """Masks over the valid rows of an audience. Each row is in one of them, but for `first`.

    filtered          `where` leaves the row out
    excluded          an exclusion list names the person, here or along the chain
    duplicates        a row before it, which `where` lets through, shares an identifier with it
    already_planned   an earlier run has planned the person
    kept              the person gets a message
    first             no duplicate, even if it is excluded
    """

    filtered: Mask
    excluded: Mask
    duplicates: Mask
    already_planned: Mask
    kept: Mask
    first: Mask

    @property
    def ties(self) -> Mask:
        """The rows that say who is one person without being among the kept."""
        return self.filtered | self.duplicates | self.already_planned


def sift(people: People, passes: Mask, *, planned: int, known: int, listed: int) -> Fates:
    """The fates of the last rows of `people`, one for each place of `passes`.

    Before them stand `known` rows of earlier runs, the first `planned` of which are recipients, then `listed` rows
    of exclusion lists. Raises OSError when the temporary files can't be written or read.
    """
    own = known + listed
    let_through = np.concatenate([np.zeros(own, np.bool_), passes])
    again, excluded, is_known = np.zeros((3, len(passes)), np.bool_)
    with_listed, with_known = (Components(len(people) if some else 0) for some in (listed, known))
    for shared in people.shared():
        rows = shared.rows
        again[shared.pairs(let_through[rows])[1] - own] = True
        if listed:
            with_listed.tie(*shared.pairs(rows >= known))
        if known:
            with_known.tie(*shared.pairs((rows < known) | (rows >= own)))
    if listed:
        excluded = with_listed.reached(slice(known, own))[own:] & passes
    if known:
        is_known = with_known.reached(slice(planned))[own:]
    first = passes & ~again
    return Fates(
        filtered=~passes,
        excluded=excluded,
        duplicates=again & ~excluded,
        already_planned=first & ~excluded & is_known,
        kept=first & ~excluded & ~is_known,
        first=first,
    )
