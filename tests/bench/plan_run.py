"""The planning part of `campaign send`, as a process of its own: the plan is durable when it ends."""

import asyncio
import gc
import sys
from pathlib import Path

from campaigns.loading import load_campaign
from sender import content, logs, planning
from sender.cli.app import GARBAGE_THRESHOLDS
from sender.ledger import open_ledger


async def main(file: str, ledger_path: str, origin: str = "https://api.example.com") -> None:
    """Prints how many recipients are planned."""
    campaign = load_campaign(Path(file), {})

    async def consent(_: int) -> None:
        pass

    order = planning.Order(
        campaign=campaign,
        run=campaign.campaign,
        origin=origin,
        message_fingerprint=content.fingerprint(campaign, None),
        consent=consent,
    )
    async with open_ledger(Path(ledger_path)) as ledger:
        run = await planning.planned_run(order, ledger, logs.get_logger())
        assert run
        print(run.plan.planned)


if __name__ == "__main__":
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    asyncio.run(main(*sys.argv[1:]))
