from datetime import timedelta

from django.conf import settings
from django.db import transaction

from ..exceptions import Conflict, NotFound
from ..models import EventKind, Task, TaskStatus
from .events import record_task


def lock_task(task_id: int) -> Task:
    """The row as it is under its lock, and `task.now`: the database's clock.

    `no_key`: a plain lock would make claims skip this task while an unrelated row refers to it.
    """
    tasks = Task.objects.with_now().select_for_update(no_key=True)
    task = tasks.filter(pk=task_id).first()
    if task is None:
        raise NotFound(f"Task {task_id} not found.")
    return task


@transaction.atomic
def create_task(task: Task, *, actor: str) -> Task:
    """Save a ready task that a dispatcher wrote by hand, with no suggestion behind it.

    Not durable: the console's form has a transaction.
    """
    task.save(force_insert=True)
    record_task(EventKind.CREATED, task, actor)
    return task


@transaction.atomic(durable=True)
def claim_next_task(worker_id: str, *, actor: str) -> Task | None:
    """Assign the first ready task to a worker. None: no task is ready.

    First: highest priority, then oldest, among those that no other open request holds.
    """
    queue = Task.objects.ready().dispatch_order().with_now()
    task = queue.select_for_update(skip_locked=True, no_key=True).first()
    if task is None:
        return None
    lease = timedelta(minutes=settings.TASK_LEASE_MINUTES)
    task.status = TaskStatus.ASSIGNED
    task.worker_id = worker_id
    task.attempt += 1
    task.assigned_at = task.now
    task.lease_expires_at = task.now + lease if lease else None
    task.save(
        update_fields=[
            "status",
            "worker_id",
            "attempt",
            "assigned_at",
            "lease_expires_at",
        ]
    )
    record_task(EventKind.CLAIMED, task, actor)
    return task


@transaction.atomic(durable=True)
def complete_task(task_id: int, *, actor: str) -> Task:
    """Complete an assigned task. Completing it again changes nothing and returns the same."""
    task = lock_task(task_id)
    if task.status == TaskStatus.COMPLETED:
        return task
    if task.status != TaskStatus.ASSIGNED:
        raise Conflict(f"Task {task_id} is {task.status}, not assigned.")
    task.status = TaskStatus.COMPLETED
    task.completed_at = task.now
    task.moved_qty = task.qty
    task.lease_expires_at = None
    task.save(update_fields=["status", "completed_at", "moved_qty", "lease_expires_at"])
    record_task(EventKind.COMPLETED, task, actor, moved_qty=task.moved_qty)
    return task
