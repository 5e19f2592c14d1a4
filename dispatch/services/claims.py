"""Claim, extend, release and reassign tasks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from ..exceptions import Conflict, IdempotencyKeyReused, NotFound
from ..metrics import CLAIM_WAIT
from ..models import ClaimKey, EventKind, Task, TaskEvent, TaskStatus
from .claim_scopes import Scope, likely_scope, note_served, scope_of
from .events import change_task, task_event
from .locks import (
    advisory_lock,
    claimed_again,
    holder_refusal,
    lock_held_task,
    lock_open_task,
    lock_task,
)
from .rows import TASK_COLUMNS, Statement, run, task_from

# Assigns one task and records the event, in one round trip. {task}: a query of its id and `now`.
# The lease's end is computed beside it: Citus allows no such function of a column in an UPDATE.
ASSIGN = """
    WITH task AS MATERIALIZED (
        SELECT id, now, now + %s::interval AS lease_expires_at FROM ({task}) AS head
    ),
    assigned AS (
        UPDATE tasks
        SET status = 'assigned', worker_id = %s, attempt = attempt + 1,
            assigned_at = task.now, lease_expires_at = task.lease_expires_at
        FROM task WHERE tasks.id = task.id
        RETURNING tasks.*
    ),
    recorded AS (
        INSERT INTO task_events
            (at, kind, task_id, suggestion_id, attempt, worker_id, actor, source, details)
        SELECT assigned_at, %s, id, suggestion_id, attempt, worker_id, %s, source, %s::jsonb
        FROM assigned
    )
    SELECT {columns} FROM assigned
"""
LOCKED_TASK = "SELECT %s::bigint AS id, %s::timestamptz AS now"
# Phones give a sign of life every few minutes. An event for each would bury a task's history.
RENEWED_BELOW = 0.9
# The columns that a release sets. The attempt stays: it counts the claims.
UNASSIGNED: dict[str, Any] = {
    "status": TaskStatus.READY,
    "worker_id": None,
    "assigned_at": None,
    "lease_expires_at": None,
}


@dataclass(frozen=True)
class Claim:
    """`area` None: any of the crew's. `details`: of the event."""

    worker_id: str
    area: str | None
    actor: str
    details: Mapping[str, Any]


@transaction.atomic(durable=True)
def claim_next_task(
    worker_id: str,
    *,
    actor: str,
    key: str | None = None,
    area: str | None = None,
    **details: Any,
) -> Task | None:
    """Assign the first ready task that the crew may take. None: there is none.

    First: highest priority, then oldest, among those that no other open request holds. The roster
    may limit a crew to its system, to its areas and to what its van takes; `area` names one of
    them. A crew that already holds TASKS_PER_WORKER tasks gets the oldest of them again.

    `key`: for 24 hours the same key returns the same task, in its present state.
    IdempotencyKeyReused: another crew used the key, or it was for another area. A claim that finds
    no task does not use up its key. `details`: of the event.
    Conflict: the crew is not active, or does not work in `area`, or is not on the roster and
    UNKNOWN_CREWS is "refuse".
    """
    claim = Claim(worker_id, area, actor, details)
    if key is not None and (task := find_earlier_claim(key, claim)):
        return task
    task = oldest_task_at_limit(worker_id) or claim_head_of_queue(claim, last=key is None)
    if key is not None and task is not None:
        remember_claim(key, claim, task)
    return task


def find_earlier_claim(key: str, claim: Claim) -> Task | None:
    advisory_lock(f"claim {claim.actor} {key}")
    earlier = ClaimKey.objects.live().filter(actor=claim.actor, key=key).first()
    if earlier is None:
        return None
    if earlier.worker_id != claim.worker_id:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another worker_id.")
    if earlier.area != (claim.area or ""):
        raise IdempotencyKeyReused("This Idempotency-Key was used for another area.")
    task = Task.objects.filter(pk=earlier.task_id).first()
    if task is None:
        raise NotFound(f"Task {earlier.task_id}, which this key was given, is no longer kept.")
    return task


def remember_claim(key: str, claim: Claim, task: Task) -> None:
    # The sweep may not have removed an expired use of this key yet.
    ClaimKey.objects.expired().filter(actor=claim.actor, key=key).delete()
    ClaimKey.objects.create(
        key=key,
        worker_id=claim.worker_id,
        area=claim.area or "",
        actor=claim.actor,
        task_id=task.pk,
    )


def oldest_task_at_limit(worker_id: str) -> Task | None:
    """The task that the worker has held longest, if it holds as many as it may."""
    limit = settings.TASKS_PER_WORKER
    if not limit:
        return None
    # Without the lock, two simultaneous claims would both find the worker below its limit.
    advisory_lock(f"worker {worker_id}")
    held = Task.objects.assigned().filter(worker_id=worker_id).order_by("assigned_at", "id")
    tasks = list(held[:limit])
    return tasks[0] if len(tasks) == limit else None


def claim_head_of_queue(claim: Claim, *, last: bool) -> Task | None:
    """`last`: send the COMMIT with the claim, which saves a tenth of its time.

    A wrong guess at the crew's scope changes nothing, so the second try may be a transaction of its
    own. TASKS_PER_WORKER rules this out: it holds a lock on the crew until the end.
    """
    last = last and not settings.TASKS_PER_WORKER
    guess = likely_scope(claim.worker_id, claim.area)
    task = claim_in_scope(claim, guess, last=last)
    if task is None and (scope := scope_of(claim.worker_id, claim.area)) is not guess:
        task = claim_in_scope(claim, scope, last=last)
    return task


def claim_in_scope(claim: Claim, scope: Scope, *, last: bool) -> Task | None:
    statement = claim_statement(scope), scope.parameters(claim.worker_id, claim.area)
    event = assigning(statement, EventKind.CLAIMED, claim.worker_id, claim.actor, **claim.details)
    [rows] = run(event, last=last)
    if not rows:
        return None
    note_served(claim.worker_id, scope)
    task = task_from(rows[0])
    if task.assigned_at:
        CLAIM_WAIT.observe((task.assigned_at - task.created_at).total_seconds())
    return task


@cache
def claim_statement(scope: Scope) -> str:
    """`ASSIGN` for the head of the queue.

    Compiled once per process: compiling takes nearly as long as the rest of a claim
    (docs/performance.md). The status is a literal in it, as the queue's partial index requires.
    """
    queue = scope.tasks().next_in_queue().only("id")
    with connection.cursor() as cursor:
        return assign_statement(cursor.mogrify(*queue.query.sql_with_params()))


def assign_statement(task: str) -> str:
    return ASSIGN.format(task=task, columns=", ".join(TASK_COLUMNS))


def assigning(
    statement: Statement, kind: EventKind, worker_id: str, actor: str, **details: Any
) -> Statement:
    """Complete an `assign_statement`, given with its query's parameters."""
    text, of_query = statement
    return text, [lease(), *of_query, worker_id, kind.value, actor, json.dumps(details)]


def lease() -> timedelta | None:
    """The duration of a claim. None: unlimited."""
    return timedelta(minutes=settings.TASK_LEASE_MINUTES) or None


@transaction.atomic(durable=True)
def extend_lease(task_id: int, *, actor: str, worker_id: str | None = None) -> Task:
    """Renew the lease: it runs in full again from now.

    Conflict: the task is not assigned, or not to `worker_id` if that is given.
    """
    task = lock_held_task(task_id, worker_id)
    duration = lease()
    changes = {"lease_expires_at": task.now + duration if duration else None}
    change_task(task, changes, EventKind.EXTENDED, actor)
    return task


@transaction.atomic(durable=True)
def extend_held(worker_id: str, *, actor: str, **details: Any) -> list[Task]:
    """Renew the leases of the tasks that the worker holds, with an event for each.

    Leases of which less than a tenth has passed stay as they are.
    """
    duration = lease()
    due = Q(lease_expires_at__isnull=duration is not None)
    if duration:
        due |= Q(lease_expires_at__lte=Now() + RENEWED_BELOW * duration)
    held = Task.objects.assigned().filter(due, worker_id=worker_id).order_by("id").with_now()
    tasks = list(held.select_for_update(no_key=True))
    for task in tasks:
        now = max(task.now, task.assigned_at or task.now)
        task.lease_expires_at = now + duration if duration else None
    Task.objects.bulk_update(tasks, ["lease_expires_at"])
    TaskEvent.objects.bulk_create(
        task_event(EventKind.EXTENDED, task, actor, **details) for task in tasks
    )
    return tasks


@transaction.atomic(durable=True)
def release_task(
    task_id: int,
    *,
    actor: str,
    reason: str,
    worker_id: str | None = None,
    attempt: int | None = None,
) -> Task:
    """Return an assigned task to its former place in the queue.

    Conflict: the task is not assigned, or not to `worker_id` or in this `attempt` if given.
    """
    task = lock_task(task_id)
    if refusal := release_or_refuse(task, actor, worker_id, attempt, reason=reason):
        raise Conflict(refusal)
    return task


def release_or_refuse(
    task: Task, actor: str, worker_id: str | None, attempt: int | None, **details: Any
) -> str | None:
    """Release a locked task, with these details of its event. Return the refusal, if any."""
    if refusal := holder_refusal(task, worker_id, attempt):
        return refusal
    change_task(task, UNASSIGNED, EventKind.RELEASED, actor, **details)
    return None


@transaction.atomic(durable=True)
def reassign_task(
    task_id: int, worker_id: str, *, actor: str, reason: str = "", attempt: int | None = None
) -> Task:
    """Assign an open task to a worker. A task that this worker already holds stays unchanged.

    This is a claim with its own attempt and lease. TASKS_PER_WORKER and the roster do not limit
    dispatchers.
    Conflict: the task has ended, or another worker holds it and no reason is given, or has claimed
    it since `attempt`. None: any attempt.
    """
    task = lock_open_task(task_id)
    task.changed = task.worker_id != worker_id
    if not task.changed:
        return task
    if task.worker_id and attempt not in (None, task.attempt):
        raise Conflict(claimed_again(task))
    if task.worker_id and not reason:
        raise Conflict(f"Task {task_id} is held by {task.worker_id}. Reassign it with a reason.")
    statement = assign_statement(LOCKED_TASK), [task.pk, task.now]
    details = {"former_worker_id": task.worker_id, "reason": reason}
    [[row]] = run(assigning(statement, EventKind.REASSIGNED, worker_id, actor, **details))
    return task_from(row)
