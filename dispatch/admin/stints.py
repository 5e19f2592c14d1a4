"""A crew's day: each task that it got, and the end of its work on it, derived from the events."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, IntegerField, Max, Q, Sum
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from ..models import EventKind, Task, TaskEvent
from ..models.events import CLAIMS, WITH_PROBLEMS
from ..overview.exchanges import ReportedProblem, has_problem, problem_of
from .activity_filter import on_day

MOST_TASKS = 200
ENDS = (EventKind.COMPLETED, EventKind.RELEASED, EventKind.CANCELLED)
# A task and the attempt in which the crew held it.
Key = tuple[int, int]


@dataclass(frozen=True)
class Stint:
    """A crew's work on a task in one attempt. `events`: at least one, in order.

    `task` None: it was deleted since.
    """

    worker_id: str
    task_id: int
    task: Task | None
    events: list[TaskEvent]

    @property
    def start(self) -> TaskEvent | None:
        """The claim or the assignment. None: not recorded."""
        return self.first(e for e in self.events if e.kind in CLAIMS and not self.is_loss(e))

    @property
    def end(self) -> TaskEvent | None:
        """None: the crew holds the task."""
        return self.first(e for e in self.events if e.kind in ENDS or self.is_loss(e))

    @property
    def late_report(self) -> TaskEvent | None:
        return self.first(e for e in self.events if e.kind == EventKind.LATE_REPORT)

    @property
    def seen(self) -> TaskEvent | None:
        """The first time at which the crew's phone had shown the task."""
        return self.first(e for e in self.events if e.kind == EventKind.SEEN)

    @property
    def problems(self) -> list[ReportedProblem]:
        return [problem_of(event) for event in self.events if has_problem(event)]

    def is_loss(self, event: TaskEvent) -> bool:
        return event.kind == EventKind.REASSIGNED and event.worker_id != self.worker_id

    @staticmethod
    def first(events: Iterator[TaskEvent]) -> TaskEvent | None:
        return next(events, None)


@dataclass(frozen=True)
class Totals:
    """Counts of a day's events. `released`: tasks that the crew gave back or that were taken."""

    completed: int
    bikes: int | None
    released: int
    late_reports: int
    problems: int


def read_totals(worker_id: str, day: date) -> Totals:
    completed = Q(kind=EventKind.COMPLETED)
    counts = TaskEvent.objects.filter(on_day(day), worker_id=worker_id).aggregate(
        completed=Count("id", filter=completed),
        bikes=Sum(Cast(KT("details__moved_qty"), IntegerField()), filter=completed),
        released=Count("id", filter=Q(kind=EventKind.RELEASED)),
        late_reports=Count("id", filter=Q(kind=EventKind.LATE_REPORT)),
        problems=Count("id", filter=WITH_PROBLEMS),
    )
    return Totals(**counts)


def read_stints(worker_id: str, day: date, *, with_held: bool) -> list[Stint]:
    """The stints with an event on that day, oldest first; of MOST_TASKS tasks at most, the newest.

    `with_held`: also those of the tasks that the crew holds now.
    """
    of_crew = TaskEvent.objects.filter(events_of(worker_id), task_id__isnull=False)
    of_day = of_crew.filter(on_day(day))
    newest = of_day.order_by().values("task_id").annotate(last=Max("id")).order_by("-last")
    ids = set(newest.values_list("task_id", flat=True)[:MOST_TASKS])
    keys = {key_of(event, worker_id) for event in of_day.filter(task_id__in=ids)}
    if with_held:
        held = Task.objects.assigned().filter(worker_id=worker_id).order_by("-assigned_at", "-id")
        keys.update(held.values_list("pk", "attempt")[:MOST_TASKS])
    stints: dict[Key, list[TaskEvent]] = defaultdict(list)
    for event in of_crew.filter(task_id__in={task_id for task_id, _ in keys}).order_by("id"):
        stints[key_of(event, worker_id)].append(event)
    tasks = Task.objects.in_bulk([task_id for task_id, _ in keys])
    return [
        Stint(worker_id, key[0], tasks.get(key[0]), events)
        for key, events in stints.items()
        if key in keys
    ]


def events_of(worker_id: str) -> Q:
    """Its events, and the assignments of its tasks to other crews."""
    lost = Q(kind=EventKind.REASSIGNED, details__former_worker_id=worker_id)
    return Q(worker_id=worker_id) | lost


def key_of(event: TaskEvent, worker_id: str) -> Key:
    """An assignment to another crew ends the attempt before its own."""
    is_loss = event.kind == EventKind.REASSIGNED and event.worker_id != worker_id
    return event.task_id or 0, (event.attempt or 0) - is_loss
