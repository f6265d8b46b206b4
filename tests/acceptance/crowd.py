"""Ten thousand people as a careless export writes them, and who of them should get a message.

What is expected is known from how the rows are made; nothing of the program takes part in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

PEOPLE = 10_500
SHAPES = (("id",), ("username",), ("email",), ("id", "username"), ("username", "email"), ("id", "username", "email"))
KINDS = ("id", "username", "email")
MALFORMED = (
    "4.1E+16,,,shortened by a spreadsheet",
    ",two words,,no username",
    ",,nobody-at-example.com,no address",
    ",,,nobody at all",
    "5,,",
    "6,six,six@example.com,note,one too many",
    ",müller,,no letter of a username",
)


@dataclass(kw_only=True)
class Person:
    """One person: the identifiers of their first row, and those that only later rows tell."""

    number: int
    first: dict[str, str]
    line: int = 0
    rows: int = 0
    excluded: bool = False

    @property
    def kind(self) -> str:
        """How they are addressed."""
        return next(kind for kind in KINDS if kind in self.first)

    @property
    def address(self) -> int | str:
        """What a call names them by."""
        return int(self.first["id"]) if self.kind == "id" else self.first[self.kind]


@dataclass(kw_only=True)
class Crowd:
    """The CSV, the exclusion list, the people behind them, and the rows that nobody can be addressed by."""

    csv: str
    exclusions: str
    people: list[Person]
    malformed: int
    kept: list[Person] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = [person for person in self.people if not person.excluded]

    def addresses(self, kind: str) -> list[int | str]:
        """Those who should get the message by this kind of identifier, in the order of the file."""
        return [person.address for person in self.kept if person.kind == kind]


def gather(seed: int = 20_261_122) -> Crowd:
    """The same crowd for the same seed."""
    random = Random(seed)
    people = [_person(number, random.choice(SHAPES)) for number in range(1, PEOPLE + 1)]
    by_chance = random.sample(people, PEOPLE * 12 // 100)
    twice, opted_out = by_chance[: PEOPLE * 7 // 100], by_chance[PEOPLE * 7 // 100 :][: PEOPLE // 100]
    chained = [person for person in twice if "username" in person.first][:40]
    # A later row stands anywhere behind the first one of its person.
    rows: list[tuple[float, Person | None, str]] = []
    for person in people:
        rows.append((person.number, person, _row(person.first, random)))
    for person in twice:
        behind = random.uniform(person.number, PEOPLE + 1)
        rows.append((behind, person, _row(_later(person, person in chained, random), random)))
        if person in chained:
            # The last link: an address of the second row beside a name that only the exclusion list has.
            last = {"username": f"alias.{person.number}", "email": f"second.{person.number}@example.com"}
            rows.append((random.uniform(behind, PEOPLE + 1), person, _row(last, random)))
    malformed = PEOPLE * 2 // 100
    for number in range(malformed):
        rows.append((random.uniform(0, PEOPLE + 1), None, MALFORMED[number % len(MALFORMED)] + "\n"))
    listed = [next(iter(person.first.items())) for person in opted_out]
    listed += [("username", f"alias.{person.number}") for person in chained]
    for person in (*opted_out, *chained):
        person.excluded = True
    return Crowd(csv=_csv(rows), exclusions=_list(listed, random), people=people, malformed=malformed)


def _person(number: int, shape: Sequence[str]) -> Person:
    whole = {
        "id": str(17_841_400_000_000_000 + number),
        "username": f"person.{number}_x",
        "email": f"person{number}@example.com",
    }
    return Person(number=number, first={kind: whole[kind] for kind in shape})


def _later(person: Person, is_chained: bool, random: Random) -> dict[str, str]:
    """Another row of the same person: one identifier that is known, and perhaps one that is not."""
    if is_chained:
        return {"username": person.first["username"], "email": f"second.{person.number}@example.com"}
    kind = random.choice(list(person.first))
    return {kind: person.first[kind]}


def _row(identifiers: dict[str, str], random: Random) -> str:
    cells = [random.choice(VARIANTS[kind])(identifiers[kind]) if kind in identifiers else "" for kind in KINDS]
    return ",".join([*cells, random.choice(NOTES)]) + "\n"


VARIANTS: dict[str, tuple[Callable[[str], str], ...]] = {
    "id": (str, str, lambda text: f" {text} ", lambda text: f"00{text}"),
    "username": (
        str,
        str,
        str.upper,
        lambda text: f"@{text}",
        lambda text: f"  {text}\u00a0",
        lambda text: f"https://www.instagram.com/{text}/",
    ),
    "email": (str, str, str.upper, lambda text: f" {text.capitalize()}\t"),
}
NOTES = ("", "", "likes tulips", '"likes tulips, and roses"', '"two\nlines"')


def _csv(rows: list[tuple[float, Person | None, str]]) -> str:
    text, line = ["Contact_ID, @Username ,E-Mail,note\n"], 2
    for _, person, row in sorted(rows, key=lambda each: each[0]):
        if person is not None:
            person.rows += 1
            person.line = person.line or line
        text.append(row)
        line += row.count("\n")
    return "".join(text)


def _list(listed: list[tuple[str, str]], random: Random) -> str:
    rows = ["email;id;username\n"]
    for kind, value in listed:
        cells = {kind: random.choice(VARIANTS[kind])(value)}
        rows.append(";".join(cells.get(name, "") for name in ("email", "id", "username")) + "\n")
    return "".join(rows)
