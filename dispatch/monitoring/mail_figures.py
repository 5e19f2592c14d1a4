"""E-mails: the subscriptions, what waits to be sent, and what was given up."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from prometheus_client.metrics_core import Metric

from ..models import MailMessage, MailState, MailSubscription
from .samples import gauge

RECENTLY = timedelta(days=1)


def mail() -> Iterator[Metric]:
    wanting = MailSubscription.objects.active().exclude(types=[], daily_report=False)
    yield gauge(
        "dispatch_mail_subscriptions",
        "Users who want e-mails and have an address.",
        [((), wanting.count())],
    )
    pending = MailMessage.objects.pending().aggregate(n=Count("id"), at=Min("created_at"))
    yield gauge("dispatch_mail_pending", "E-mails to be sent.", [((), pending["n"])])
    yield gauge(
        "dispatch_mail_oldest_pending_timestamp_seconds",
        "Creation of the oldest of them.",
        [((), pending["at"])],
    )
    states = (MailState.SENT, MailState.DEAD, MailState.DROPPED)
    finished = MailMessage.objects.filter(finished_at__gt=Now() - RECENTLY).aggregate(
        **{state: Count("id", filter=Q(state=state)) for state in states}
    )
    yield gauge(
        "dispatch_mail_finished",
        "E-mails of the last 24 hours by state; dead: given up, dropped: their reader may no "
        "longer see them.",
        (([state], number) for state, number in finished.items()),
        ["state"],
    )
