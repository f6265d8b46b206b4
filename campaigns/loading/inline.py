"""A message by itself, as the `message` section of a campaign file would say it -> a Campaign that has nobody."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from campaigns.errors import CampaignFileError, Place, Problem
from campaigns.loading.explain import dotted, explain
from campaigns.model import Campaign, CampaignKeys

NAME: Final = "single-message"


def message_campaign(message: Mapping[str, object], folder: Path) -> Campaign:
    """A campaign with this message, its path taken from that folder, for one contact who is named elsewhere.

    Raises CampaignFileError with every problem of the message.
    """
    said = {"campaign": NAME, "audience": {"csv": "nobody.csv"}, "message": dict(message)}
    try:
        keys = CampaignKeys.model_validate(said, by_alias=True, by_name=False)
    except ValidationError as error:
        complaints = explain(error)
        raise CampaignFileError(
            Problem(place=Place(file=dotted(complaint.path)), message=complaint.message) for complaint in complaints
        ) from error
    return Campaign(**dict(keys.with_paths_from(folder)), file=folder / NAME)
