"""A campaign as its file describes it: who, what, how fast and when; frozen, and checked when made."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator

from campaigns.clocks import moment
from campaigns.errors import Place
from campaigns.model.fields import (
    AnyNumberOf,
    CsvPath,
    Delimiter,
    Encoding,
    ExclusionPath,
    Frozen,
    OneOrMore,
    PrivateAddress,
    Slug,
    Text,
)
from campaigns.model.kinds import STANDARD_INPUT, IdentifierKind, Transport
from campaigns.model.messages import (
    MediaMessage,
    Message,
)
from campaigns.model.quantities import MaxRejected, MaxRejectedText, Rate, RateText, Seconds, whole
from campaigns.model.timing import Misfire, Moment, Schedule, Window

YamlPath = tuple[str | int, ...]
"""Where a value stands in the campaign file: `("audience", "csv", 0)`."""


class Audience(Frozen):
    """Who gets the message: the rows of CSV files, less those who opted out."""

    csv: OneOrMore[CsvPath] = Field(examples=["people.csv"])
    """The CSV files, relative to this file, .gz too; `-` is standard input."""
    columns: Mapping[IdentifierKind, Text] = {}
    """The header of the column with each kind of identifier, if not id, contact_id, username or email."""
    identify_by: OneOrMore[IdentifierKind] = tuple(IdentifierKind)
    """Which identifier to use when a row has several: the first of these that it has."""
    where: Mapping[str, OneOrMore[Text]] = {}
    """Keep only the rows whose column has one of these values, compared as they are written here."""
    exclude: AnyNumberOf[ExclusionPath] = ()
    """CSV files of people who get nothing, whichever identifier matches."""
    encoding: Encoding | None = None
    """The CSV's encoding; found out when left out, if it is UTF-8 or UTF-16."""
    delimiter: Delimiter | None = None
    """The CSV's delimiter: `,` `;` `|` or `tab`; found out from the header when left out."""


class Delivery(Frozen):
    """How fast, how patiently, and how many at most."""

    chunk_size: Annotated[int, whole(1, 1000)] = 1000
    """Recipients in one call."""
    workers: Annotated[int, whole(1, 64)] = 4
    """Calls under way at the same time."""
    rate: RateText = Rate(count=2, period_seconds=1.0)
    """Calls in any such period, never more: 2/s, 120/min, 500/h."""
    recipients: RateText | None = None
    """Recipients in any such period, never more: 10000/h."""
    timeout_seconds: Seconds = Field(default=30.0, alias="timeout")
    """The longest that one call may take, from the first byte written to the last byte of the reply."""
    max_wait_seconds: Seconds = Field(default=3600.0, alias="max_wait")
    """The longest pause or lack of progress to sit through before stopping."""
    max_recipients: Annotated[int, whole(1, 1_000_000_000)] | None = None
    """A larger audience is refused before anything is sent."""

    max_rejected: MaxRejectedText = MaxRejected()
    """More refused recipients stop the run for a person to look: a number, or a share of the decided (at least 50)."""
    transport: Transport = Transport.REST
    """How the API is called: rest, or mcp, which takes media by public URL alone."""

    @field_validator("recipients")
    @classmethod
    def _takes_a_whole_chunk(cls, recipients: Rate | None, info: ValidationInfo) -> Rate | None:
        chunk_size = info.data.get("chunk_size", 1)
        if recipients and recipients.count < chunk_size:
            raise ValueError(
                f"{recipients} never lets a chunk of {chunk_size:,} through; "
                f"accepted is chunk_size or more, so set that to {recipients.count:,} or less, or raise this"
            )
        return recipients


class Notify(Frozen):
    """Who is told how it went."""

    url: PrivateAddress = Field(examples=["https://hooks.example.com/campaigns"])
    """The address that the summary is posted to when a run ends: https, or http on this machine."""


class CampaignKeys(Frozen):
    """A bulk campaign of Instagram direct messages."""

    campaign: Slug = Field(examples=["spring-drop"])
    """The campaign's name, and its run's unless another is given."""
    account: Slug = "default"
    """A label for the account whose token is used."""
    audience: Audience = Field(examples=["{csv: people.csv}"])
    """Who gets the message."""
    message: Message = Field(examples=["{text: Hello}"])
    """What they get."""
    delivery: Delivery = Delivery()
    """How fast, how patiently, and how many at most."""
    schedule: Schedule | None = None
    """When it is sent, if not by hand."""
    misfire: Misfire | None = None
    """What happens to a sending whose time has passed unnoticed."""
    window: Window | None = None
    """The hours in which anything is sent at all."""
    not_after: Moment | None = None
    """What is not sent by then is cancelled; on the clocks of schedule or window, or with an offset."""
    notify: Notify | None = None
    """Who is told how it went."""

    @field_validator("delivery")
    @classmethod
    def _transport_takes_the_message(cls, delivery: Delivery, info: ValidationInfo) -> Delivery:
        message = info.data.get("message")
        is_file = isinstance(message, MediaMessage) and not message.is_url and message.upload == "each"
        if delivery.transport is Transport.MCP and is_file:
            raise ValueError(
                "transport mcp takes media by public URL alone, and `upload: each` sends the file along with every "
                "call; accepted is `upload: once`, or transport: rest"
            )
        return delivery

    @field_validator("not_after")
    @classmethod
    def _is_on_known_clocks(cls, not_after: datetime | None, info: ValidationInfo) -> datetime | None:
        # a schedule or window that is itself wrong is absent here, and has its own complaint
        clocks = [info.data.get(name, "malformed") for name in ("schedule", "window")]
        if not_after and not not_after.tzinfo and not any(clocks):
            raise ValueError(
                f"'{not_after:%Y-%m-%d %H:%M}' has no time zone; accepted is an offset (such as +01:00), "
                "or a schedule or window, which have one"
            )
        return not_after

    def with_paths_from(self, folder: Path) -> Self:
        """The same with its relative paths, to CSVs, exclusion lists and media, taken from that folder."""
        audience, message = self.audience, self.message
        csv = tuple(path if path == STANDARD_INPUT else _absolute(path, folder) for path in audience.csv)
        exclude = tuple(_absolute(path, folder) for path in audience.exclude)
        update: dict[str, Frozen] = {
            "audience": audience.model_copy(update={"csv": csv, "exclude": exclude}),
        }
        if isinstance(message, MediaMessage) and not message.is_url:
            path = _absolute(message.source, folder)
            update["message"] = message.model_copy(update={message.type: path})
        return self.model_copy(update=update)

    @property
    def deadline(self) -> datetime | None:
        """`not_after` as a moment in UTC, on its own clocks, or else the schedule's, or else the window's."""
        clocks = self.schedule or self.window
        if self.not_after and not self.not_after.tzinfo and clocks:
            return moment(self.not_after, clocks.timezone)
        return self.not_after and self.not_after.astimezone(UTC)


def _absolute(path: str, folder: Path) -> str:
    return str(folder / path)  # `..` stays: striking it out would lead elsewhere when the folder is a symlink


class Campaign(CampaignKeys):
    """A campaign, the file it came from, and where in that file everything stands."""

    file: Path
    """The absolute path of the campaign file."""
    places: Mapping[YamlPath, Place] = Field(default={}, repr=False, exclude=True)
    """Where each value stands in the file; `()` is the whole of it."""

    def place(self, *path: str | int) -> Place:
        """Where a key's value stands in the file, or the nearest that is written around it.

        `campaign.place("audience", "csv", 0)` is the first CSV's place, whether or not `csv` is a list.
        """
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return Place(file=str(self.file))
