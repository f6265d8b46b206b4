"""What a campaign is: frozen values, checked when they are made."""

from campaigns.model.campaign import (
    Audience,
    Campaign,
    CampaignKeys,
    Delivery,
    IdentifierKind,
    Notify,
    Transport,
    YamlPath,
)
from campaigns.model.fields import STANDARD_INPUT
from campaigns.model.messages import (
    MAX_TEXT_BYTES,
    AudioMessage,
    ImageMessage,
    MediaMessage,
    Message,
    ShareMessage,
    TextMessage,
    VideoMessage,
)
from campaigns.model.quantities import Rate, Seconds
from campaigns.model.timing import Misfire, Schedule, Weekday, Window

__all__ = [
    "MAX_TEXT_BYTES",
    "STANDARD_INPUT",
    "Audience",
    "AudioMessage",
    "Campaign",
    "CampaignKeys",
    "Delivery",
    "IdentifierKind",
    "ImageMessage",
    "MediaMessage",
    "Message",
    "Misfire",
    "Notify",
    "Rate",
    "Schedule",
    "Seconds",
    "ShareMessage",
    "TextMessage",
    "Transport",
    "VideoMessage",
    "Weekday",
    "Window",
    "YamlPath",
]
