"""What is meant by a YAML parser's complaint, in a sentence about the file."""

import re
from typing import Final, NamedTuple


class Meaning(NamedTuple):
    """A sentence about a syntax error, and whether its place is where the broken construct began."""

    sentence: str
    where_it_began: bool = False


# A part of what libyaml or PyYAML says, and what it means; the first that fits counts.
_MEANINGS: Final = (
    ("undefined alias", Meaning("an alias without its anchor; accepted is *name after an earlier &name")),
    ("duplicate anchor", Meaning("an anchor that exists already; accepted is each &name once")),
    ("another document", Meaning("a second document begins here; accepted is one campaign in a file")),
    (
        "mapping values are not allowed",
        Meaning("a ':' that fits nowhere; accepted is one key: value in a line, and text with ': ' in quotes"),
    ),
    ("cannot start any token", Meaning("a value can't begin like this; accepted is to put it in quotes")),
    (
        "escape",
        Meaning("a backslash that means nothing here; accepted are two of them, or single quotes around it"),
    ),
    (
        "quoted scalar",
        Meaning("the quotes opened here are not closed; accepted is the same quote again", True),
    ),
    ("flow sequence", Meaning("the list opened here is not closed; accepted is [one, two]", True)),
    (
        "flow mapping",
        Meaning("the mapping opened here is not closed; accepted is {key: value, key: value}", True),
    ),
    ("expected ':'", Meaning("a key without a value; accepted is key: value", True)),
    ("block sequence", Meaning("a line that fits no list above; accepted is - value, indented alike")),
    ("block collection", Meaning("a line that fits no list above; accepted is - value, indented alike")),
    (
        "block mapping",
        Meaning("a line that fits nothing above; accepted is key: value, keys of one level indented alike"),
    ),
    ("block scalar", Meaning("text right after | or >; accepted is to begin it in the next line, indented")),
    ("an alias", Meaning("a value can't begin with *; accepted is to put it in quotes")),
    ("an anchor", Meaning("a value can't begin with &; accepted is to put it in quotes")),
    ("node content", Meaning("a value is missing here, or begins with a sign; accepted is to put it in quotes")),
    (
        "not allowed",
        Meaning("a '-' or '?' that fits nowhere; accepted is to begin a line with it, or quotes around it"),
    ),
    ("document start", Meaning("something after the end of the campaign; accepted is to end there")),
    ("directive", Meaning("a line can't begin with %; accepted is to put it in quotes")),
    ("tag", Meaning("a value can't begin with !; accepted is to put it in quotes")),
)
_AFTER_VALUE: Final = Meaning(
    "text after the end of a value; accepted are quotes around all of it, with '' for a ' inside '…'"
)
_TAB: Final = Meaning("a tab is used to indent; accepted are spaces")


def meaning(said: str, line: str, column: int) -> Meaning:
    """What is wrong, by what the parser said, the line where it stopped, and how far into it, from 0."""
    if re.match(r" *\t", line):
        return _TAB
    if "block mapping" in said and line[:column].strip():
        return _AFTER_VALUE
    for phrase, found in _MEANINGS:
        if phrase in said:
            return found
    return Meaning(f"{said}; accepted is YAML")
