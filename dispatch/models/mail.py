from datetime import timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

# An alert that could not be sent for so long is no longer news.
ALERT_LIFE = timedelta(days=1)
KEPT = timedelta(days=30)
ANSWER_LENGTH = 500


class MailKind(models.TextChoices):
    ALERTS = "alerts"
    REPORT = "report"
    # A user pressed "Send me a test".
    TEST = "test"


class MailState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    # Given up. It can be sent again in the console.
    DEAD = "dead"
    # Its reader may no longer see anything of it.
    DROPPED = "dropped"


class MailSubscriptionQuerySet(models.QuerySet["MailSubscription"]):
    def active(self) -> "MailSubscriptionQuerySet":
        """Those of users with an address who may open the console."""
        users = Q(user__is_active=True, user__is_staff=True)
        return self.filter(users).exclude(user__email="")

    def with_alerts(self) -> "MailSubscriptionQuerySet":
        """Those with waiting alerts that may be sent now: their former e-mail is finished."""
        waiting = MailAlert.objects.waiting().filter(subscription=OuterRef("pk"))
        unsent = MailMessage.objects.pending().filter(
            subscription=OuterRef("pk"), kind=MailKind.ALERTS
        )
        free = Q(next_alerts_at__isnull=True) | Q(next_alerts_at__lte=Now())
        return self.active().filter(free, Exists(waiting), ~Exists(unsent))


class MailSubscription(models.Model):
    """The e-mails that a user wants."""

    id = models.BigAutoField(primary_key=True)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="mail_subscription"
    )
    # Values of WebhookType. Empty: no alerts.
    types = ArrayField(
        models.CharField(max_length=32),
        blank=True,
        default=list,
        db_default=[],
    )
    daily_report = models.BooleanField(default=False, db_default=False)
    # Alerts wait until then, and are sent as one e-mail. null: the next one is sent at once.
    next_alerts_at = models.DateTimeField(null=True)

    objects = MailSubscriptionQuerySet.as_manager()

    class Meta:
        db_table = "mail_subscriptions"

    def __str__(self) -> str:
        return f"E-mails for {self.user.get_username()}"


class MailMessageQuerySet(models.QuerySet["MailMessage"]):
    def pending(self) -> "MailMessageQuerySet":
        return self.filter(state=MailState.PENDING)

    def due(self) -> "MailMessageQuerySet":
        """Pending, due, and in no sender's hands."""
        free = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
        return self.pending().filter(free, next_try_at__lte=Now())

    def old(self) -> "MailMessageQuerySet":
        return self.filter(created_at__lt=Now() - KEPT)


class MailMessage(models.Model):
    """One e-mail for one user: pending -> sent, dead or dropped.

    Its text is written when it is sent, from its alerts or from the figures of its day.
    """

    id = models.BigAutoField(primary_key=True)
    subscription = models.ForeignKey(MailSubscription, models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=16, choices=MailKind)
    # The day of a report. null: it is no report.
    day = models.DateField(null=True)
    state = models.CharField(
        max_length=16,
        choices=MailState,
        default=MailState.PENDING,
        db_default=MailState.PENDING,
    )
    tries = models.SmallIntegerField(default=0, db_default=0)
    next_try_at = models.DateTimeField(db_default=Now())
    # A sender is at work until then. If it was killed, another one takes over.
    leased_until = models.DateTimeField(null=True)
    # Of the last attempt: the address, and the mail server's answer or the reason for giving up.
    address = models.CharField(max_length=254, db_default="")
    last_answer = models.CharField(max_length=ANSWER_LENGTH, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = MailMessageQuerySet.as_manager()

    class Meta:
        db_table = "mail_messages"
        verbose_name = "e-mail"
        constraints = [
            models.CheckConstraint(
                name="mail_message_state",
                condition=Q(state=MailState.PENDING, finished_at__isnull=True)
                | Q(
                    state__in=[MailState.SENT, MailState.DEAD, MailState.DROPPED],
                    finished_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="mail_report_has_its_day",
                condition=Q(kind=MailKind.REPORT, day__isnull=False)
                | Q(kind__in=[MailKind.ALERTS, MailKind.TEST], day__isnull=True),
            ),
            models.UniqueConstraint(
                fields=["subscription", "day"],
                name="one_mail_report_for_a_day",
                condition=Q(kind=MailKind.REPORT),
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at", "id"],
                name="mail_queue",
                condition=Q(state=MailState.PENDING),
            ),
            models.Index(fields=["created_at"], name="mail_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.day or self.pk}"


class MailAlertQuerySet(models.QuerySet["MailAlert"]):
    def waiting(self) -> "MailAlertQuerySet":
        """In no e-mail yet, and still news."""
        return self.filter(message__isnull=True, created_at__gt=Now() - ALERT_LIFE)

    def old(self) -> "MailAlertQuerySet":
        return self.filter(created_at__lt=Now() - KEPT)


class MailAlert(models.Model):
    """One event that a user wants to know of. Several become one e-mail.

    It is kept after it was sent: a state that lasts is not reported twice.
    """

    id = models.BigAutoField(primary_key=True)
    # Without a foreign key in the database, a change that writes an alert locks no subscription.
    # The unique constraint has an index that begins with it.
    subscription = models.ForeignKey(
        MailSubscription,
        on_delete=models.CASCADE,
        related_name="alerts",
        db_index=False,
        db_constraint=False,
    )
    event_id = models.CharField(max_length=100)
    type = models.CharField(max_length=32)
    at = models.DateTimeField(db_default=Now())
    # As in the body of a webhook.
    data = models.JSONField(encoder=DjangoJSONEncoder)
    # null: it waits.
    message = models.ForeignKey(
        MailMessage, on_delete=models.SET_NULL, null=True, related_name="alerts"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = MailAlertQuerySet.as_manager()

    class Meta:
        db_table = "mail_alerts"
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "event_id"], name="one_mail_alert_for_an_event"
            ),
        ]
        indexes = [
            models.Index(
                fields=["subscription", "id"],
                name="mail_alerts_waiting",
                condition=Q(message__isnull=True),
            ),
            models.Index(fields=["created_at"], name="mail_alert_created"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
