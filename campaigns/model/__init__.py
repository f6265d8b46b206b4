"""What a campaign is: frozen values, checked when they are made."""

from importlib import import_module
from typing import TYPE_CHECKING

from campaigns.model.kinds import STANDARD_INPUT, IdentifierKind, Transport

if TYPE_CHECKING:
    from campaigns.model.campaign import Audience, Campaign, CampaignKeys, Delivery, Notify, YamlPath
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
else:
    # These need pydantic, which takes longer to be imported than `campaign status` takes altogether.
    _LATE = {
        "campaign": ("Audience", "Campaign", "CampaignKeys", "Delivery", "Notify", "YamlPath"),
        "messages": (
            "MAX_TEXT_BYTES",
            "AudioMessage",
            "ImageMessage",
            "MediaMessage",
            "Message",
            "ShareMessage",
            "TextMessage",
            "VideoMessage",
        ),
        "quantities": ("Rate", "Seconds"),
        "timing": ("Misfire", "Schedule", "Weekday", "Window"),
    }

    def __getattr__(name):
        """What is imported at its first use."""
        for module, names in _LATE.items():
            if name in names:
                return getattr(import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
