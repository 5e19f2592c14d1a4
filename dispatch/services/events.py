from typing import Any

from ..models import EventKind, Suggestion, Task, TaskEvent


def record_task(kind: EventKind, task: Task, actor: str, **details: Any) -> None:
    TaskEvent.objects.create(
        kind=kind,
        task_id=task.pk,
        suggestion_id=task.suggestion_id,
        attempt=task.attempt,
        worker_id=task.worker_id,
        actor=actor,
        details=details,
    )


def record_suggestion(kind: EventKind, suggestion: Suggestion, actor: str, **details: Any) -> None:
    """The suggestion leaves its table: its event keeps what it proposed."""
    TaskEvent.objects.create(
        kind=kind,
        suggestion_id=suggestion.pk,
        actor=actor,
        details={
            "from_station_id": suggestion.from_station_id,
            "to_station_id": suggestion.to_station_id,
            "qty": suggestion.qty,
            "reason": suggestion.reason,
            "source": suggestion.source,
            **details,
        },
    )
