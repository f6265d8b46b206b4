"""CSV files -> the recipients of a campaign, as a stream, with every row accounted for.

    reading = read_audience(campaign.audience)
    for recipient in reading: ...
    reading.counts          # rows = kept + invalid + duplicates + excluded + filtered
    reading.fingerprint

A row counts once, under the first that applies: invalid, filtered by `where`, excluded, duplicate, kept.
Memory holds every distinct identifier once, for deduplication, and nothing else that grows with the file.
A file with a header only is a reading of no rows; to refuse an empty audience is the caller's business.
Several files are one list, read in the order they are named; each has its own header.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from campaigns.audience.exclusions import closure, read_lists
from campaigns.audience.people import Fingerprint, People
from campaigns.audience.recipients import Counts, Recipient, RejectedRow
from campaigns.audience.rows import RowReader
from campaigns.audience.sources import Sources, SourceStamp
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
) -> "AudienceReading":
    """A reading that is to be iterated, once; no file is opened before that.

    on_rejected is called with each rejected row, in the order of the files. on_progress is called with the
    number of rows read so far, at every thousand; with `exclude` the files are read twice, and it starts anew
    the second time. Both may raise, to stop. With strict, rows that would be rejected are an AudienceError at
    the end of the reading, which shows the first twenty and counts the rest.
    """
    return AudienceReading(audience, stdin, strict, on_rejected, on_progress, on_tie)


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
    ) -> None:
        self.counts = Counts()
        """What became of the rows so far."""
        self.exclusion_problems = list[RejectedRow]()
        """Rows of the exclusion lists with nothing usable in them."""
        self._audience = audience
        self._stdin = stdin
        self._strict = strict
        self._on_rejected = on_rejected
        self._on_progress = on_progress
        self._on_tie = on_tie
        self._met = People()
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
        with Sources(self._stdin) as sources:
            excluded = self._excluded(sources) if self._audience.exclude else None
            reader = RowReader(
                audience=self._audience,
                sources=sources,
                counts=self.counts,
                on_rejected=self._note_rejected,
                on_progress=self._on_progress,
            )
            for source in range(len(self._audience.csv)):
                yield from self._sift(reader.rows(source), excluded)
            self._stamps = sources.stamps
        self._met = People()  # the counts are kept for long, a gigabyte of names need not be
        self._refuse_problems()

    def _excluded(self, sources: Sources) -> People:
        listed = read_lists(self._audience, sources, self._note_exclusion_problem)
        self._refuse_problems()
        return People.of_keys(closure(self._audience, sources, listed, self._on_progress))

    def _sift(self, rows: Iterator[tuple[Recipient, bool]], excluded: People | None) -> Iterator[Recipient]:
        counts = self.counts
        for recipient, passes in rows:
            if not passes:
                counts.filtered += 1
                self._note_tie(recipient)
                continue
            new = self._met.meet(recipient)
            if new:
                self._fingerprint.add(recipient)
            if excluded is not None and recipient in excluded:
                counts.excluded += 1
            elif new:
                counts.kept += 1
                yield recipient
            else:
                counts.duplicates += 1
                self._note_tie(recipient)

    def _note_tie(self, recipient: Recipient) -> None:
        if self._on_tie and len(recipient.keys()) > 1:
            self._on_tie(recipient)

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
