"""The board's lists of suggestions and open tasks."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from ..models import Suggestion, Task, TaskStatus
from ..models.suggestions import SuggestionQuerySet
from ..models.tasks import TaskQuerySet, overdue_after
from .fit_checks import FitCheck, check_fit
from .station_views import StationView, StationViews


@dataclass(frozen=True)
class OpenSuggestion:
    suggestion: Suggestion
    source: StationView
    target: StationView
    expired: bool
    fit: FitCheck


@dataclass(frozen=True)
class OpenTask:
    """`state` is ready, assigned or overdue; `since` is when that state began."""

    task: Task
    source: StationView
    target: StationView
    state: str
    since: datetime


@dataclass(frozen=True)
class TaskCounts:
    ready: int
    ready_since: datetime | None
    assigned: int
    overdue: int

    @property
    def open(self) -> int:
        return self.ready + self.assigned


def count_tasks(tasks: TaskQuerySet) -> TaskCounts:
    totals = tasks.aggregate(
        ready=Count("id", filter=Q(status=TaskStatus.READY)),
        ready_since=Min("created_at", filter=Q(status=TaskStatus.READY)),
        assigned=Count("id", filter=Q(status=TaskStatus.ASSIGNED)),
    )
    return TaskCounts(overdue=tasks.overdue().count(), **totals)


def read_suggestions(
    suggestions: SuggestionQuerySet, stations: StationViews, now: datetime, limit: int
) -> list[OpenSuggestion]:
    """The most urgent first: by priority, then by age."""
    first = list(suggestions.order_by("-priority", "created_at", "id")[:limit])
    checks = check_fit(first)
    return [open_suggestion(each, stations, now, checks[each.pk]) for each in first]


def open_suggestion(
    suggestion: Suggestion, stations: StationViews, now: datetime, fit: FitCheck | None = None
) -> OpenSuggestion:
    return OpenSuggestion(
        suggestion,
        stations[suggestion.from_station_id],
        stations[suggestion.to_station_id],
        suggestion.expires_at is not None and suggestion.expires_at <= now,
        fit or FitCheck(),
    )


def read_tasks(
    tasks: TaskQuerySet, stations: StationViews, now: datetime, limit: int
) -> list[OpenTask]:
    """Assigned tasks, longest first; then ready tasks in the order crews will get them."""
    assigned = tasks.assigned().order_by("assigned_at", "id")[:limit]
    ready = tasks.ready().dispatch_order()[:limit]
    return [open_task(task, stations, now) for task in [*assigned, *ready][:limit]]


def open_task(task: Task, stations: StationViews, now: datetime) -> OpenTask:
    since = task.assigned_at or task.created_at
    overdue = task.assigned_at is not None and now - since >= overdue_after()
    return OpenTask(
        task,
        stations[task.from_station_id],
        stations[task.to_station_id],
        "overdue" if overdue else task.status,
        since,
    )
