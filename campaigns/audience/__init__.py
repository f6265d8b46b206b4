"""Who gets the message: CSV files -> recipients and rejected rows, as a stream."""

from campaigns.audience.exclusions import excluded_keys, listed_keys, tied_keys
from campaigns.audience.identifiers import normal_email, normal_id, normal_username
from campaigns.audience.reading import AudienceReading, read_audience
from campaigns.audience.recipients import Counts, Recipient, RejectedRow
from campaigns.audience.sources import SourceStamp, stamp

__all__ = [
    "AudienceReading",
    "Counts",
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
    "tied_keys",
]
