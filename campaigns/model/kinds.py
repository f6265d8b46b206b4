"""The words of a campaign that those need, too, who read no campaign file; so nothing in here needs pydantic."""

from enum import StrEnum
from typing import Final

STANDARD_INPUT: Final = "-"


class IdentifierKind(StrEnum):
    """What a recipient can be addressed by; one call takes one kind."""

    ID = "id"
    USERNAME = "username"
    EMAIL = "email"


class Transport(StrEnum):
    """How the API is called."""

    REST = "rest"
    MCP = "mcp"
