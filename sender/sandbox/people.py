"""The contacts: a cast that can be listed, and a made-up contact for anybody who is asked for by name."""

import hashlib
from typing import Any

_NAMES = (
    "Ann Martin", "Bilal Haddad", "Carla Rossi", "Dmitri Volkov", "Elif Kaya", "Femi Adeyemi", "Greta Lind",
    "Hugo Moreau", "Ines Costa", "Jonas Weber", "Kaori Tanaka", "Léa Dubois", "Mateo Cruz", "Nora Haug",
    "Omar Farouk", "Priya Nair", "Quentin Roy", "Rosa Blum", "Sven Berg", "Tara Quinn", "Uma Shah",
    "Viktor Novak", "Wanjiru Otieno", "Yara Aziz",
)  # fmt: skip


def _person(number: int, username: str, email: str, name: str) -> dict[str, Any]:
    status = "optout" if username.startswith("optout") else "active"
    return {"id": number, "username": username, "email": email, "name": name, "status": status}


CAST = [
    _person(101 + index, name.split()[0].lower(), f"{name.split()[0].lower()}@example.com", name)
    for index, name in enumerate(_NAMES)
]
"""Two dozen contacts for GET /contacts."""


def contact(kind: str, identifier: str) -> dict[str, Any]:
    """Who has this `id`, `username` or `email`: one of the cast, or somebody made up, the same each time.

    A username that starts with `optout` belongs to somebody with the status `optout`.
    """
    wanted = identifier.lower()
    for person in CAST:
        if str(person[kind]) == wanted:
            return person
    number = int(wanted) if kind == "id" else 100_000 + int(hashlib.sha256(wanted.encode()).hexdigest()[:8], 16)
    username = {"username": wanted, "email": wanted.partition("@")[0]}.get(kind, f"contact{number}")
    return _person(number, username, wanted if kind == "email" else f"{username}@example.com", username)


def search(words: str) -> list[dict[str, Any]]:
    """The cast's members whose name, username or e-mail contains the words; all of them for none."""
    wanted = words.strip().lower()
    return [p for p in CAST if any(wanted in str(p[field]).lower() for field in ("name", "username", "email"))]
