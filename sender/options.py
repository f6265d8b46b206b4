"""What one `send` asks for beyond its campaign file."""

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from campaigns.model import Rate, Transport


@dataclass(frozen=True, kw_only=True)
class Options:
    """What one `send` asks for.

    run        the run's name, None for the campaign's
    occurrence which sending of a recurring campaign, on its own clocks
    only_new   send to those whom no run of the campaign has planned
    expect     the number of recipients that the plan must have
    limit      stop after the first so many recipients of the plan
    strict     refuse an audience with rejected rows
    rate       calls in a period, instead of the campaign file's
    transport  how the API is called, instead of the campaign file's
    missed     why this sending was missed: the plan is made, and cancelled
    stdin      what `csv: "-"` reads
    metrics    where metrics are served meanwhile, `PORT` or `HOST:PORT`
    """

    run: str | None = None
    occurrence: datetime | None = None
    only_new: bool = False
    expect: int | None = None
    limit: int | None = None
    strict: bool = False
    rate: Rate | None = None
    transport: Transport | None = None
    missed: str = ""
    stdin: BinaryIO | None = None
    metrics: str | None = None
