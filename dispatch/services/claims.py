"""Who holds a task, and until when: claim, extend, release, reassign."""

from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import connection, transaction

from ..exceptions import Conflict, IdempotencyKeyReused, NotFound
from ..models import OPEN_STATUSES, ClaimKey, EventKind, Task, TaskStatus
from .events import change_task
from .locks import advisory_lock, lock_task
from .rows import TASK_COLUMNS, run, task_from

HOLDER_FIELDS = ["status", "worker_id", "attempt", "assigned_at", "lease_expires_at"]
# The lock, the claim and its event in one round trip. It writes what `reassign_task` does.
CLAIM = """
    WITH next AS MATERIALIZED ({queue}),
    claimed AS (
        UPDATE tasks
        SET status = 'assigned', worker_id = %s, attempt = attempt + 1,
            assigned_at = next.now, lease_expires_at = next.now + %s::interval
        FROM next WHERE tasks.id = next.id
        RETURNING tasks.*
    ),
    recorded AS (
        INSERT INTO task_events
            (at, kind, task_id, suggestion_id, attempt, worker_id, actor, source)
        SELECT assigned_at, 'claimed', id, suggestion_id, attempt, worker_id, %s, source
        FROM claimed
    )
    SELECT {columns} FROM claimed
"""


def claim_next_task(worker_id: str, *, actor: str, key: str | None = None) -> Task | None:
    """Assign the first ready task to a worker. None: no task is ready.

    First: highest priority, then oldest, among those that no other open request holds. A worker
    that holds TASKS_PER_WORKER tasks gets the one it has had longest again.

    `key`: the same key returns the same task for 24 hours, as that task is by then.
    IdempotencyKeyReused: the key came with another worker. A claim that found no task is not
    remembered.
    """
    if key is None and not settings.TASKS_PER_WORKER and not connection.in_atomic_block:
        # One statement is a transaction of its own; a BEGIN and a COMMIT around it would be two
        # more round trips, a seventh of a claim's time (docs/performance.md).
        return take_first_ready(worker_id, actor)
    return claim_in_turn(worker_id, actor, key)


@transaction.atomic(durable=True)
def claim_in_turn(worker_id: str, actor: str, key: str | None) -> Task | None:
    """With something to look at before and to remember afterwards."""
    if key is not None and (task := find_earlier_claim(key, worker_id, actor)):
        return task
    task = oldest_task_at_limit(worker_id) or take_first_ready(worker_id, actor)
    if key is not None and task is not None:
        remember_claim(key, worker_id, actor, task)
    return task


def find_earlier_claim(key: str, worker_id: str, actor: str) -> Task | None:
    advisory_lock(f"claim {actor} {key}")
    claim = ClaimKey.objects.live().filter(actor=actor, key=key).first()
    if claim is None:
        return None
    if claim.worker_id != worker_id:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another worker_id.")
    task = Task.objects.filter(pk=claim.task_id).first()
    if task is None:
        raise NotFound(f"Task {claim.task_id}, which this key was given, is no longer kept.")
    return task


def remember_claim(key: str, worker_id: str, actor: str, task: Task) -> None:
    # It replaces a key that has expired but was not swept away yet.
    ClaimKey.objects.expired().filter(actor=actor, key=key).delete()
    ClaimKey.objects.create(key=key, worker_id=worker_id, actor=actor, task_id=task.pk)


def oldest_task_at_limit(worker_id: str) -> Task | None:
    limit = settings.TASKS_PER_WORKER
    if not limit:
        return None
    # Two calls of one worker at once would both find it below its limit.
    advisory_lock(f"worker {worker_id}")
    held = Task.objects.assigned().filter(worker_id=worker_id).order_by("assigned_at", "id")
    tasks = list(held[:limit])
    return tasks[0] if len(tasks) == limit else None


def take_first_ready(worker_id: str, actor: str) -> Task | None:
    [rows] = run((claim_statement(), [worker_id, lease(), actor]))
    return task_from(rows[0]) if rows else None


@cache
def claim_statement() -> str:
    """Compiled once: to compile it anew took nearly as long as the whole rest of a claim
    (docs/performance.md)."""
    first = Task.objects.ready().dispatch_order().with_now()[:1]
    queue = first.select_for_update(skip_locked=True, no_key=True).only("id")
    # Django compiles a lock only inside a transaction. It sends nothing for this one.
    with transaction.atomic(), connection.cursor() as cursor:
        sql = cursor.mogrify(*queue.query.sql_with_params())
    return CLAIM.format(queue=sql, columns=", ".join(TASK_COLUMNS))


def assign(task: Task, worker_id: str) -> None:
    task.status = TaskStatus.ASSIGNED
    task.worker_id = worker_id
    task.attempt += 1
    task.assigned_at = task.now
    renew_lease(task)


def lease() -> timedelta | None:
    return timedelta(minutes=settings.TASK_LEASE_MINUTES) or None


def renew_lease(task: Task) -> None:
    duration = lease()
    task.lease_expires_at = task.now + duration if duration else None


def lock_held_task(task_id: int, worker_id: str | None, attempt: int | None = None) -> Task:
    """Conflict: nobody holds it, or somebody else than `worker_id` does (None: whoever does), or
    it was claimed anew since `attempt` (None: no matter)."""
    task = lock_task(task_id)
    if task.status != TaskStatus.ASSIGNED:
        raise Conflict(f"Task {task_id} is {task.status}, not assigned.")
    if worker_id is not None and worker_id != task.worker_id:
        raise Conflict(f"Task {task_id} is not held by {worker_id}.")
    if attempt is not None and attempt != task.attempt:
        raise Conflict(f"Task {task_id} has been claimed anew, by {task.worker_id}.")
    return task


@transaction.atomic(durable=True)
def extend_lease(task_id: int, *, actor: str, worker_id: str | None = None) -> Task:
    """The holder's sign of life: the lease runs in full again from now.

    Conflict: the task is not held (by `worker_id`, if that is given).
    """
    task = lock_held_task(task_id, worker_id)
    renew_lease(task)
    change_task(EventKind.EXTENDED, task, ["lease_expires_at"], actor)
    return task


@transaction.atomic(durable=True)
def release_task(
    task_id: int,
    *,
    actor: str,
    reason: str,
    worker_id: str | None = None,
    attempt: int | None = None,
) -> Task:
    """Give an assigned task back to the queue, at its former place.

    Conflict: the task is not held (by `worker_id` and in this `attempt`, if they are given).
    """
    task = lock_held_task(task_id, worker_id, attempt)
    former, task.worker_id = task.worker_id, None
    task.status = TaskStatus.READY
    task.assigned_at = task.lease_expires_at = None
    change_task(EventKind.RELEASED, task, HOLDER_FIELDS, actor, worker_id=former, reason=reason)
    return task


@transaction.atomic(durable=True)
def reassign_task(task_id: int, worker_id: str, *, actor: str, reason: str) -> Task:
    """Hand an open task to a worker, whoever holds it; who holds it already keeps it unchanged.

    It is a claim of its own, with its own attempt and lease; TASKS_PER_WORKER does not bind a
    dispatcher. Conflict: the task has ended.
    """
    task = lock_task(task_id)
    if task.status not in OPEN_STATUSES:
        raise Conflict(f"Task {task_id} is {task.status}.")
    task.changed = task.worker_id != worker_id
    if not task.changed:
        return task
    former = task.worker_id
    assign(task, worker_id)
    change_task(
        EventKind.REASSIGNED, task, HOLDER_FIELDS, actor, former_worker_id=former, reason=reason
    )
    return task
