"""A run's report as one page of HTML that needs no other file, no network and no script.

Jinja2 writes the markup because it escapes every value by itself: names and reasons come from others. Only this
package imports it, and only `report --format html` imports this package (some 20 ms).
"""

from pathlib import Path

from sender.page.facts import gather_facts
from sender.page.render import render


async def report_page(ledger: Path, name: str | None, states: tuple[str, ...] = ()) -> str:
    """The page of a run, or of the newest; it lists the recipients in these states. Raises InputError, LedgerError."""
    return render(await gather_facts(ledger, name, states))


__all__ = ["report_page"]
