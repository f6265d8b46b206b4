"""What reached the sandbox, call by call and name by name."""

from typing import Any

from sender.sandbox import Sandbox


def addresses(sandbox: Sandbox) -> list[str | int]:
    """Everybody that any POST /messages named, in order, as JSON had them."""
    named: list[str | int] = []
    for request in sandbox.requests():
        for field, value in (request["json"] or {}).items():
            if field.startswith("contact_"):
                named += value if isinstance(value, list) else [value]
    return named


def nothing_came(sandbox: Sandbox) -> bool:
    """Whether no request of any kind has arrived, and so no message has either."""
    stats: dict[str, Any] = sandbox.stats()
    return not sandbox.requests() and stats["messages"]["received"] == stats["deliveries_total"] == 0
