"""The states that webhooks report, and the data about each row."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Concat

from ..models import Suggestion, Task, WebhookType
from ..overview.roster import Roster, read_roster
from ..services import State

MOVE = ("from_station_id", "to_station_id", "qty", "priority", "source", "reason", "created_at")
TASK = (*MOVE, "system", "area", "attempt", "worker_id", "assigned_at", "lease_expires_at")


def read_states() -> Iterator[State]:
    roster = read_roster()
    yield State(
        WebhookType.TASK_OVERDUE,
        of_attempt("overdue", Task.objects.overdue().order_by("assigned_at", "id")),
        about_task,
    )
    yield State(
        WebhookType.TASK_WITHOUT_CREW,
        of_attempt("without_crew", roster.without_crew().order_by("created_at", "id")),
        partial(about_task_without_crew, roster),
    )
    urgent = Suggestion.objects.urgent().order_by("created_at", "id")
    event_id = Concat(Value("urgent_"), "id", output_field=TextField())
    yield State(WebhookType.SUGGESTION_URGENT, urgent.annotate(event_id=event_id), about_suggestion)


def of_attempt(name: str, tasks: QuerySet[Task]) -> QuerySet[Any]:
    """Once in each attempt: a task that is released may become overdue again."""
    event_id = Concat(Value(f"{name}_"), "id", Value("_"), "attempt", output_field=TextField())
    return tasks.annotate(event_id=event_id)


def about_task(task: Task) -> dict[str, Any]:
    return {"task_id": task.pk, **{name: getattr(task, name) for name in TASK}}


def about_task_without_crew(roster: Roster, task: Task) -> dict[str, Any]:
    return {**about_task(task), "why": roster.why_no_crew(task.system, task.area, task.qty)}


def about_suggestion(suggestion: Suggestion) -> dict[str, Any]:
    return {"suggestion_id": suggestion.pk, **{name: getattr(suggestion, name) for name in MOVE}}
