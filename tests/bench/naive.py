"""The script that a competent user would write in place of `campaign plan`: one identifier, one pass, one set."""

import csv
import re
import sys

CHUNK_SIZE = 1000


def main(path: str) -> None:
    """Prints how many usernames are left, and how many calls they take."""
    is_username = re.compile(r"[a-z0-9._]{1,30}").fullmatch
    met: set[str] = set()
    chunk: list[str] = []
    calls = 0
    with open(path, encoding="utf-8", newline="") as stream:  # noqa: PTH123  # as such a script would
        for row in csv.DictReader(stream):
            username = row["username"].strip().lower()
            if not is_username(username) or username in met:
                continue
            met.add(username)
            chunk.append(username)
            if len(chunk) == CHUNK_SIZE:
                calls += 1
                chunk = []
    print(len(met), calls + bool(chunk))


if __name__ == "__main__":
    main(sys.argv[1])
