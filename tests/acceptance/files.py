"""Campaign files and CSVs for the tests to send."""

from collections.abc import Iterable
from pathlib import Path


def write_campaign(
    folder: Path,
    people: str | Iterable[str] = "username\nann\nbob\n",
    *,
    name: str = "spring",
    message: str = "{type: text, text: Hello}",
    delivery: str = "{rate: 1000/s}",
    audience: str = "",
    more: str = "",
) -> Path:
    """A campaign file in `folder` with its CSV: CSV text, or usernames."""
    text = people if isinstance(people, str) else "username\n" + "".join(f"{person}\n" for person in people)
    (folder / "people.csv").write_text(text, "utf-8")
    file = folder / f"{name}.yaml"
    file.write_text(
        f"campaign: {name}\naudience:\n  csv: people.csv\n{audience}message: {message}\ndelivery: {delivery}\n{more}",
        "utf-8",
    )
    return file
