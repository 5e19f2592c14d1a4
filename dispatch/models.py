from datetime import UTC, datetime
from typing import Any

import pgtrigger
from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

PRIORITY_MIN, PRIORITY_MAX = -100, 100


class User(AbstractUser):
    class Meta:
        db_table = "users"


class TaskStatus(models.TextChoices):
    READY = "ready"
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class EventKind(models.TextChoices):
    INGESTED = "ingested"
    SUGGESTED = "suggested"
    REJECTED = "rejected"
    APPROVED = "approved"
    CREATED = "created"
    CLAIMED = "claimed"
    COMPLETED = "completed"


def is_a_date(field: str) -> Q:
    """PostgreSQL knows infinity and the year 20000; a row with them could not be read again."""
    return Q((f"{field}__gte", datetime(2000, 1, 1, tzinfo=UTC))) & Q(
        (f"{field}__lt", datetime(9000, 1, 1, tzinfo=UTC))
    )


class Move(models.Model):
    """Bikes to be taken from one station to another."""

    id = models.BigAutoField(primary_key=True)
    from_station_id = models.PositiveIntegerField("from station")
    to_station_id = models.PositiveIntegerField("to station")
    qty = models.IntegerField("bikes", validators=[MinValueValidator(1)])
    priority = models.SmallIntegerField(
        default=0, db_default=0, help_text="-100 to 100; higher goes out first."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(name="%(class)s_qty_is_positive", condition=Q(qty__gte=1)),
            models.CheckConstraint(
                name="%(class)s_stations_differ",
                condition=~Q(from_station_id=F("to_station_id")),
                violation_error_message="The two stations must differ.",
            ),
            models.CheckConstraint(
                name="%(class)s_priority_in_range",
                condition=Q(priority__gte=PRIORITY_MIN, priority__lte=PRIORITY_MAX),
                violation_error_message=f"Priority goes from {PRIORITY_MIN} to {PRIORITY_MAX}.",
            ),
            models.CheckConstraint(
                name="%(class)s_created_at_is_a_date", condition=is_a_date("created_at")
            ),
        ]


class Suggestion(Move):
    """A move that an ML job (or a dispatcher) proposes. It leaves the table when it is decided."""

    reason = models.CharField(max_length=2000)
    source = models.CharField(
        max_length=100, blank=True, db_default="", help_text="The job that proposes it."
    )
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta(Move.Meta):
        db_table = "suggestions"
        constraints = [
            *Move.Meta.constraints,
            models.CheckConstraint(
                name="suggestion_expires_at_is_a_date",
                condition=Q(expires_at__isnull=True) | is_a_date("expires_at"),
                violation_error_message="An expiry must lie in the years 2000 to 8999.",
            ),
        ]
        indexes = [
            models.Index(fields=["-priority", "created_at", "id"], name="suggestion_urgency"),
            models.Index(
                fields=["source", "from_station_id", "to_station_id"],
                name="suggestion_by_source",
            ),
        ]
        permissions = [
            ("approve_suggestion", "Can approve suggestions"),
            ("reject_suggestion", "Can reject suggestions"),
        ]

    def __str__(self) -> str:
        return f"Suggestion {self.pk}"


class TaskQuerySet(models.QuerySet["Task"]):
    def ready(self) -> "TaskQuerySet":
        return self.filter(status=TaskStatus.READY)

    def assigned(self) -> "TaskQuerySet":
        return self.filter(status=TaskStatus.ASSIGNED)

    def dispatch_order(self) -> "TaskQuerySet":
        return self.order_by("-priority", "created_at", "id")

    def with_now(self) -> "TaskQuerySet":
        clock = {"now": Now()}
        return self.annotate(**clock)


STATUS_EDGES: list[tuple[str, str]] = [
    (TaskStatus.READY, TaskStatus.ASSIGNED),
    (TaskStatus.ASSIGNED, TaskStatus.READY),
    (TaskStatus.ASSIGNED, TaskStatus.COMPLETED),
    (TaskStatus.READY, TaskStatus.CANCELLED),
    (TaskStatus.ASSIGNED, TaskStatus.CANCELLED),
]

READY = Q(status=TaskStatus.READY)
ASSIGNED = Q(status=TaskStatus.ASSIGNED)
COMPLETED = Q(status=TaskStatus.COMPLETED)
CANCELLED = Q(status=TaskStatus.CANCELLED)
HELD = Q(worker_id__isnull=False, assigned_at__isnull=False)
NOT_HELD = Q(worker_id__isnull=True, assigned_at__isnull=True)


class Task(Move):
    """An approved move.

    ready -> assigned -> completed; assigned -> ready (release); ready or assigned -> cancelled.
    """

    reason = models.CharField(max_length=2000, null=True, blank=True)
    status = models.CharField(
        max_length=16,
        choices=TaskStatus,
        db_default=TaskStatus.READY.value,
        editable=False,
    )
    worker_id = models.CharField("worker", max_length=200, null=True, editable=False)
    # A plain number: the suggestion is gone when its task exists.
    suggestion_id = models.BigIntegerField("suggestion", null=True, unique=True, editable=False)
    attempt = models.IntegerField(db_default=0, editable=False)
    assigned_at = models.DateTimeField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    moved_qty = models.IntegerField("bikes moved", null=True, editable=False)
    note = models.CharField(max_length=2000, blank=True, db_default="", editable=False)

    # The database's clock, on a row that was read `with_now()`.
    now: datetime

    objects = TaskQuerySet.as_manager()

    class Meta(Move.Meta):
        db_table = "tasks"
        constraints = [
            *Move.Meta.constraints,
            models.CheckConstraint(
                name="task_status_is_known", condition=Q(status__in=TaskStatus.values)
            ),
            models.CheckConstraint(
                name="task_is_held_unless_ready",
                condition=(READY & NOT_HELD)
                | ((ASSIGNED | COMPLETED) & HELD)
                | (CANCELLED & (HELD | NOT_HELD)),
            ),
            models.CheckConstraint(
                name="task_worker_has_a_name",
                condition=Q(worker_id__isnull=True) | ~Q(worker_id=""),
            ),
            models.CheckConstraint(
                name="task_lease_only_while_assigned",
                condition=ASSIGNED | Q(lease_expires_at__isnull=True),
            ),
            models.CheckConstraint(
                name="task_completed_has_its_time",
                condition=(COMPLETED & Q(completed_at__isnull=False, moved_qty__isnull=False))
                | (~COMPLETED & Q(completed_at__isnull=True, moved_qty__isnull=True)),
            ),
            models.CheckConstraint(
                name="task_moved_qty_in_range",
                condition=Q(moved_qty__isnull=True) | Q(moved_qty__gte=0, moved_qty__lte=F("qty")),
            ),
            models.CheckConstraint(name="task_attempt_counts_up", condition=Q(attempt__gte=0)),
        ]
        indexes = [
            # Exactly the order of a claim, so that it reads one entry.
            models.Index(
                fields=["-priority", "created_at", "id"],
                name="task_queue",
                condition=READY,
            ),
            models.Index(fields=["worker_id", "id"], name="task_held_by", condition=ASSIGNED),
            models.Index(fields=["created_at"], name="task_created_at"),
            models.Index(fields=["status", "id"], name="task_status"),
        ]
        triggers = [
            pgtrigger.FSM(name="task_status_edges", field="status", transitions=STATUS_EDGES),
            pgtrigger.Protect(
                name="task_ended_is_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status__in=["completed", "cancelled"]),
            ),
        ]
        permissions = [("complete_task", "Can complete tasks")]

    def __str__(self) -> str:
        return f"Task {self.pk}"


def no_details() -> dict[str, Any]:
    return {}


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
    details = models.JSONField(default=no_details, db_default=models.Value({}, models.JSONField()))

    class Meta:
        db_table = "task_events"
        indexes = [
            models.Index(fields=["task_id", "id"], name="event_by_task"),
            models.Index(
                fields=["suggestion_id", "id"],
                name="event_by_suggestion",
                condition=Q(suggestion_id__isnull=False),
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
