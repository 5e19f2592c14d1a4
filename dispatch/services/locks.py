"""Locks on tasks, and advisory locks on subjects that are not rows."""

from functools import cache

from ..exceptions import Conflict, NotFound
from ..models import OPEN_STATUSES, Task, TaskStatus
from .rows import run, task_from

ADVISORY_LOCK = """
    SELECT pg_advisory_xact_lock(hashtextextended(subject, 0)) FROM unnest(%s::text[]) AS subject
"""


def advisory_lock(*subjects: str) -> None:
    """Lock these subjects until the transaction ends.

    Callers that lock several subjects name them in the same order. Read in a later statement:
    only a later one sees what the previous holder committed.
    """
    run((ADVISORY_LOCK, [list(subjects)]))


def lock_source(source: str) -> None:
    """Wait until no other transaction enters or restores suggestions of this source.

    Otherwise both would insert the same missing move.
    """
    advisory_lock(f"ingest {source}")


def lock_task(task_id: int) -> Task:
    """Lock and return the task, with the database's clock in `task.now`.

    If that clock was set back, `now` is the time of the claim: no task ends before it began.
    """
    [rows] = run((lock_statement(), [task_id]))
    if not rows:
        raise NotFound(f"Task {task_id} not found.")
    [[*columns, now]] = rows
    task = task_from(columns)
    task.now = max(now, task.assigned_at or now)
    return task


def lock_open_task(task_id: int) -> Task:
    """Conflict: the task has ended."""
    task = lock_task(task_id)
    if task.status not in OPEN_STATUSES:
        raise Conflict(f"Task {task_id} is {task.status}.")
    return task


def lock_held_task(task_id: int, worker_id: str | None, attempt: int | None = None) -> Task:
    """None: any worker, any attempt. Conflict: the task is not assigned, or not to this worker,
    or it has been claimed again since this attempt."""
    task = lock_task(task_id)
    if refusal := holder_refusal(task, worker_id, attempt):
        raise Conflict(refusal)
    return task


def holder_refusal(task: Task, worker_id: str | None, attempt: int | None) -> str | None:
    """Return a sentence if this worker does not hold the task in this attempt. None: any."""
    if task.status != TaskStatus.ASSIGNED:
        return f"Task {task.pk} is {task.status}, not assigned."
    if worker_id is not None and worker_id != task.worker_id:
        return f"Task {task.pk} is not held by {worker_id}."
    if attempt is not None and attempt != task.attempt:
        return claimed_again(task)
    return None


def claimed_again(task: Task) -> str:
    return f"Task {task.pk} has been claimed again, by {task.worker_id}."


@cache
def lock_statement() -> str:
    """Compiled once per process, like the claim's statement.

    `no_key`: with a plain lock, claims would skip this task while another row refers to it.
    """
    tasks = Task.objects.with_now().filter(pk=0).select_for_update(no_key=True)
    sql: str = tasks.query.sql_with_params()[0]
    return sql
