from datetime import timedelta

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.lookups import In

from .events import EventKind, TaskEvent
from .moves import (
    PRIORITY_MAX,
    SOURCE_LENGTH,
    TEXT_LENGTH,
    WORKER_ID_LENGTH,
    Move,
    MoveQuerySet,
    no_creation_in_the_future,
)
from .stations import AREA_LENGTH
from .systems import SYSTEM_LENGTH


class TaskStatus(models.TextChoices):
    READY = "ready"
    ASSIGNED = "assigned"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


NEGATIVE_PRIORITY = -F("priority")


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

    def with_problem(self) -> "TaskQuerySet":
        """Open, with a problem that its crew reported and no dispatcher has answered."""
        reports = TaskEvent.objects.open_problems().filter(task_id=OuterRef("pk"))
        return self.open().filter(Exists(reports))

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

    def order_of_area(self) -> "TaskQuerySet":
        """`dispatch_order` for the tasks of one area or system, written as in their index."""
        return self.order_by(NEGATIVE_PRIORITY, "created_at", "id")

    def next_in_queue(self) -> "TaskQuerySet":
        """Lock the first ready task that no other transaction holds; with `now`.

        `no_key`: with a plain lock, this would skip a task while another row refers to it.
        """
        queue = (self if self.ordered else self.dispatch_order()).ready().with_now()
        return queue.select_for_update(skip_locked=True, no_key=True)[:1]


# The allowed changes. None begins at an ended status, so ended tasks never change.
STATUS_EDGES: list[tuple[str, str]] = [
    (TaskStatus.READY, TaskStatus.READY),
    (TaskStatus.READY, TaskStatus.ASSIGNED),
    (TaskStatus.READY, TaskStatus.CANCELLED),
    (TaskStatus.ASSIGNED, TaskStatus.ASSIGNED),
    (TaskStatus.ASSIGNED, TaskStatus.READY),
    (TaskStatus.ASSIGNED, TaskStatus.COMPLETED),
    (TaskStatus.ASSIGNED, TaskStatus.CANCELLED),
]


def no_edge(edges: list[tuple[str, str]]) -> pgtrigger.Condition:
    """True for a change that is not among `edges`. Allowed changes cost no call of the trigger."""
    allowed = ",".join(f"{former}:{new}" for former, new in edges)
    return pgtrigger.Condition(f"concat(OLD.status, ':', NEW.status) <> ALL ('{{{allowed}}}')")


def how_many_set(*fields: str) -> models.Func:
    return models.Func(*fields, function="num_nonnulls", output_field=models.IntegerField())


# PostgreSQL parses a table's constraints again for each statement that writes to it, which took a
# quarter of a claim's time. So this is one short list instead of a condition for each field.
STATE = models.Func(
    models.Value(" "),
    "status",
    how_many_set("worker_id", "assigned_at"),
    how_many_set("lease_expires_at"),
    how_many_set("completed_at", "moved_qty"),
    how_many_set("cancelled_at"),
    function="concat_ws",
    output_field=models.TextField(),
)
STATES = [
    "ready 0 0 0 0",
    "assigned 2 0 0 0",
    "assigned 2 1 0 0",
    "completed 2 0 2 0",
    "cancelled 0 0 0 1",
    "cancelled 2 0 0 1",
]

OPEN_STATUSES = [TaskStatus.READY, TaskStatus.ASSIGNED]
READY = Q(status=TaskStatus.READY)
ASSIGNED = Q(status=TaskStatus.ASSIGNED)
COMPLETED = Q(status=TaskStatus.COMPLETED)


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
    worker_id = models.CharField("worker", max_length=WORKER_ID_LENGTH, null=True, editable=False)
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
    # Those of its source. A trigger sets them; `services.areas` keeps them while the task is open.
    # Empty: unknown.
    area = models.CharField(max_length=AREA_LENGTH, blank=True, db_default="", editable=False)
    system = models.CharField(max_length=SYSTEM_LENGTH, blank=True, db_default="", editable=False)

    objects = TaskQuerySet.as_manager()

    class Meta(Move.Meta):
        db_table = "tasks"
        constraints = [
            *Move.Meta.constraints,
            models.CheckConstraint(name="task_state_is_whole", condition=In(STATE, STATES)),
            models.CheckConstraint(name="task_worker_has_a_name", condition=Q(worker_id__gt="")),
            models.CheckConstraint(
                name="task_reported_time_only_when_completed",
                condition=Q(reported_completed_at__isnull=True)
                | Q(
                    completed_at__isnull=False,
                    reported_completed_at__gte=F("assigned_at"),
                    reported_completed_at__lte=F("completed_at"),
                ),
            ),
            models.CheckConstraint(name="task_moved_qty_in_range", condition=Q(moved_qty__gte=0)),
            models.CheckConstraint(name="task_attempt_counts_up", condition=Q(attempt__gte=0)),
        ]
        indexes = [
            # Exactly the order of a claim, so that a claim reads one entry.
            models.Index(
                fields=["-priority", "created_at", "id"],
                name="task_queue",
                condition=READY,
            ),
            # The same order for a crew of one area (`order_of_area`). It differs in form: otherwise
            # the planner may choose `task_queue`, and read past the tasks of all other areas.
            models.Index(
                "area",
                NEGATIVE_PRIORITY,
                "created_at",
                "id",
                "qty",
                name="task_queue_of_area",
                condition=READY,
            ),
            models.Index(
                "system",
                NEGATIVE_PRIORITY,
                "created_at",
                "id",
                "qty",
                name="task_queue_of_system",
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
            pgtrigger.Trigger(
                name="task_area_of_source",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="SELECT coalesce(max(area), ''), coalesce(max(system), '')"
                " INTO NEW.area, NEW.system"
                " FROM stations WHERE id = NEW.from_station_id; RETURN NEW;",
            ),
            pgtrigger.Trigger(
                name="task_status_edges",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=no_edge(STATUS_EDGES),
                func="RAISE EXCEPTION 'Task % cannot change from % to %.',"
                " OLD.id, OLD.status, NEW.status;",
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
