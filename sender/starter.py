"""`campaign init`: a commented campaign and a CSV to start from."""

from pathlib import Path
from typing import Final

from sender.errors import InputError

CAMPAIGN: Final = """\
# yaml-language-server: $schema=campaign.schema.json
# `campaign schema > campaign.schema.json` gives your editor completion and checks.

campaign: {name}             # the run's name, too: letters, digits, . _ -
account: default             # a label for whose token it is

audience:
  csv: people.csv            # relative to this file; a list of files, .gz, or "-" for standard input
  identify_by: [id, username, email]   # which identifier to use when a row has several
  # columns: {{username: handle}}        # when the headers differ from id, username, email
  # where: {{country: [FR, BE]}}         # keep only rows whose column has one of these values
  # exclude: [optouts.csv]             # anyone in these files is left out, whichever identifier matches

message:
  type: text                 # text | image | video | audio | share
  text: "Our spring drop is live. See it first: https://example.com/spring"
  # type: image
  # image: https://cdn.example.com/spring.jpg   # or a file relative to this one, which is uploaded once

delivery:
  chunk_size: 1000           # recipients in one call, 1 to 1,000
  workers: 4                 # calls under way at the same time
  rate: 2/s                  # calls: 2/s, 120/min, 500/h
  # recipients: 10000/h      # recipients, never more in any hour
  # max_recipients: 50000    # a larger audience is refused before anything is sent
"""
PEOPLE: Final = """\
id,username,email,country
17841400000000001,maria.rossi,,IT
,jean_dupont,jean@example.com,FR
,,ana@example.com,ES
"""


def write_starter(folder: Path) -> list[Path]:
    """The paths of the new files. Raises InputError when one of them exists already, or can't be written."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in folder.resolve().name.lower())
    texts = {"campaign.yaml": CAMPAIGN.format(name=name.strip("-._")[:64] or "my-campaign"), "people.csv": PEOPLE}
    paths = [folder / file for file in texts]
    for path in paths:
        if path.exists():
            raise InputError(f"{path} exists already, and nothing was written: name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{folder} can't be written to: {error.strerror}") from error
    return paths
