"""What one server lets its agents do, and how its errors reach them."""

import functools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from campaigns.errors import CampaignError
from sender.errors import InputError, SenderError
from sender.mcp.roots import Roots
from sender.report import spelled
from sender.settings import Settings

SINGLES = 60
SINGLES_SECONDS = 3600.0

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What one server lets its agents do.

    roots           where campaigns come from
    settings        the API, and the ledger
    max_recipients  the most that one campaign may have
    sandbox_url     the address of the server's own sandbox, when it sends to that alone
    """

    roots: Roots
    settings: Settings
    max_recipients: int
    sandbox_url: str | None = None
    _singles: deque[float] = field(default_factory=deque, init=False)

    def check_size(self, recipients: int) -> None:
        """Raises InputError for more recipients than this server allows."""
        if recipients > self.max_recipients:
            raise InputError(
                f"more than {spelled(self.max_recipients, 'recipient')} (--max-recipients) may not be sent to over "
                "this server; a person can send this campaign with `campaign send`"
            )

    def count_single(self) -> None:
        """Counts a message to a single contact. Raises InputError when there were too many in the last hour."""
        now = time.monotonic()
        while self._singles and self._singles[0] <= now - SINGLES_SECONDS:
            self._singles.popleft()
        if len(self._singles) >= SINGLES:
            raise InputError(
                f"{SINGLES} single messages were sent in the last hour, and nothing keeps those from arriving twice: "
                "send to many with a campaign, or wait"
            )
        self._singles.append(now)


def told(tool: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """The same tool; what the commands would say of an error is what the agent reads."""

    @functools.wraps(tool)
    async def telling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await tool(*args, **kwargs)
        except (CampaignError, SenderError) as error:
            # Flags are named as the commands have them; `to` is the one that an agent has under its own name.
            raise ToolError(str(error).removeprefix("--")) from error

    return telling
