"""What a value in a campaign file can be: text, names, paths, web addresses, lists; and how errors show it.

Each takes what a file can hold (text, as written) and what Python code would pass (a number, a ready value).
What does not fit is a ValueError that says what was found and what is accepted.
"""

import re
from difflib import get_close_matches
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from campaigns.loopback import is_loopback
from campaigns.model.kinds import STANDARD_INPUT


class Frozen(BaseModel):
    """The base of everything a campaign file says: unknown keys are refused, nothing changes afterwards."""

    # Built at the first use: most models are only used as a part of another, and a start pays for each that is built.
    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True, defer_build=True
    )


def shown(value: object) -> str:
    """What was found, short enough for a sentence: text in quotes, a list or mapping by its kind alone."""
    match value:
        case None:
            return "nothing"
        case str():
            return repr(value if len(value) <= 60 else value[:59] + "…")
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case _:
            return repr(value)


def as_text(value: object) -> str:
    """The value as text, numbers too: a ValueError for anything that is not one word, number or sentence."""
    match value:
        case str():
            return value
        case bool() | None | dict() | list() | tuple():
            raise ValueError(f"found {shown(value)}; accepted is one piece of text")
        case _:
            return str(value)


def _as_tuple(value: object) -> object:
    """A tuple of one for a single value: `csv: a.csv` says the same as `csv: [a.csv]`."""
    return (value,) if isinstance(value, str | int | float) else value


def nearest(word: str, known: list[str]) -> str | None:
    """The known word that was probably meant, or None when nothing is close."""
    by_lower_case = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None


class _OneIsEnough:
    """Tells the JSON Schema that a list of one may be written without its brackets."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        many = handler(schema)
        return {"anyOf": [many["items"], many]}


def _slug(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError(
            f"{shown(text)} is not a name; accepted are 1 to 64 letters, digits, '.', '_' and '-', "
            "the first a letter or digit"
        )
    return text


def web_address(text: str) -> str:
    """The same text, if it is an http or https address with a host; or else a ValueError."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or re.search(r"[\s\x00-\x1f\\]", text):
        raise ValueError(f"{shown(text)} is not a web address; accepted is https://host/path, without spaces")
    return text


def _private_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(
            f"{shown(text)} is plain http, which everybody on the way can read; accepted is https://host/path"
        )
    return text


def _path(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError(f"found {shown(text)}; accepted is the path of a file")
    return text


def _csv_path(path: str) -> str:
    if "://" in path:
        raise ValueError(f"{shown(path)} is a web address; accepted is a file on this machine")
    return path


def _exclusion_path(path: str) -> str:
    if path == STANDARD_INPUT:
        raise ValueError("found '-', standard input; accepted is a file, since exclusion lists are read again")
    return path


def _encoding(name: str) -> str:
    try:
        "x".encode(name)  # LookupError also for codecs that make no text, such as hex
    except (LookupError, ValueError, TypeError):
        raise ValueError(
            f"{shown(name)} is not an encoding; accepted are names such as utf-8, utf-16, cp1252"
        ) from None
    return name


def _delimiter(text: str) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(text.lower(), text)
    if text not in (",", ";", "\t", "|"):
        raise ValueError(f"{shown(text)} is not a delimiter; accepted are ',' ';' '|' and tab")
    return text


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    if not values:
        raise ValueError("the list is empty; accepted is at least one value")
    if len(set(values)) < len(values):
        raise ValueError("the list names something twice; accepted is each value once")
    return values


Text = Annotated[str, BeforeValidator(as_text, json_schema_input_type=str | float | bool)]
Slug = Annotated[Text, AfterValidator(_slug)]
FilePath = Annotated[Text, AfterValidator(_path)]
WebAddress = Annotated[Text, AfterValidator(web_address)]
PrivateAddress = Annotated[WebAddress, AfterValidator(_private_address)]
CsvPath = Annotated[FilePath, AfterValidator(_csv_path)]
ExclusionPath = Annotated[CsvPath, AfterValidator(_exclusion_path)]
Encoding = Annotated[Text, AfterValidator(_encoding)]
Delimiter = Annotated[Text, AfterValidator(_delimiter)]

Value = TypeVar("Value")
AnyNumberOf = Annotated[tuple[Value, ...], BeforeValidator(_as_tuple), _OneIsEnough()]
OneOrMore = Annotated[AnyNumberOf[Value], AfterValidator(_distinct)]
