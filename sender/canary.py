"""`--limit N`: where in a plan a session ends that sends to its first N recipients only."""

import time

from sender.halving import cut
from sender.ledger import Ledger, Position
from sender.outcome import ChunkState


async def end_of_first(ledger: Ledger, run_id: int, recipients: int) -> Position | None:
    """The position behind the plan's first so many recipients, the cancelled not counted; None behind its end.

    A pending chunk that lies across it is cut there.
    """
    before = 0
    for leaf in await ledger.leaves(run_id):
        if leaf.state is ChunkState.CANCELLED:
            continue
        if before >= recipients:
            return leaf.position
        if before + leaf.size > recipients and leaf.state is ChunkState.PENDING:
            await ledger.split(leaf, cut(await ledger.load(leaf.id), [recipients - before]), time.time())
            return await end_of_first(ledger, run_id, recipients)
        before += leaf.size
    return None
