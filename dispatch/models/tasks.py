from datetime import timedelta

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from .events import EventKind, TaskEvent
from .moves import (
    PRIORITY_MAX,
    SOURCE_LENGTH,
    TEXT_LENGTH,
    Move,
    MoveQuerySet,
    no_creation_in_the_future,
)


class TaskStatus(models.TextChoices):
    READY = "ready"
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class TaskQuerySet(MoveQuerySet["Task"]):
    def ready(self) -> "TaskQuerySet":
        return self.filter(status=TaskStatus.READY)

    def assigned(self) -> "TaskQuerySet":
        return self.filter(status=TaskStatus.ASSIGNED)

    def open(self) -> "TaskQuerySet":
        return self.filter(status__in=OPEN_STATUSES)

    def overdue(self) -> "TaskQuerySet":
        """Assigned for TASK_OVERDUE_MINUTES or longer."""
        return self.assigned().filter(assigned_at__lte=Now() - overdue_after())

    def due_to_rise(self) -> "TaskQuerySet":
        """Ready for TASK_AGEING_MINUTES or longer since the creation or the last new priority."""
        events = TaskEvent.objects.filter(task_id=OuterRef("pk"), kind=EventKind.PRIORITIZED)
        due = Now() - timedelta(minutes=settings.TASK_AGEING_MINUTES)
        waiting = self.ready().filter(priority__lt=PRIORITY_MAX, created_at__lte=due)
        return waiting.exclude(Exists(events.filter(at__gt=due)))

    def lease_expired(self) -> "TaskQuerySet":
        return self.assigned().filter(lease_expires_at__lte=Now())

    def dispatch_order(self) -> "TaskQuerySet":
        return self.order_by("-priority", "created_at", "id")

    def next_in_queue(self) -> "TaskQuerySet":
        """Lock the first ready task that no other transaction holds; with `now`.

        `no_key`: with a plain lock, this would skip a task while another row refers to it.
        """
        queue = self.ready().dispatch_order().with_now()
        return queue.select_for_update(skip_locked=True, no_key=True)[:1]


STATUS_EDGES: list[tuple[str, str]] = [
    (TaskStatus.READY, TaskStatus.ASSIGNED),
    (TaskStatus.ASSIGNED, TaskStatus.READY),
    (TaskStatus.ASSIGNED, TaskStatus.COMPLETED),
    (TaskStatus.READY, TaskStatus.CANCELLED),
    (TaskStatus.ASSIGNED, TaskStatus.CANCELLED),
]

OPEN_STATUSES = [TaskStatus.READY, TaskStatus.ASSIGNED]
READY = Q(status=TaskStatus.READY)
ASSIGNED = Q(status=TaskStatus.ASSIGNED)
COMPLETED = Q(status=TaskStatus.COMPLETED)
CANCELLED = Q(status=TaskStatus.CANCELLED)
HELD = Q(worker_id__isnull=False, assigned_at__isnull=False)
NOT_HELD = Q(worker_id__isnull=True, assigned_at__isnull=True)


def overdue_after() -> timedelta:
    return timedelta(minutes=settings.TASK_OVERDUE_MINUTES)


class Task(Move):
    """An approved move.

    ready -> assigned -> completed; assigned -> ready (release); ready or assigned -> cancelled.
    """

    reason = models.CharField(max_length=TEXT_LENGTH, null=True, blank=True)
    status = models.CharField(
        max_length=16,
        choices=TaskStatus,
        db_default=TaskStatus.READY.value,
        editable=False,
    )
    worker_id = models.CharField("worker", max_length=200, null=True, editable=False)
    # Not a foreign key: approval deletes the suggestion.
    suggestion_id = models.BigIntegerField("suggestion", null=True, unique=True, editable=False)
    source = models.CharField(max_length=SOURCE_LENGTH, blank=True, db_default="", editable=False)
    attempt = models.IntegerField(db_default=0, editable=False)
    assigned_at = models.DateTimeField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    completed_at = models.DateTimeField(null=True, editable=False)
    # The time that the worker reported, if believable; completed_at is when the report arrived.
    reported_completed_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    moved_qty = models.IntegerField("bikes moved", null=True, editable=False)
    note = models.CharField(max_length=TEXT_LENGTH, blank=True, db_default="", editable=False)

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
                name="task_reported_time_only_when_completed",
                condition=Q(reported_completed_at__isnull=True)
                | (
                    COMPLETED
                    & Q(reported_completed_at__gte=F("assigned_at"))
                    & Q(reported_completed_at__lte=F("completed_at"))
                ),
            ),
            models.CheckConstraint(
                name="task_cancelled_has_its_time",
                condition=(CANCELLED & Q(cancelled_at__isnull=False))
                | (~CANCELLED & Q(cancelled_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="task_moved_qty_in_range",
                condition=Q(moved_qty__isnull=True) | Q(moved_qty__gte=0),
            ),
            models.CheckConstraint(name="task_attempt_counts_up", condition=Q(attempt__gte=0)),
        ]
        indexes = [
            # Exactly the order of a claim, so that a claim reads one entry.
            models.Index(
                fields=["-priority", "created_at", "id"],
                name="task_queue",
                condition=READY,
            ),
            models.Index(fields=["created_at", "id"], name="task_waiting", condition=READY),
            models.Index(fields=["worker_id", "id"], name="task_held_by", condition=ASSIGNED),
            models.Index(
                fields=["worker_id", "id"],
                name="task_by_worker",
                condition=Q(worker_id__isnull=False),
            ),
            models.Index(fields=["from_station_id", "id"], name="task_from_station"),
            models.Index(fields=["to_station_id", "id"], name="task_to_station"),
            models.Index(
                fields=["from_station_id", "to_station_id"],
                name="task_open_moves",
                condition=Q(status__in=OPEN_STATUSES),
            ),
            models.Index(
                fields=["to_station_id"],
                name="task_coming_in",
                condition=Q(status__in=OPEN_STATUSES),
            ),
            models.Index(fields=["completed_at"], name="task_done_at", condition=COMPLETED),
            models.Index(fields=["created_at"], name="task_created_at"),
            models.Index(fields=["status", "id"], name="task_status"),
        ]
        triggers = [
            no_creation_in_the_future(),
            pgtrigger.FSM(name="task_status_edges", field="status", transitions=STATUS_EDGES),
            pgtrigger.Protect(
                name="task_ended_is_frozen",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status__in=["completed", "cancelled"]),
            ),
        ]
        permissions = [
            ("claim_task", "Can claim tasks, and work on those of one's own worker"),
            ("complete_task", "Can complete tasks"),
            ("release_task", "Can release tasks"),
            ("cancel_task", "Can cancel tasks"),
            ("reassign_task", "Can reassign tasks"),
            ("prioritize_task", "Can raise and lower tasks"),
        ]

    def __str__(self) -> str:
        return f"Task {self.pk}"
