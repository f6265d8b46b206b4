"""`pause_run`, `resume_run` and `cancel_run`: levers on a run, whoever sends it."""

from dataclasses import dataclass

from sender import outcome
from sender.look import run_report
from sender.mcp.results import Lever
from sender.mcp.scope import Scope, told
from sender.operate import pull


@dataclass(frozen=True)
class Steering:
    """The tools."""

    scope: Scope

    @told
    async def pause_run(self, run: str) -> Lever:
        """Take no further chunk of a run; what is in flight finishes. It lasts until `resume_run`."""
        return await self._pull(run, outcome.Lever.PAUSE)

    @told
    async def resume_run(self, run: str) -> Lever:
        """Lift a pause. When nobody sends the run any more, `send_campaign` goes on with it."""
        return await self._pull(run, outcome.Lever.RESUME)

    @told
    async def cancel_run(self, run: str) -> Lever:
        """Cancel what is pending of a run, for good: nobody of these gets the message. What is in flight finishes."""
        return await self._pull(run, outcome.Lever.CANCEL)

    async def _pull(self, run: str, lever: outcome.Lever) -> Lever:
        ledger = self.scope.settings.ledger
        pulled = await pull(ledger, run, lever)
        report, _ = await run_report(ledger, run)
        return Lever(
            run=pulled.run,
            lever=pulled.lever,
            obeyed=pulled.obeyed,
            by_sender=pulled.by_sender,
            recipients_changed=pulled.recipients,
            state=report.state,
        )
