"""The counters behind GET /sandbox/stats."""

from collections import Counter
from typing import Any

from sender.sandbox.deliveries import Deliveries
from sender.sandbox.limits import Limit, PeakMeter
from sender.sandbox.recorder import Entry


class Tally:
    """Counts requests: on arrival those that came, at their end how they were answered."""

    def __init__(self, limit: Limit | None) -> None:
        period_seconds = limit.period_seconds if limit else 1.0
        self._all_requests = PeakMeter(period_seconds)
        self._messages = PeakMeter(period_seconds)
        self._calls: Counter[str] = Counter()
        self._statuses: Counter[str] = Counter()
        self._received = 0
        self._unanswered = 0
        self._uploads = 0

    def arrive(self, entry: Entry) -> None:
        """A request has come."""
        self._calls[f"{entry.method} {_route(entry.path)}"] += 1
        self._all_requests.add(entry.arrived_at)
        if entry.is_message:
            self._messages.add(entry.arrived_at)
            self._received += 1

    def leave(self, entry: Entry) -> None:
        """A request has been answered, or never will be."""
        self._uploads += len(entry.body.uploads)
        if not entry.is_message:
            return
        if entry.status is None:
            self._unanswered += 1
        else:
            self._statuses[str(entry.status)] += 1

    def as_data(self, deliveries: Deliveries) -> dict[str, Any]:
        """All counters but those of single recipients; `500-after` makes a call both accepted and failed."""
        return {
            "recipients": len(deliveries.counts),
            "deliveries_total": deliveries.counts.total(),
            "most_to_one": deliveries.most_to_one,
            "largest_call": deliveries.largest_call,
            "calls": dict(self._calls),
            "messages": {
                "received": self._received,
                "accepted": deliveries.calls,
                "refused": self._of(400, 500) - self._statuses["429"],
                "rate_limited": self._statuses["429"],
                "failed": self._of(500, 600),
                "unanswered": self._unanswered,
                "by_status": dict(sorted(self._statuses.items())),
            },
            "uploads": self._uploads,
            "peak_per_window": self._all_requests.peak,
            "peak_messages_per_window": self._messages.peak,
        }

    def _of(self, low: int, high: int) -> int:
        return sum(count for status, count in self._statuses.items() if low <= int(status) < high)


def _route(path: str) -> str:
    head, _, number = path.removeprefix("/").partition("/")
    return f"/{head}/:id" if number and head in ("media_files", "batch_tasks") else path
