from collections.abc import Sequence
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
    INSERT INTO task_events ({columns}) VALUES ({places})
"""


def task_event(
    kind: EventKind, task: Task, actor: str, *, worker_id: str | None = None, **details: Any
) -> TaskEvent:
    """`worker_id`: whom it is about, if that is not the holder of the task as it is now."""
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


def record_task(kind: EventKind, task: Task, actor: str, **details: Any) -> None:
    task_event(kind, task, actor, **details).save(force_insert=True)


def change_task(
    kind: EventKind, task: Task, fields: Sequence[str], actor: str, **details: Any
) -> None:
    """Save these fields of a task that is locked, and the event of it, in one statement.

    So there is no change without its event, and one round trip instead of two.
    """
    event = task_event(kind, task, actor, **details)
    assignments = ", ".join(f"{name} = %s" for name in fields)
    columns = ", ".join(EVENT_FIELDS)
    places = ", ".join(["%s"] * len(EVENT_FIELDS))
    statement = CHANGE.format(assignments=assignments, columns=columns, places=places)
    run((statement, [*values_of(task, fields), task.pk, *values_of(event, EVENT_FIELDS)]))


def values_of(row: Task | TaskEvent, fields: Sequence[str]) -> list[Any]:
    columns = {field.attname: field for field in row._meta.concrete_fields}
    return [columns[name].get_db_prep_save(getattr(row, name), connection) for name in fields]


def suggestion_event(
    kind: EventKind, suggestion: Suggestion, actor: str, **details: Any
) -> TaskEvent:
    """A suggestion leaves its table: its event keeps what it proposed."""
    return TaskEvent(
        kind=kind,
        suggestion_id=suggestion.pk,
        actor=actor,
        source=suggestion.source,
        details={
            "from_station_id": suggestion.from_station_id,
            "to_station_id": suggestion.to_station_id,
            "qty": suggestion.qty,
            "reason": suggestion.reason,
            **details,
        },
    )


def record_suggestion(
    kind: EventKind, suggestion: Suggestion, actor: str, **details: Any
) -> TaskEvent:
    event = suggestion_event(kind, suggestion, actor, **details)
    event.save(force_insert=True)
    return event
