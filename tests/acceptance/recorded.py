"""What the sandbox has recorded, as tests compare it."""

from typing import Any

from sender.sandbox import Sandbox

CONTACTS = ("contact_id", "contact_ids", "contact_username", "contact_usernames", "contact_email", "contact_emails")


def messages(sandbox: Sandbox, since: int = 0) -> list[dict[str, Any]]:
    """The calls that send, in the order of their arrival."""
    return [call for call in sandbox.requests(since) if (call["method"], call["path"]) == ("POST", "/messages")]


def uploads(sandbox: Sandbox) -> list[dict[str, Any]]:
    """The calls that keep a file in the media library."""
    return [call for call in sandbox.requests() if (call["method"], call["path"]) == ("POST", "/media_files")]


def addressed(call: dict[str, Any]) -> list[Any]:
    """Whom a JSON call names, one or many."""
    [name] = [name for name in CONTACTS if name in call["json"]]
    named = call["json"][name]
    return named if isinstance(named, list) else [named]


def everybody(sandbox: Sandbox) -> list[Any]:
    """Whom all JSON calls name, in the order of their arrival."""
    return [each for call in messages(sandbox) for each in addressed(call)]
