"""CSV files -> the recipients of a campaign, as a stream, with every row accounted for.

    reading = read_audience(campaign.audience)
    for recipient in reading: ...
    reading.counts          # rows = kept + invalid + duplicates + excluded + filtered
    reading.fingerprint

A row counts once, under the first that applies: invalid, filtered by `where`, excluded, duplicate, kept.
Each file is read once, to its end, before the first recipient comes out; meanwhile the rows wait in temporary
files, some 65 bytes each. Memory holds some 16 bytes for each row while they are sifted, and little later.
A file with a header only is a reading of no rows; to refuse an empty audience is the caller's business.
Several files are one list, read in the order they are named; each has its own header.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import compress
from typing import BinaryIO, Final

import numpy as np

from campaigns.audience.block import Block
from campaigns.audience.exclusions import named_by, read_lists
from campaigns.audience.fingerprint import Fingerprint
from campaigns.audience.people import Mask, People
from campaigns.audience.recipients import Counts, Recipient, RejectedRow
from campaigns.audience.rows import RowReader
from campaigns.audience.sifting import Fates, KnownPeople, sift
from campaigns.audience.sources import Sources, SourceStamp
from campaigns.audience.spool import Spool, explained_spooling
from campaigns.errors import AudienceError, Place, Problem
from campaigns.model import Audience

SHOWN_PROBLEMS: Final = 20


def read_audience(
    audience: Audience,
    *,
    stdin: BinaryIO | None = None,
    strict: bool = False,
    on_rejected: Callable[[RejectedRow], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_tie: Callable[[Recipient], None] | None = None,
    known: KnownPeople | None = None,
) -> "AudienceReading":
    """A reading that is to be iterated, once; no file is opened before that.

    on_rejected is called with each rejected row, in the order of the files. on_progress is called with the
    number of rows read so far, at every thousand. Both may raise, to stop. on_tie is called with every row that
    makes one person of several identifiers without being kept. Whoever is `known`, or tied to them by a row, is
    counted as kept and as already planned, and does not come out. With strict, rows that would be rejected are an
    AudienceError at the end of the reading, which shows the first twenty and counts the rest.
    """
    return AudienceReading(audience, stdin, strict, on_rejected, on_progress, on_tie, known)


class AudienceReading:
    """The kept recipients in the order of the files, then what became of all rows.

    Iterating raises AudienceError: a file is missing, unreadable, damaged, changed meanwhile, or without a
    usable column. It may do so after recipients have come out, so nothing may be sent to them before the end.
    """

    def __init__(
        self,
        audience: Audience,
        stdin: BinaryIO | None,
        strict: bool,
        on_rejected: Callable[[RejectedRow], None] | None,
        on_progress: Callable[[int], None] | None,
        on_tie: Callable[[Recipient], None] | None,
        known: KnownPeople | None,
    ) -> None:
        self.counts = Counts()
        """What became of the rows so far."""
        self.already_planned = 0
        """How many of the kept are known: they do not come out."""
        self.exclusion_problems = list[RejectedRow]()
        """Rows of the exclusion lists with nothing usable in them."""
        self._audience = audience
        self._stdin = stdin
        self._strict = strict
        self._on_rejected = on_rejected
        self._on_progress = on_progress
        self._on_tie = on_tie
        self._known = known
        self._fingerprint = Fingerprint(audience.identify_by)
        self._problems = list[Problem]()
        self._problem_count = 0
        self._stamps: dict[str, SourceStamp] = {}
        self._begun = False

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of who was read: each person once, in order, and the kind they are addressed by.

        Whoever is excluded is in it, so that a longer exclusion list doesn't change it.
        """
        return self._fingerprint.hexdigest()

    @property
    def sources(self) -> tuple[SourceStamp, ...]:
        """The stamps of the audience's files, in their order, as they were when they were first opened."""
        return tuple(self._stamps[path] for path in self._audience.csv if path in self._stamps)

    def __iter__(self) -> Iterator[Recipient]:
        if self._begun:
            raise RuntimeError("an audience can be iterated once; read_audience() makes another reading")
        self._begun = True
        return self._read()

    def _read(self) -> Iterator[Recipient]:
        with Spool() as spool:
            with Sources(self._stdin) as sources:
                fates = self._gather(sources, spool)
                self._stamps = sources.stamps
            self._refuse_problems()
            for rows, (is_first, is_tie, is_kept) in spool.beside(fates.first, fates.ties, fates.kept):
                self._fingerprint.add(compress(rows, is_first))
                if self._on_tie:
                    self._note_ties(compress(rows, is_tie), self._on_tie)
                yield from compress(rows, is_kept)

    def _gather(self, sources: Sources, spool: Spool) -> Fates:
        """Reads everything; what becomes of each row that is in the spool then."""
        listed = named_by(self._listed(sources)) if self._audience.exclude else Block.of([])
        with ExitStack() as stack:
            known = self._known or stack.enter_context(KnownPeople())
            people, before = known.people, len(known.people)
            people.add(listed)
            passes = self._take_in(sources, people, spool)
            with explained_spooling():
                fates = sift(people, passes, planned=known.planned, known=before, listed=len(listed.lines))
        self._count(fates)
        return fates

    def _take_in(self, sources: Sources, people: People, spool: Spool) -> Mask:
        reader = RowReader(
            audience=self._audience,
            sources=sources,
            counts=self.counts,
            on_rejected=self._note_rejected,
            on_progress=self._on_progress,
        )
        passes = [np.zeros(0, np.bool_)]
        for source in range(len(self._audience.csv)):
            for block, let_through in reader.blocks(source):
                with explained_spooling():
                    people.add(block)
                    spool.add(block)
                passes.append(np.array(let_through, np.bool_))
        return np.concatenate(passes)

    def _listed(self, sources: Sources) -> set[str]:
        listed = read_lists(self._audience, sources, self._note_exclusion_problem)
        self._refuse_problems()
        return listed

    def _count(self, fates: Fates) -> None:
        counts = self.counts
        self.already_planned = int(fates.already_planned.sum())
        counts.kept = int(fates.kept.sum()) + self.already_planned
        counts.duplicates = int(fates.duplicates.sum())
        counts.excluded = int(fates.excluded.sum())
        counts.filtered = int(fates.filtered.sum())

    def _note_ties(self, rows: Iterable[Recipient], on_tie: Callable[[Recipient], None]) -> None:
        for recipient in rows:
            if len(recipient.keys()) > 1:
                on_tie(recipient)

    def _note_exclusion_problem(self, row: RejectedRow) -> None:
        self.exclusion_problems.append(row)
        self._note_problem(row)

    def _note_rejected(self, row: RejectedRow) -> None:
        self._note_problem(row)
        if self._on_rejected:
            self._on_rejected(row)

    def _note_problem(self, row: RejectedRow) -> None:
        self._problem_count += 1
        if self._strict and len(self._problems) < SHOWN_PROBLEMS:
            self._problems.append(Problem(place=row.place, message=row.reason))

    def _refuse_problems(self) -> None:
        if not self._problems:
            return
        more = self._problem_count - len(self._problems)
        if more:
            place = Place(file=self._problems[-1].place.file)
            self._problems.append(Problem(place=place, message=f"and {more:,} more"))
        raise AudienceError(self._problems)
