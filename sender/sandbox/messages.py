"""POST /messages: is this a message that the API would send, and to whom?

Fields and limits are those of Inrō's help centre and of Instagram; `text` and the `…[]` parts are assumed.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from sender.sandbox.body import Body, Upload
from sender.sandbox.files import FORMATS, check_file, check_url
from sender.sandbox.refusal import Refusal, unprocessable

MAX_RECIPIENTS = 1_000
MAX_TEXT_BYTES = 1_000
MESSAGE_TYPES = ("text", "image", "video", "audio", "share")

_KINDS = {"id": ("contact_id", "contact_ids"), "username": ("contact_username", "contact_usernames"),
          "email": ("contact_email", "contact_emails")}  # fmt: skip
_RECIPIENT_FIELDS = {
    name: (kind, name == plural) for kind, (singular, plural) in _KINDS.items() for name in (singular, plural)
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """One call that makes sense."""

    message_type: str
    """One of `MESSAGE_TYPES`."""
    kind: str
    """How its recipients are named: `id`, `username` or `email`."""
    recipients: tuple[str, ...]
    """Their identifiers, ids as text."""


def read_message(body: Body, *, text_field: str, own_media: Container[str]) -> Message:
    """The message in a body; Refusal 415 for a form without parts, 422 for everything that does not fit."""
    if body.content_type == "application/x-www-form-urlencoded":
        raise Refusal(415, "Content-Type must be application/json or multipart/form-data")
    fields = body.fields()
    message_type = fields.pop("message_type", "text")
    if message_type not in MESSAGE_TYPES:
        raise unprocessable("message_type", f"message_type must be one of {', '.join(MESSAGE_TYPES)}")
    kind, recipients = _recipients(fields, from_form=body.is_form)
    _check_content(message_type, fields, text_field, own_media)
    return Message(message_type=message_type, kind=kind, recipients=recipients)


def _recipients(fields: dict[str, Any], *, from_form: bool) -> tuple[str, tuple[str, ...]]:
    given = [name for name in fields if name in _RECIPIENT_FIELDS]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise unprocessable("contact", f"Exactly one of {', '.join(_RECIPIENT_FIELDS)} is needed; given: {found}")
    [name] = given
    kind, is_list = _RECIPIENT_FIELDS[name]
    value = fields.pop(name)
    if is_list != isinstance(value, list):
        raise unprocessable(name, f"{name} must be {'a list' if is_list else 'one value, not a list'}")
    values = value if is_list else [value]
    if not 1 <= len(values) <= MAX_RECIPIENTS:
        raise unprocessable(name, f"{name} must hold 1 to {MAX_RECIPIENTS} contacts, not {len(values)}")
    return kind, tuple(_identifier(name, kind, each, from_form) for each in values)


def _identifier(name: str, kind: str, value: Any, from_form: bool) -> str:
    if kind == "id":
        return _id(name, value, from_form)
    if not isinstance(value, str) or not value.strip() or not _encodable(value):
        raise unprocessable(name, f"{name} must hold non-empty strings")
    if kind == "email" and "@" not in value.strip("@"):
        raise unprocessable(name, f"{name} must hold e-mail addresses")
    return value


def _id(name: str, value: Any, from_form: bool) -> str:
    if from_form and isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    # In Python true is an integer; in JSON it is none.
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise unprocessable(name, f"{name} must hold positive integers")
    return str(value)


def _check_content(message_type: str, fields: dict[str, Any], text_field: str, own_media: Container[str]) -> None:
    field = {"text": text_field, "share": "media_id"}.get(message_type, message_type)
    if field not in fields:
        raise unprocessable(field, f"A message of type {message_type} needs the field {field}")
    if others := sorted(fields.keys() - {field}):
        raise unprocessable(others[0], f"A message of type {message_type} has no field {', '.join(others)}")
    value = fields[field]
    if message_type == "text":
        _check_text(field, value)
    elif message_type == "share":
        _check_share(value, own_media)
    else:
        _check_media(message_type, value)


def _check_text(field: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip() or not _encodable(value):
        raise unprocessable(field, f"{field} must be a non-empty string")
    size = len(value.encode("utf-8"))
    if size > MAX_TEXT_BYTES:
        raise unprocessable(field, f"{field} has {size} bytes in UTF-8; at most {MAX_TEXT_BYTES} are accepted")


def _check_share(value: Any, own_media: Container[str]) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int) or str(value) not in own_media:
        raise unprocessable("media_id", "media_id is not one of this account's posts or reels")


def _check_media(message_type: str, value: Any) -> None:
    assert message_type in FORMATS  # noqa: S101
    if isinstance(value, Upload):
        check_file(message_type, message_type, value)
    else:
        check_url(message_type, value)


def _encodable(text: str) -> bool:
    # JSON can spell half of a surrogate pair, which is no character and has no UTF-8.
    return not any("\ud800" <= character <= "\udfff" for character in text)
