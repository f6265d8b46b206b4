"""Validation errors in the words of a campaign file: which key, what was found, what is accepted.

Pure: it knows the model and pydantic's error types, but neither YAML nor any file.
"""

from typing import Final, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from campaigns.model import Audience, CampaignKeys, Delivery, Notify, YamlPath
from campaigns.model.fields import Frozen, nearest, shown
from campaigns.model.messages import AudioMessage, ImageMessage, ShareMessage, TextMessage, VideoMessage
from campaigns.model.timing import Misfire, Schedule, Window

SECTIONS: Final[dict[YamlPath, type[Frozen]]] = {
    (): CampaignKeys,
    ("audience",): Audience,
    ("message", "text"): TextMessage,
    ("message", "image"): ImageMessage,
    ("message", "video"): VideoMessage,
    ("message", "audio"): AudioMessage,
    ("message", "share"): ShareMessage,
    ("delivery",): Delivery,
    ("schedule",): Schedule,
    ("misfire",): Misfire,
    ("window",): Window,
    ("notify",): Notify,
}
"""The models by pydantic's location: a message's has its type in it."""

_TEXT: Final = ("message", "text")
_MESSAGE_KEYS: Final = ("image", "video", "audio", "media_id", "post")


class Complaint(NamedTuple):
    """One thing that is wrong with a value, or with its key."""

    path: YamlPath
    message: str
    about_key: bool = False


def dotted(path: YamlPath) -> str:
    """A path as people say it: `audience.csv[1]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_short(part)}" for part in path)[1:]


def _short(key: str) -> str:
    return key if key.isprintable() and 0 < len(key) <= 40 else shown(key)


def explain(error: ValidationError) -> list[Complaint]:
    """Every complaint of a failed validation, in the model's order."""
    details = error.errors(include_url=False)
    of_another_type = any(
        one["type"] == "extra_forbidden" and one["loc"][:2] == _TEXT and one["loc"][-1] in _MESSAGE_KEYS
        for one in details
    )
    no_text = (*_TEXT, "text") if of_another_type else ()  # then the type is missing, not the text
    return [_complaint(one) for one in details if one["loc"] != no_text or one["type"] != "missing"]


def _complaint(details: ErrorDetails) -> Complaint:
    path, found, context = _path(details["loc"]), details["input"], details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            return Complaint(path, _unknown_key(details["loc"]), about_key=True)
        case "missing":
            return Complaint(path, _missing_key(details["loc"]), about_key=True)
        case "value_error":
            return Complaint(path, str(context["error"]), about_key="[key]" in details["loc"])
        case "union_tag_invalid":
            choices = context["expected_tags"].replace("'", "").split(", ")
            return Complaint((*path, "type"), _no_choice(found["type"], choices))
        case "enum" | "literal_error":
            choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return Complaint(path, _no_choice(found, choices), about_key="[key]" in details["loc"])
        case "tuple_type":
            return Complaint(path, f"found {shown(found)}; accepted is one value, or a list")
        case "model_type" | "model_attributes_type" | "dict_type" | "mapping_type":
            return Complaint(path, f"found {shown(found)}; accepted are keys and values")
        case _:
            return Complaint(path, f"found {shown(found)}; {details['msg']}")


def _path(location: YamlPath) -> YamlPath:
    if location[:2] in SECTIONS and location[:1] == ("message",):
        location = (location[0], *location[2:])
    return location[:-1] if location[-1:] == ("[key]",) else location


def _keys(model: type[Frozen]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _no_choice(found: object, choices: list[str]) -> str:
    meant = nearest(found, choices) if isinstance(found, str) else None
    hint = f"did you mean {meant}? " if meant else ""
    return f"found {shown(found)}; {hint}accepted are {', '.join(choices)}"


def _unknown_key(location: YamlPath) -> str:
    key, known = str(location[-1]), _keys(SECTIONS[location[:-1]])
    if key == "<<":
        return "merging with << is not taken; accepted are the keys, written out"
    if meant := nearest(key, known):
        return f"unknown key; did you mean {meant}?"
    homes = [home for home, model in SECTIONS.items() if key in _keys(model)]
    if homes and key != "type":
        return f"unknown key here; {_home(homes[0])}"
    return f"unknown key; accepted are {', '.join(known)}"


def _home(location: YamlPath) -> str:
    match location:
        case ():
            return "accepted is to have it at the left margin, under nothing"
        case ("message", kind):
            return f"accepted is to have it in a message of type: {kind}"
        case _:
            return f"accepted is to have it under {dotted(location)}"


def _missing_key(location: YamlPath) -> str:
    key = str(location[-1])
    fields = SECTIONS[location[:-1]].model_fields.items()
    examples = next((field.examples for name, field in fields if key in (name, field.alias)), None)
    return f"missing; accepted is for example {key}: {(examples or ['…'])[0]}"
