"""What the phones of crews report about their tasks."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q

from ..exceptions import NotFound
from ..models import EventKind, Problem, Task, TaskEvent, TaskStatus
from .events import record_task
from .locks import lock_held_task, lock_task


@transaction.atomic(durable=True)
def note_problem(
    task_id: int,
    problems: Sequence[Problem],
    *,
    worker_id: str,
    actor: str,
    attempt: int | None = None,
    note: str = "",
    **details: Any,
) -> TaskEvent:
    """Record problems that a crew has with its task. The crew keeps the task.

    Conflict: the crew does not hold the task, or not in this `attempt`. None: any attempt.
    """
    task = lock_held_task(task_id, worker_id, attempt)
    return record_problem(task, problems, actor, note=note, **details)


def record_problem(
    task: Task, problems: Sequence[Problem], actor: str, *, note: str = "", **details: Any
) -> TaskEvent:
    details["problems"] = [Problem(problem).value for problem in problems]
    if note:
        details["note"] = note
    return record_task(EventKind.PROBLEM, task, actor, **details)


@transaction.atomic(durable=True)
def note_seen(
    task_id: int,
    attempt: int,
    message_id: int | None,
    *,
    worker_id: str,
    actor: str,
    **details: Any,
) -> None:
    """Record that the crew's phone has shown the task and its messages up to `message_id`.

    `message_id` None: no message. Recorded once for each new pair of attempt and message. Nothing
    is recorded if the crew does not hold the task in this attempt.
    """
    try:
        task = lock_task(task_id)
    except NotFound:
        return
    if (task.status, task.worker_id, task.attempt) != (TaskStatus.ASSIGNED, worker_id, attempt):
        return
    shown = last_message(task, message_id)
    seen = TaskEvent.objects.filter(task_id=task_id, kind=EventKind.SEEN, attempt=attempt)
    if not seen.filter(Q(details__message_id__gte=shown) if shown else Q()).exists():
        record_task(EventKind.SEEN, task, actor, message_id=shown, **details)


def last_message(task: Task, up_to: int | None) -> int | None:
    """The id of the newest message about the task that is not newer than `up_to`."""
    if up_to is None:
        return None
    messages = TaskEvent.objects.filter(task_id=task.pk, kind=EventKind.MESSAGE, pk__lte=up_to)
    return messages.order_by("pk").values_list("pk", flat=True).last()
