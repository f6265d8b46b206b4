"""Who may start a sending: the consent that a new run needs, and the ledger that it must be able to keep."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sender.errors import InputError
from sender.report import spelled
from sender.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Consent:
    """How a new run is agreed to. A run that has begun asks nothing.

    given   `--yes`, a number that `--expect` names, or a sandbox, where nobody is written to
    ask     asks a person to type the number of recipients; None when no person is there
    """

    given: bool
    ask: Callable[[int], Awaitable[str]] | None = None

    async def check(self, planned: int) -> None:
        """Returns when sending to so many recipients is agreed to, else raises InputError."""
        if self.given:
            return
        if self.ask is None:
            raise InputError(
                f"sending to {spelled(planned, 'recipient')} needs consent: add --yes, or --expect {planned} to send "
                "only while the plan has that number; nothing was sent"
            )
        typed = (await self.ask(planned)).strip().replace(",", "").replace(" ", "")
        if typed != str(planned):
            raise InputError(f"that is not {planned:,}: nothing was sent")


def require_lasting_ledger(settings: Settings, *, may_vanish: bool) -> None:
    """Raises InputError in a CI job with the default ledger, which would die with the job and all that it knows."""
    if settings.is_ci and settings.ledger_is_default and not may_vanish:
        raise InputError(
            f"CI is set, and the default ledger ({settings.ledger}) would die with this job, and the next one would "
            "send to everybody again: let CAMPAIGN_LEDGER name a path that lasts, or accept it with "
            "--ephemeral-ledger; nothing was sent"
        )
