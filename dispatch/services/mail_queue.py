"""The queue of e-mails: bundle alerts, claim what is due, record the outcome of each attempt.

No lock is held while an e-mail is being sent: a lease keeps other senders off, and a killed
sender's e-mail is sent again, with the same Message-ID.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from ..exceptions import Conflict, NotFound
from ..models import MailAlert, MailKind, MailMessage, MailState, MailSubscription
from ..models.mail import ANSWER_LENGTH
from .mail_subscriptions import alert_types_for

# Seconds before each further attempt: fifteen hours in all.
BACK_OFF = (60, 300, 900, 3_600, 7_200, 14_400, 28_800)
MOST_TRIES = len(BACK_OFF) + 1
# Far longer than a mail server may take for one e-mail.
LEASE = timedelta(minutes=5)
MOST_ALERTS = 500
BATCH = 500


@dataclass(frozen=True)
class MailOutcome:
    """`state`: of the message from now on; pending after a failure that may pass."""

    state: MailState
    answer: str


def bundle_alerts() -> int:
    """Put each user's waiting alerts into one e-mail. Return the number of e-mails.

    A user gets one at most every MAIL_ALERT_MINUTES, and none while the former one is pending.
    """
    ready = MailSubscription.objects.with_alerts().order_by("id").values_list("id", flat=True)
    return sum(bundle_alerts_of(each) for each in ready)


@transaction.atomic(durable=True)
def bundle_alerts_of(subscription_id: int) -> bool:
    ready = MailSubscription.objects.with_alerts().select_related("user")
    locked = ready.select_for_update(skip_locked=True, no_key=True, of=("self",))
    subscription = locked.filter(pk=subscription_id).first()
    if subscription is None:
        return False
    types = {*subscription.types} & {*alert_types_for(subscription.user)}
    alerts = MailAlert.objects.waiting().filter(subscription=subscription, type__in=types)
    ids = list(alerts.order_by("id").values_list("id", flat=True)[:MOST_ALERTS])
    if not ids:
        return False
    message = MailMessage.objects.create(subscription=subscription, kind=MailKind.ALERTS)
    MailAlert.objects.filter(pk__in=ids).update(message=message)
    pause = timedelta(minutes=settings.MAIL_ALERT_MINUTES)
    MailSubscription.objects.filter(pk=subscription_id).update(next_alerts_at=Now() + pause)
    return True


@transaction.atomic(durable=True)
def enqueue_daily_reports(day: date) -> int:
    """Enqueue the report of the day for each subscriber who has none. Return their number."""
    reports = MailMessage.objects.filter(subscription=OuterRef("pk"), kind=MailKind.REPORT, day=day)
    missing = MailSubscription.objects.active().filter(~Exists(reports), daily_report=True)
    messages = [
        MailMessage(subscription=each, kind=MailKind.REPORT, day=day)
        for each in missing.order_by("id")
    ]
    # Another sender may have enqueued the same.
    MailMessage.objects.bulk_create(messages, ignore_conflicts=True)
    return len(messages)


@transaction.atomic(durable=True)
def claim_mail() -> MailMessage | None:
    """Lease an e-mail that is due, with its subscription and user. None: there is none.

    Its `tries` counts the coming attempt.
    """
    due = MailMessage.objects.due().select_related("subscription__user")
    locked = due.select_for_update(skip_locked=True, of=("self",))
    message = locked.order_by("next_try_at", "id").first()
    if message is None:
        return None
    message.tries += 1
    MailMessage.objects.filter(pk=message.pk).update(
        tries=message.tries,
        leased_until=Now() + LEASE,
        address=message.subscription.user.email,
    )
    return message


@transaction.atomic(durable=True)
def record_mail(message: MailMessage, outcome: MailOutcome) -> MailState | None:
    """Record the outcome of an attempt. Return the message's new state.

    None: it has been claimed again or given up since, and stays as it is.
    """
    claimed = MailMessage.objects.pending().filter(pk=message.pk, tries=message.tries)
    if claimed.select_for_update().first() is None:
        return None
    state, last = outcome.state, outcome.answer[:ANSWER_LENGTH]
    if state == MailState.PENDING and message.tries < MOST_TRIES:
        wait = timedelta(seconds=BACK_OFF[message.tries - 1])
        claimed.update(next_try_at=Now() + wait, leased_until=None, last_answer=last)
        return state
    final = MailState.DEAD if state == MailState.PENDING else state
    claimed.update(state=final, finished_at=Now(), leased_until=None, last_answer=last)
    return final


@transaction.atomic(durable=True)
def repeat_mail(message_id: int) -> MailMessage:
    """Send an e-mail that was given up, with the Message-ID that it had. Conflict: it was not."""
    found = MailMessage.objects.select_for_update().filter(pk=message_id).first()
    if found is None:
        raise NotFound(f"E-mail {message_id} not found.")
    if found.state not in (MailState.DEAD, MailState.DROPPED):
        raise Conflict(f"E-mail {message_id} is {found.state}.")
    MailMessage.objects.filter(pk=message_id).update(
        state=MailState.PENDING, tries=0, next_try_at=Now(), finished_at=None
    )
    return found


@transaction.atomic(durable=True)
def forget_mail(*, limit: int = BATCH) -> int:
    """Remove e-mails and alerts after 30 days."""
    alerts = old_rows(MailAlert.objects.old(), limit)
    MailAlert.objects.filter(pk__in=alerts).delete()
    messages = old_rows(MailMessage.objects.old(), limit)
    MailMessage.objects.filter(pk__in=messages).delete()
    return len(alerts) + len(messages)


def old_rows(old: QuerySet[Any], limit: int) -> list[int]:
    rows = old.order_by("created_at").select_for_update(skip_locked=True)
    return list(rows.values_list("id", flat=True)[:limit])
