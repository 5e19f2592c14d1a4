from typing import Any

import pgtrigger
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class EventKind(models.TextChoices):
    INGESTED = "ingested"
    SUGGESTED = "suggested"
    PRIORITIZED = "prioritized"
    REJECTED = "rejected"
    EXPIRED = "expired"
    APPROVED = "approved"
    CREATED = "created"
    CLAIMED = "claimed"
    EXTENDED = "extended"
    RELEASED = "released"
    REASSIGNED = "reassigned"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    # A former holder says that it is done. It changes nothing, but bikes were moved.
    LATE_REPORT = "late_report"


def no_details() -> dict[str, Any]:
    return {}


class TaskEventQuerySet(models.QuerySet["TaskEvent"]):
    def late_reports(self) -> "TaskEventQuerySet":
        return self.filter(kind=EventKind.LATE_REPORT)


class TaskEvent(models.Model):
    """What happened, when and by whom. Append-only, and without foreign keys: history outlives
    the rows that it tells of."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32, choices=EventKind)
    task_id = models.BigIntegerField(null=True)
    suggestion_id = models.BigIntegerField(null=True)
    attempt = models.IntegerField(null=True)
    worker_id = models.CharField(max_length=200, null=True)
    actor = models.CharField(max_length=200)
    # Of the suggestion that it goes back to, so that its job can read what became of it.
    source = models.CharField(max_length=100, blank=True, db_default="")
    details = models.JSONField(default=no_details, db_default=models.Value({}, models.JSONField()))

    objects = TaskEventQuerySet.as_manager()

    class Meta:
        db_table = "task_events"
        indexes = [
            models.Index(fields=["task_id", "id"], name="event_by_task"),
            models.Index(
                fields=["suggestion_id", "id"],
                name="event_by_suggestion",
                condition=Q(suggestion_id__isnull=False),
            ),
            models.Index(fields=["source", "id"], name="event_by_source", condition=~Q(source="")),
            # A period's events, at next to no cost for an insert: rows stay in the order of time.
            BrinIndex(fields=["at"], name="event_at", autosummarize=True, pages_per_range=16),
            models.Index(
                fields=["suggestion_id"],
                name="event_prioritized",
                condition=Q(kind=EventKind.PRIORITIZED, suggestion_id__isnull=False),
            ),
            models.Index(
                fields=["task_id"],
                name="event_late_reports",
                condition=Q(kind=EventKind.LATE_REPORT),
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="event_is_append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor}"
