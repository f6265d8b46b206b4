"""A campaign file -> a Campaign, or everything that is wrong with it at once."""

from campaigns.loading.campaignfile import load_campaign
from campaigns.loading.inline import message_campaign

__all__ = ["load_campaign", "message_campaign"]
