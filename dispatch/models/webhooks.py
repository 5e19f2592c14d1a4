from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

URL_LENGTH = 500
KEPT_SENT, KEPT_DEAD = timedelta(days=30), timedelta(days=90)
ANSWER_LENGTH = 1000


class WebhookType(models.TextChoices):
    """A type keeps the schema of its data for ever (docs/webhooks.md)."""

    TASK_OVERDUE = "task.overdue", "task.overdue"
    TASK_RELEASED = "task.released", "task.released"
    TASK_LATE_REPORT = "task.late_report", "task.late_report"
    TASK_PROBLEM = "task.problem", "task.problem"
    TASK_COMPLETED = "task.completed", "task.completed"
    TASK_WITHOUT_CREW = "task.without_crew", "task.without_crew"
    SUGGESTION_APPROVED = "suggestion.approved", "suggestion.approved"
    SUGGESTION_REJECTED = "suggestion.rejected", "suggestion.rejected"
    SUGGESTION_URGENT = "suggestion.urgent", "suggestion.urgent"
    FEED_FAILING = "feed.failing", "feed.failing"
    FEED_RECOVERED = "feed.recovered", "feed.recovered"
    CLUSTER_STARTED = "outage.cluster_started", "outage.cluster_started"
    CLUSTER_ENDED = "outage.cluster_ended", "outage.cluster_ended"


# Sent by the console's test button only, whatever types an endpoint wants.
PING = "ping"


class EndpointState(models.TextChoices):
    ENABLED = "enabled"
    # Disabled by the service: it answered 410, or failed for days.
    FAILED = "failed"
    # Disabled by an operator.
    DISABLED = "disabled"


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    SENT = "sent"
    # Given up. It can be repeated in the console.
    DEAD = "dead"


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def wanting(self, webhook_type: str) -> "WebhookEndpointQuerySet":
        """Those that get deliveries of the type: pending ones, or dead ones while `failed`."""
        wanted = Q(types__len=0) | Q(types__contains=[webhook_type])
        return self.exclude(state=EndpointState.DISABLED).filter(wanted)

    def due(self) -> "WebhookEndpointQuerySet":
        """Enabled endpoints that are not paused and have a delivery to send."""
        deliveries = WebhookDelivery.objects.due().filter(endpoint=OuterRef("pk"))
        ready = Q(next_try_at__isnull=True) | Q(next_try_at__lte=Now())
        return self.filter(ready, Exists(deliveries), state=EndpointState.ENABLED)


class WebhookEndpoint(models.Model):
    """An address that deliveries are sent to."""

    id = models.BigAutoField(primary_key=True)
    url = models.CharField("URL", max_length=URL_LENGTH)
    description = models.CharField(max_length=200, blank=True, db_default="")
    # Empty: all types.
    types = ArrayField(
        models.CharField(max_length=32, choices=WebhookType),
        blank=True,
        default=list,
        db_default=[],
        help_text="None: all types.",
    )
    secret = models.CharField(max_length=100, editable=False)
    # Signs beside `secret` until former_until.
    former_secret = models.CharField(max_length=100, db_default="", editable=False)
    former_until = models.DateTimeField(null=True, editable=False)
    state = models.CharField(
        max_length=16,
        choices=EndpointState,
        default=EndpointState.ENABLED,
        db_default=EndpointState.ENABLED,
        editable=False,
    )
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_why = models.CharField(max_length=200, db_default="", editable=False)
    # The first failure since the last success.
    failing_since = models.DateTimeField(null=True, editable=False)
    # Nothing is sent before. null: no pause.
    next_try_at = models.DateTimeField(null=True, editable=False)
    # Attempts so far, by outcome.
    succeeded = models.BigIntegerField(default=0, db_default=0, editable=False)
    failed = models.BigIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=200, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        db_table = "webhook_endpoints"
        constraints = [
            models.CheckConstraint(
                name="webhook_endpoint_state_is_known", condition=Q(state__in=EndpointState.values)
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.url


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def in_flight(self) -> "WebhookDeliveryQuerySet":
        return self.filter(state=DeliveryState.PENDING, leased_until__gt=Now())

    def due(self) -> "WebhookDeliveryQuerySet":
        """Pending, due, and not in flight."""
        free = Q(leased_until__isnull=True) | Q(leased_until__lte=Now())
        return self.filter(free, state=DeliveryState.PENDING, next_try_at__lte=Now())

    def dead(self) -> "WebhookDeliveryQuerySet":
        return self.filter(state=DeliveryState.DEAD)

    def old(self) -> "WebhookDeliveryQuerySet":
        """Finished so long ago that they are deleted."""
        return self.filter(
            Q(state=DeliveryState.SENT, finished_at__lt=Now() - KEPT_SENT)
            | Q(state=DeliveryState.DEAD, finished_at__lt=Now() - KEPT_DEAD)
        )


class WebhookDelivery(models.Model):
    """One message for one endpoint: pending -> sent or dead."""

    id = models.BigAutoField(primary_key=True)
    # Without a foreign key in the database, a change that enqueues a delivery locks no endpoint.
    # The unique constraint has an index that begins with it.
    endpoint = models.ForeignKey(
        WebhookEndpoint,
        on_delete=models.CASCADE,
        related_name="deliveries",
        db_index=False,
        db_constraint=False,
    )
    # The header webhook-id, by which receivers recognise repeats. No dots: the signature joins by
    # them.
    event_id = models.CharField("webhook-id", max_length=100)
    type = models.CharField(max_length=32)
    body = models.TextField()
    state = models.CharField(
        max_length=16,
        choices=DeliveryState,
        default=DeliveryState.PENDING,
        db_default=DeliveryState.PENDING,
    )
    tries = models.SmallIntegerField(default=0, db_default=0)
    next_try_at = models.DateTimeField(db_default=Now())
    # A sender is at work until then. If it was killed, another one takes over.
    leased_until = models.DateTimeField(null=True)
    # Of the last attempt. No status: there was no answer, and `last_answer` says why.
    last_status = models.SmallIntegerField(null=True)
    last_answer = models.CharField(max_length=ANSWER_LENGTH, db_default="")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        db_table = "webhook_deliveries"
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint", "event_id"], name="one_delivery_for_an_event"
            ),
            models.CheckConstraint(
                name="webhook_delivery_state",
                condition=Q(state=DeliveryState.PENDING, finished_at__isnull=True)
                | Q(state__in=[DeliveryState.SENT, DeliveryState.DEAD], finished_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "next_try_at", "id"],
                name="webhook_queue",
                condition=Q(state=DeliveryState.PENDING),
            ),
            models.Index(
                fields=["finished_at"],
                name="webhook_finished",
                condition=Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"
