"""The board's lists of suggestions and open tasks."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from ..models import Suggestion, Task, TaskStatus
from ..models.tasks import overdue_after
from .fit_checks import FitCheck, check_fit
from .station_views import StationView, StationViews

SUGGESTIONS_SHOWN = 40
TASKS_SHOWN = 40


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
class Counts:
    suggestions: int
    ready: int
    ready_since: datetime | None
    assigned: int
    overdue: int

    @property
    def open(self) -> int:
        return self.ready + self.assigned


def read_counts() -> Counts:
    tasks = Task.objects.open().aggregate(
        ready=Count("id", filter=Q(status=TaskStatus.READY)),
        ready_since=Min("created_at", filter=Q(status=TaskStatus.READY)),
        assigned=Count("id", filter=Q(status=TaskStatus.ASSIGNED)),
    )
    return Counts(Suggestion.objects.count(), overdue=Task.objects.overdue().count(), **tasks)


def read_suggestions(stations: StationViews, now: datetime) -> list[OpenSuggestion]:
    """The most urgent first: by priority, then by age."""
    first = Suggestion.objects.order_by("-priority", "created_at", "id")[:SUGGESTIONS_SHOWN]
    suggestions = list(first)
    checks = check_fit(suggestions)
    return [open_suggestion(each, stations, now, checks[each.pk]) for each in suggestions]


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


def read_tasks(stations: StationViews, now: datetime) -> list[OpenTask]:
    """Assigned tasks, longest first; then ready tasks in the order crews will get them."""
    assigned = Task.objects.assigned().order_by("assigned_at", "id")[:TASKS_SHOWN]
    ready = Task.objects.ready().dispatch_order()[:TASKS_SHOWN]
    tasks = [*assigned, *ready][:TASKS_SHOWN]
    return [open_task(task, stations, now) for task in tasks]


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
