"""A campaign file, read: YAML to a `Campaign`, or everything that is wrong with it at once.

YAML is used for its structure alone. Every value is taken as the text that stands in the file and the model
says what it means: `NO` stays a country, `09:00` a time, `007` an id, whatever YAML 1.1 makes of them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from campaigns.errors import CampaignFileError, Place, Problem
from campaigns.loading.explain import Complaint, dotted, explain
from campaigns.loading.sourcetext import lines_of, read_text, refuse
from campaigns.loading.syntax import meaning
from campaigns.loading.variables import substitute
from campaigns.model import Campaign, CampaignKeys, YamlPath
from campaigns.model.fields import shown

MAX_DEPTH: Final = 20
MAX_VALUES: Final = 20_000  # with every alias expanded, so that a small file can hold a great many
MAX_VALUE_CHARACTERS: Final = 10_000

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")


def load_campaign(path: Path, environ: Mapping[str, str]) -> Campaign:
    """The campaign that a file describes, its paths made absolute; `${NAME}` is looked up in `environ`.

    Raises CampaignFileError with every problem of the file, in the order of the file. Whether the CSVs and
    media exist is not looked at: a run that has begun can do without them.
    """
    text = read_text(path)
    document = _Document(file=str(path), lines=lines_of(text), environ=environ)
    value = document.read(_compose(text, str(path)), ())
    try:
        keys = CampaignKeys.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        document.complain(explain(error))
    if document.problems:
        raise CampaignFileError(sorted(document.problems, key=_position))
    file = path.absolute()
    return Campaign(**dict(keys.with_paths_from(file.parent)), file=file, places=document.places)


def _position(problem: Problem) -> tuple[int, int]:
    return problem.place.line or 0, problem.place.column or 0


def _compose(text: str, file: str) -> yaml.Node:
    """The document's root; what is no YAML, or nothing, or nested beyond reason is a CampaignFileError."""
    try:
        _measure(text, file)
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        refuse(*_syntax_error(error, text, file))
    if root is None or root.tag == f"{_TAG}null":
        refuse(
            Place(file=file, line=1, column=1),
            "the file is empty; accepted is for example campaign: spring-drop",
        )
    return root


def _measure(text: str, file: str) -> None:
    """Refuses deep nesting before anything recursive sees it; parsing to events needs no stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            refuse(_place(file, event.start_mark), f"nested too deeply; accepted are at most {MAX_DEPTH} levels")


def _syntax_error(error: yaml.MarkedYAMLError, text: str, file: str) -> tuple[Place, str]:
    mark = error.problem_mark or error.context_mark
    if not mark:
        return Place(file=file), f"{error.problem}; accepted is YAML"
    line = (*lines_of(text), "")[mark.line]
    sentence, where_it_began = meaning(f"{error.problem} {error.context or ''}".strip(), line, mark.column)
    return _place(file, (error.context_mark if where_it_began else None) or mark), sentence


def _place(file: str, mark: Any) -> Place:
    return Place(file=file, line=mark.line + 1, column=mark.column + 1)


@dataclass(kw_only=True)
class _Document:
    """One document on its way from nodes to values: where each stands, and what is wrong so far."""

    file: str
    lines: list[str]
    environ: Mapping[str, str]
    keys: dict[YamlPath, Place] = field(default_factory=dict)
    places: dict[YamlPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    doubtful: set[YamlPath] = field(default_factory=set)
    """Paths whose value is not known: what the model says there or around it is beside the point."""
    values: int = 0

    def read(self, node: yaml.Node, path: YamlPath) -> Any:
        """The node as text, list or dict; every alias is expanded, within bounds."""
        self.values += 1
        place = self.places[path] = _place(self.file, node.start_mark)
        if self.values > MAX_VALUES:
            refuse(place, f"too many values; accepted are at most {MAX_VALUES:,}, aliases expanded")
        if len(path) > MAX_DEPTH:
            refuse(place, "an alias that contains itself; accepted are aliases of something complete")
        if node.tag.removeprefix(_TAG) not in _PLAIN_TAGS:
            return self._doubt(path, place, f"found the tag {shown(node.tag)}; accepted is a value without one")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._text(node, path, place)

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            place = _place(self.file, key.start_mark)
            if not isinstance(key, yaml.ScalarNode):
                self._problem(path, place, "found a list or mapping as a key; accepted are keys of one word")
            elif key.value in found:
                first = self.keys[(*path, key.value)].line
                self._problem((*path, key.value), place, f"given twice, first in line {first}; accepted is once")
            else:
                self.keys[(*path, key.value)] = place
                found[key.value] = self.read(value, (*path, key.value))
        return found

    def _text(self, node: yaml.Node, path: YamlPath, place: Place) -> str:
        text: str = node.value
        if path == ("message", "text") and (hashtag := self._cut_off(node)):
            self._doubt(path, place, f"{shown(hashtag)} is a comment in YAML; accepted is text in quotes")
        elif node.tag == f"{_TAG}null":
            self._doubt(path, place, "nothing is written here; accepted is a value, or to leave the key out")
        try:
            text = substitute(text, self.environ)
            text.encode()
        except UnicodeEncodeError:
            self._doubt(path, place, "found bytes that are no text; accepted is Unicode text")
        except ValueError as error:
            self._doubt(path, place, str(error))
        if len(text) > MAX_VALUE_CHARACTERS:
            most = f"accepted are at most {MAX_VALUE_CHARACTERS:,}"
            self._doubt(path, place, f"found {len(text):,} characters; {most}")
        return text

    def _cut_off(self, node: Any) -> str | None:
        """A hashtag right after an unquoted text: a comment to YAML, which would drop it in silence."""
        plain, end = node.style in (None, ""), node.end_mark
        found = re.match(r"\s*(#\w+)", self.lines[end.line][end.column :]) if plain else None
        return found[1] if found else None

    def _doubt(self, path: YamlPath, place: Place, message: str) -> None:
        self.doubtful |= {path[:length] for length in range(len(path) + 1)}
        self._problem(path, place, message)

    def _problem(self, path: YamlPath, place: Place, message: str) -> None:
        name = dotted(path)
        self.problems.append(Problem(place=place, message=f"{name}: {message}" if name else message))

    def complain(self, complaints: Iterable[Complaint]) -> None:
        """Adds what the model found, save what only follows from a value that is not known."""
        for path, message, about_key in complaints:
            if path and isinstance(path[-1], int) and path not in self.places and path[:-1] in self.places:
                path = path[:-1]  # a lone value, which the model reads as a list of one
            if path not in self.doubtful:
                self._problem(path, self._nearest(path, about_key), message)

    def _nearest(self, path: YamlPath, about_key: bool) -> Place:
        """The place of a value, or of its key; of what is missing, the key that it is missing under."""
        if path in self.places and not about_key:
            return self.places[path]
        for length in range(len(path), 0, -1):
            if path[:length] in self.keys:
                return self.keys[path[:length]]
        return self.places[()]
