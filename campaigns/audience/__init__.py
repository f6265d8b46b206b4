"""Who gets the message: CSV files -> recipients and rejected rows, as a stream."""

import os
from importlib import import_module
from typing import TYPE_CHECKING

from campaigns.audience.identifiers import normal_email, normal_id, normal_username
from campaigns.audience.recipients import Counts, Recipient, RejectedRow
from campaigns.audience.sources import SourceStamp, stamp

if TYPE_CHECKING:
    from campaigns.audience.exclusions import excluded_keys, listed_keys
    from campaigns.audience.reading import AudienceReading, read_audience
    from campaigns.audience.sifting import KnownPeople
else:
    # These need NumPy, which a command that reads no audience does not wait for.
    _LATE = {
        "exclusions": ("excluded_keys", "listed_keys"),
        "reading": ("AudienceReading", "read_audience"),
        "sifting": ("KnownPeople",),
    }

    # NumPy's linear algebra starts a thread for each core at import, half of what that takes; nothing here needs it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    def __getattr__(name):
        """What is imported at its first use."""
        for module, names in _LATE.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "AudienceReading",
    "Counts",
    "KnownPeople",
    "Recipient",
    "RejectedRow",
    "SourceStamp",
    "excluded_keys",
    "listed_keys",
    "normal_email",
    "normal_id",
    "normal_username",
    "read_audience",
    "stamp",
]
