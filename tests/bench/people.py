"""Audiences of any size, the same at every call: rows as people's exports have them, and an exclusion list."""

import random
from collections.abc import Iterator
from pathlib import Path

FIRST_NAMES = ("anna", "marco", "julie", "luca", "sofia", "hugo", "emma", "paul", "nina", "leo")
LAST_NAMES = ("rossi", "martin", "dupont", "ferrari", "garcia", "schmidt", "novak", "silva", "moreau", "weber", "costa")
DOMAINS = ("gmail.com", "outlook.com", "yahoo.fr", "libero.it", "web.de", "icloud.com", "orange.fr", "hotmail.com")
COUNTRIES = ("FR", "IT", "DE", "ES", "BE", "CH", "PT", "AT", "NL", "LU")
HEADER = "id,username,email,first_name,country\n"
MALFORMED = ("{id},no spaces allowed,{email},{first},{country}\n", "{id},{username},no.address,{first},{country}\n")
ALONE = ("{id},,,{first},{country}\n", ",{username},,{first},{country}\n", ",,{email},{first},{country}\n")
WHOLE = "{id},{username},{email},{first},{country}\n"
# Coprime, so that no two of a hundred million people get the same number, and neighbours no similar ones.
STEP, PEOPLE = 61_803_399, 10**8


def write_audience(path: Path, rows: int) -> None:
    """A CSV of so many rows: one in ten shares an identifier with an earlier one, one in a hundred is malformed,
    one in ten has a single identifier."""
    with path.open("w", encoding="utf-8") as stream:
        stream.write(HEADER)
        stream.writelines(_lines(rows, random.Random(rows)))


def write_exclusions(path: Path, rows: int, *, of: int) -> None:
    """A list of usernames, nine in ten of them of an audience of `of` rows."""
    dice = random.Random(of)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("username\n")
        for number in range(rows):
            known = number % 10
            person = dice.randrange(of) if known else of + number
            stream.write(f"{_person(person)['username']}\n")


def _lines(rows: int, dice: random.Random) -> Iterator[str]:
    for number in range(rows):
        person, fate = _person(number), dice.random()
        if fate < 0.10 and number:
            shared = ("id", "username", "email")[number % 3]
            person[shared] = _person(dice.randrange(number))[shared]
        line = WHOLE
        if 0.10 <= fate < 0.11:
            line = MALFORMED[number % 2]
        elif 0.11 <= fate < 0.21:
            line = ALONE[number % 3]
        yield line.format_map(person)


def _person(number: int) -> dict[str, object]:
    shuffled = number * STEP % PEOPLE
    first, last = FIRST_NAMES[shuffled % 10], LAST_NAMES[shuffled // 10 % 11]
    return {
        "id": 10**10 + shuffled * 89,
        "username": f"{first}{'._'[shuffled % 2]}{last}{shuffled // 10}",
        "email": f"{first}.{last}{shuffled * 31 // 80}@{DOMAINS[shuffled // 7 % 8]}",
        "first": first.title(),
        "country": COUNTRIES[shuffled // 3 % 10],
    }
