from typing import Any

import pgtrigger
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from .moves import SOURCE_LENGTH, WORKER_ID_LENGTH
from .outbox import enqueue_event


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
    # An approval or rejection was taken back; `new_suggestion_id` is the restored suggestion.
    UNDONE = "undone"
    # The crew reports a problem and keeps the task; `problems` are `Problem` codes.
    PROBLEM = "problem"
    # A dispatcher's message to the crew of the task, in `text`.
    MESSAGE = "message"
    # The crew's phone has shown the task, and the messages up to `message_id`.
    SEEN = "seen"
    # A former holder reports a completion. The task is unchanged, but bikes were moved.
    LATE_REPORT = "late_report"


CLAIMS = [EventKind.CLAIMED, EventKind.REASSIGNED]
# The reason in `released` events of the sweep.
LEASE_EXPIRED = "The lease has expired."
# A problem stays open until one of these follows.
ANSWERS = [
    EventKind.MESSAGE,
    EventKind.REASSIGNED,
    EventKind.RELEASED,
    EventKind.CANCELLED,
    EventKind.COMPLETED,
]


class RejectionCode(models.TextChoices):
    STATION_CLOSED = "station_closed", "Station closed"
    NO_CREW = "no_crew", "No crew"
    WRONG_NUMBERS = "wrong_numbers", "Wrong numbers"
    ALREADY_BALANCED = "already_balanced", "Already balanced"
    EVENT = "event"
    # Written out in the reason.
    OTHER = "other"


def no_details() -> dict[str, Any]:
    return {}


# A report of a problem may have only a note. A release without problems has an empty list.
WITH_PROBLEMS = Q(details__has_key="problems") & (
    Q(kind=EventKind.PROBLEM) | ~Q(details__problems=[])
)


class TaskEventQuerySet(models.QuerySet["TaskEvent"]):
    def late_reports(self) -> "TaskEventQuerySet":
        return self.filter(kind=EventKind.LATE_REPORT)

    def lease_ends(self) -> "TaskEventQuerySet":
        """Releases by the sweep."""
        return self.filter(kind=EventKind.RELEASED, details__reason=LEASE_EXPIRED)

    def claims(self) -> "TaskEventQuerySet":
        """The events with which crews got tasks."""
        return self.filter(kind__in=CLAIMS)

    def with_problems(self) -> "TaskEventQuerySet":
        """Events in which a crew names problems: reports, completions and releases."""
        return self.filter(WITH_PROBLEMS)

    def open_problems(self) -> "TaskEventQuerySet":
        """Those with problems that no dispatcher has answered, and that nothing has settled.

        The last answer is one probe of an index for each problem. For "no later answer exists",
        PostgreSQL would read all events.
        """
        answers = TaskEvent.objects.filter(task_id=OuterRef("task_id"), kind__in=ANSWERS)
        last = Subquery(answers.order_by("-id").values("id")[:1])
        return self.with_problems().filter(id__gte=Coalesce(last, 0))

    def not_undone(self) -> "TaskEventQuerySet":
        """Leave out the decisions on suggestions that were undone."""
        undone = TaskEvent.objects.filter(
            kind=EventKind.UNDONE, suggestion_id=OuterRef("suggestion_id")
        )
        return self.exclude(Exists(undone))


class TaskEvent(models.Model):
    """The history: one append-only row for each change.

    There are no foreign keys, because events outlive the rows they are about.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(max_length=32, choices=EventKind)
    task_id = models.BigIntegerField(null=True)
    suggestion_id = models.BigIntegerField(null=True)
    attempt = models.IntegerField(null=True)
    worker_id = models.CharField(max_length=WORKER_ID_LENGTH, null=True)
    actor = models.CharField(max_length=200)
    # The source of the suggestion behind it, so that a job can follow its own suggestions.
    source = models.CharField(max_length=SOURCE_LENGTH, blank=True, db_default="")
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
            # An index of a period's events. BRIN costs inserts next to nothing, and suits rows
            # that are stored in the order of this column.
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
            models.Index(
                fields=["task_id", "id"],
                name="event_problems",
                condition=Q(details__has_key="problems"),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["suggestion_id"],
                name="event_undone_once",
                condition=Q(kind=EventKind.UNDONE),
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="event_is_append_only",
                operation=pgtrigger.Update | pgtrigger.Delete,
            ),
            enqueue_event(LEASE_EXPIRED),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor}"
