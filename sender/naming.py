"""The names of `--only-new` runs."""

from campaigns.model import Campaign
from sender.ledger import Ledger, Run
from sender.outcome import RunState


async def name_of_new(campaign: Campaign, origin: str, ledger: Ledger) -> str:
    """The name of an `--only-new` run: an unfinished one goes on, else the next free of `NAME+2`, `NAME+3`, …"""
    base = campaign.campaign
    runs = [run for run in await ledger.runs() if run.campaign == base and _is_sealed(run)]
    if not any((run.origin, run.account) == (origin, campaign.account) for run in runs):
        return base
    numbers = {int(run.name.removeprefix(f"{base}+")): run for run in runs if _is_numbered(run.name, base)}
    newest = max(numbers, default=1)
    if newest in numbers and numbers[newest].state not in (RunState.COMPLETED, RunState.CANCELLED):
        return numbers[newest].name
    return f"{base}+{newest + 1}"


def _is_numbered(name: str, base: str) -> bool:
    return name.startswith(f"{base}+") and name.removeprefix(f"{base}+").isdecimal()


def _is_sealed(run: Run) -> bool:
    return run.state is not RunState.PLANNING
