"""The e-mails that users want, and those that they may get."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import transaction

from ..exceptions import Conflict, Refusal
from ..models import MailKind, MailMessage, MailSubscription, User, WebhookType

# By the part of the type before the dot.
ALERT_PERMISSIONS = {
    "task": "dispatch.view_task",
    "suggestion": "dispatch.view_suggestion",
    "feed": "dispatch.view_station",
    "outage": "dispatch.view_station",
}
REPORT_PERMISSIONS = ["dispatch.view_task", "dispatch.view_station"]
NOT_SET_UP = "E-mail is not set up: EMAIL_HOST is empty."


def check_mail_is_set_up() -> None:
    if not settings.EMAIL_HOST:
        raise Refusal(NOT_SET_UP)


def alert_types_for(user: User) -> list[str]:
    """Return the types of alerts that the user may see. None for an account that is not active."""
    if not may_open_console(user):
        return []
    return [each for each in WebhookType.values if user.has_perm(permission_for(each))]


def permission_for(alert_type: str) -> str:
    return ALERT_PERMISSIONS[alert_type.partition(".")[0]]


def may_get_report(user: User) -> bool:
    return may_open_console(user) and user.has_perms(REPORT_PERMISSIONS)


def may_open_console(user: User) -> bool:
    return user.is_active and user.is_staff


@transaction.atomic(durable=True)
def subscribe_to_mail(user: Any, *, types: Collection[str], daily_report: bool) -> MailSubscription:
    """Set the user's choice. Refusal: the user may not see what was chosen."""
    if set(types) - set(alert_types_for(user)) or (daily_report and not may_get_report(user)):
        raise Refusal("You may not see everything that you have chosen.")
    choice = {"types": sorted(types), "daily_report": daily_report}
    subscription, _ = MailSubscription.objects.update_or_create(user=user, defaults=choice)
    return subscription


@transaction.atomic(durable=True)
def request_test_mail(user: Any) -> MailMessage:
    """Enqueue a test for the user. Conflict: there is no address, or a test is still pending."""
    check_mail_is_set_up()
    if not user.email:
        raise Conflict("Your account has no e-mail address.")
    MailSubscription.objects.get_or_create(user=user)
    subscription = MailSubscription.objects.select_for_update(no_key=True).get(user=user)
    tests = subscription.messages.filter(kind=MailKind.TEST)
    if tests.pending().exists():
        raise Conflict("A test is already waiting to be sent.")
    message: MailMessage = tests.create(subscription=subscription, kind=MailKind.TEST)
    return message
