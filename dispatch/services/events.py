from typing import Any

from ..models import EventKind, Suggestion, Task, TaskEvent


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
