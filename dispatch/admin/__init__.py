from .crews import CrewAdmin
from .feeds import StationFeedAdmin
from .mail import MailMessageAdmin, MailSubscriptionAdmin
from .stations import StationAdmin
from .suggestions import SuggestionAdmin
from .systems import SystemAdmin
from .tasks import TaskAdmin
from .tokens import ApiTokenAdmin
from .users import UserAdmin
from .webhooks import WebhookDeliveryAdmin, WebhookEndpointAdmin

__all__ = [
    "ApiTokenAdmin",
    "CrewAdmin",
    "MailMessageAdmin",
    "MailSubscriptionAdmin",
    "StationAdmin",
    "StationFeedAdmin",
    "SuggestionAdmin",
    "SystemAdmin",
    "TaskAdmin",
    "UserAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
]
