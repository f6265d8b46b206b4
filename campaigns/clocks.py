"""Wall clocks -> moments. DST leaves out some local times and shows others twice: each is one moment here."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def moment(local: datetime, timezone: str) -> datetime:
    """When the clocks of that IANA zone first show the local time, in UTC.

    A time that they leave out is the moment at which they go on behind it, as in Debian's cron: where 02:00 becomes
    03:00, 02:30 is 03:00. So moments never go back while local times go on.
    """
    zone = ZoneInfo(timezone)
    while (shown := local.replace(tzinfo=zone, fold=0).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != local:
        local = (local + timedelta(minutes=1)).replace(second=0, microsecond=0)
    return shown


def local_time(instant: datetime, timezone: str) -> datetime:
    """What the clocks of that zone show at a moment, without a zone."""
    return instant.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
