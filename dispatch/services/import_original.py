"""Copy the suggestions and tasks of the original service, with their ids."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from ..exceptions import Conflict, Refusal
from ..maintenance.original import LARGEST_ID, SUGGESTIONS, Original, OriginalRow
from ..models import EventKind, Suggestion, Task, TaskEvent, TaskStatus
from .claims import lease
from .events import suggestion_event, task_event
from .locks import advisory_lock

ACTOR = "import"
UNKNOWN_WORKER = "unknown"
DETAILS = {"reason": "Imported from the original service."}
# The events of a task in each status.
KINDS = {
    TaskStatus.READY: [EventKind.CREATED],
    TaskStatus.ASSIGNED: [EventKind.CREATED, EventKind.CLAIMED],
    TaskStatus.COMPLETED: [EventKind.CREATED, EventKind.CLAIMED, EventKind.COMPLETED],
}
ENTERED = [EventKind.SUGGESTED, EventKind.CREATED]
LIFT = "SELECT lift_sequence(pg_get_serial_sequence(%s, 'id')::regclass, %s)"


@dataclass
class Imported:
    """Counts of rows. `present`: an earlier run entered them. `faults`: rows left out, and why."""

    suggestions: int = 0
    tasks: int = 0
    present: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def import_original(original: Original, *, skip_bad: bool = False) -> Imported:
    """Enter all rows that no earlier run has entered, or none.

    Refusal: a row breaks a rule of this service, unless `skip_bad`. Conflict: an id belongs to
    another row here.
    """
    result = Imported()
    lift_sequence("suggestions", original.highest_id(SUGGESTIONS))
    lift_sequence("tasks", original.highest_id(original.task_table))
    with transaction.atomic(durable=True):
        advisory_lock("import_original")
        for batch in original.suggestions():
            rows = sound(batch, "suggestion", result, skip_bad)
            result.suggestions += enter_suggestions(rows, result)
        for batch in original.tasks():
            rows = sound(batch, "task", result, skip_bad)
            result.tasks += enter_tasks(rows, result)
    return result


@transaction.atomic(durable=True)
def lift_sequence(table: str, highest: int) -> None:
    """Keep new rows from getting an id up to `highest`: imported rows may have it."""
    with connection.cursor() as cursor:
        cursor.execute(LIFT, [table, min(highest, LARGEST_ID)])


def sound(
    rows: list[OriginalRow], kind: str, result: Imported, skip_bad: bool
) -> list[OriginalRow]:
    """The rows without faults. The faults of others are added to the result."""
    faults = {row.id: fault for row in rows if (fault := row.fault())}
    found = [f"{kind} {row_id}: {fault}" for row_id, fault in faults.items()]
    if found and not skip_bad:
        raise Refusal(f"{found[0].capitalize()}. Correct it there, or use --skip-bad.")
    result.faults += found
    return [row for row in rows if row.id not in faults]


def enter_suggestions(rows: list[OriginalRow], result: Imported) -> int:
    now = clock()
    new = new_rows(rows, Suggestion, "suggestion_id", result)
    suggestions = [Suggestion(**move(row, now), reason=row.reason or "") for row in new]
    Suggestion.objects.bulk_create(suggestions)
    recorded = [suggestion_event(EventKind.SUGGESTED, each, ACTOR) for each in suggestions]
    for suggestion, event in zip(suggestions, recorded, strict=True):
        event.at = suggestion.created_at
    TaskEvent.objects.bulk_create(recorded)
    return len(suggestions)


def enter_tasks(rows: list[OriginalRow], result: Imported) -> int:
    now = clock()
    tasks = [task_of(row, now) for row in new_rows(rows, Task, "task_id", result)]
    Task.objects.bulk_create(tasks)
    TaskEvent.objects.bulk_create(event for task in tasks for event in history_of(task))
    return len(tasks)


def new_rows(
    rows: list[OriginalRow], model: type[Suggestion | Task], column: str, result: Imported
) -> list[OriginalRow]:
    """The rows that no earlier run has entered. Conflict: one has the id of another row here."""
    ids = [row.id for row in rows]
    of_ids = TaskEvent.objects.filter(Q((f"{column}__in", ids)))
    entered = of_ids.filter(actor=ACTOR, kind__in=ENTERED)
    present = set(entered.values_list(column, flat=True))
    used = set(of_ids.values_list(column, flat=True))
    used.update(model._default_manager.filter(pk__in=ids).values_list("pk", flat=True))
    if others := sorted(used - present):
        raise Conflict(
            f"This service has a {model._meta.verbose_name} {others[0]} of its own. Import into an"
            " empty database."
        )
    result.present[model._meta.db_table] += len(present)
    return [row for row in rows if row.id not in present]


def clock() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


def move(row: OriginalRow, now: datetime) -> dict[str, Any]:
    return {
        "id": row.id,
        "from_station_id": row.from_station_id,
        "to_station_id": row.to_station_id,
        "qty": row.qty,
        "created_at": min(row.created_at or now, now),
    }


def task_of(row: OriginalRow, now: datetime) -> Task:
    """The original keeps no time of a claim or completion: it was not before the creation."""
    task = Task(**move(row, now), reason=row.reason, status=TaskStatus(row.status))
    if task.status != TaskStatus.READY:
        task.worker_id = row.worker_id or UNKNOWN_WORKER
        task.attempt = 1
        task.assigned_at = task.created_at
    if task.status == TaskStatus.ASSIGNED and (duration := lease()):
        task.lease_expires_at = now + duration
    if task.status == TaskStatus.COMPLETED:
        task.completed_at, task.moved_qty = task.created_at, task.qty
    return task


def history_of(task: Task) -> Iterator[TaskEvent]:
    for kind in KINDS[TaskStatus(task.status)]:
        event = task_event(kind, task, ACTOR, **DETAILS)
        event.at = task.created_at
        if kind == EventKind.CREATED:
            event.attempt, event.worker_id = 0, None
        if kind == EventKind.COMPLETED:
            event.details = {**DETAILS, "moved_qty": task.moved_qty}
        yield event
