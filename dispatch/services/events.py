"""Every change of state records one event, in the same transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from ..models import EventKind, Suggestion, Task, TaskEvent
from .rows import run

EVENT_FIELDS = (
    "kind",
    "task_id",
    "suggestion_id",
    "attempt",
    "worker_id",
    "actor",
    "source",
    "details",
)
CHANGE = """
    WITH changed AS (UPDATE tasks SET {assignments} WHERE id = %s)
    INSERT INTO task_events ({columns}) VALUES ({values})
"""


MOVE_FIELDS = ("from_station_id", "to_station_id", "qty", "reason")


def task_event(
    kind: EventKind, task: Task, actor: str, *, worker_id: str | None = None, **details: Any
) -> TaskEvent:
    """`worker_id`: the worker that the event is about. None: the task's present holder."""
    return TaskEvent(
        kind=kind,
        task_id=task.pk,
        suggestion_id=task.suggestion_id,
        attempt=task.attempt,
        worker_id=worker_id or task.worker_id,
        actor=actor,
        source=task.source,
        details=details,
    )


def record_task(kind: EventKind, task: Task, actor: str, **details: Any) -> TaskEvent:
    event = task_event(kind, task, actor, **details)
    event.save(force_insert=True)
    return event


def change_task(
    task: Task, changes: Mapping[str, Any], kind: EventKind, actor: str, **details: Any
) -> None:
    """Save changes of a locked task together with their event, in one statement.

    The event names the worker who held the task before the change.
    """
    event = task_event(kind, task, actor, **details)
    for name, value in changes.items():
        setattr(task, name, value)
    statement = CHANGE.format(
        assignments=", ".join(f"{name} = %s" for name in changes),
        columns=", ".join(EVENT_FIELDS),
        values=", ".join(["%s"] * len(EVENT_FIELDS)),
    )
    changed, inserted = values_of(task, list(changes)), values_of(event, EVENT_FIELDS)
    run((statement, [*changed, task.pk, *inserted]))


def values_of(row: Task | TaskEvent, fields: Sequence[str]) -> list[Any]:
    columns = {field.attname: field for field in row._meta.concrete_fields}
    return [columns[name].get_db_prep_save(getattr(row, name), connection) for name in fields]


def suggestion_event(
    kind: EventKind, suggestion: Suggestion, actor: str, **details: Any
) -> TaskEvent:
    """Keeps the proposed move in its details: the suggestion's row will be deleted."""
    return TaskEvent(
        kind=kind,
        suggestion_id=suggestion.pk,
        actor=actor,
        source=suggestion.source,
        details={**move_details(suggestion), **details},
    )


def move_details(suggestion: Suggestion) -> dict[str, Any]:
    return {name: getattr(suggestion, name) for name in MOVE_FIELDS}


def record_suggestion(
    kind: EventKind, suggestion: Suggestion, actor: str, **details: Any
) -> TaskEvent:
    event = suggestion_event(kind, suggestion, actor, **details)
    event.save(force_insert=True)
    return event
