"""Removes tasks that ended long ago, after writing them to an archive if one is given."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pgtrigger
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from ..exceptions import Refusal
from ..maintenance.archive import Archive
from ..models import Task, TaskEvent, TaskStatus
from ..models.claim_keys import CLAIM_KEY_LIFE
from ..models.tasks import TaskQuerySet

BATCH = 1000
APPEND_ONLY = "dispatch.TaskEvent:event_is_append_only"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Pruned:
    """Counts of rows."""

    tasks: int
    events: int


def prune_tasks(
    age: timedelta, *, archive: Archive | None = None, with_events: bool = False
) -> Iterator[Pruned]:
    """Remove tasks that were completed or cancelled longer ago than `age`, a batch at each step.

    A batch is committed before it is yielded, so the caller may stop after any of them. Tasks
    that another transaction holds are left to the next run. The events of the tasks and of their
    suggestions stay, unless `with_events`.
    """
    due = ended_before(age).order_by("id")
    last_id = 0
    while batch := prune_batch(due.filter(pk__gt=last_id), archive, with_events):
        last_id, pruned = batch
        yield pruned


@transaction.atomic(durable=True)
def prune_batch(
    due: TaskQuerySet, archive: Archive | None, with_events: bool
) -> tuple[int, Pruned] | None:
    """Return the last task's id and the counts. None: no task was left.

    The archive's file is complete before the first row is deleted. A run that is killed between
    the two leaves the rows; the next run writes the same file again, or one with the same tasks.
    """
    tasks = list(due.select_for_update(skip_locked=True).values()[:BATCH])
    if not tasks:
        return None
    ids = [task["id"] for task in tasks]
    events = list(events_of(tasks).order_by("id").values()) if with_events else []
    if archive is not None:
        rows = with_their_events(tasks, events) if with_events else tasks
        archive.write(f"tasks-{ids[0]}-{ids[-1]}", map(msgspec.json.encode, rows))
    Task.objects.filter(pk__in=ids).delete()
    if events:
        delete_events([event["id"] for event in events])
    return ids[-1], Pruned(len(tasks), len(events))


def events_of(tasks: Sequence[Row]) -> QuerySet[TaskEvent]:
    """Return the events of the tasks, and those of the suggestions that they were before."""
    suggestions = [task["suggestion_id"] for task in tasks if task["suggestion_id"] is not None]
    return TaskEvent.objects.filter(
        Q(task_id__in=[task["id"] for task in tasks])
        | Q(task_id=None, suggestion_id__in=suggestions)
    )


def delete_events(ids: list[int]) -> None:
    """Suspend the append-only trigger for this deletion alone.

    The savepoint: `ignore` ends with a statement, which a failed transaction would refuse.
    """
    with pgtrigger.ignore(APPEND_ONLY), transaction.atomic():
        TaskEvent.objects.filter(pk__in=ids).delete()


def with_their_events(tasks: Sequence[Row], events: Sequence[Row]) -> list[Row]:
    by_task: dict[int, list[Row]] = defaultdict(list)
    task_of = {task["suggestion_id"]: task["id"] for task in tasks}
    for event in events:
        by_task[event["task_id"] or task_of[event["suggestion_id"]]].append(event)
    return [{**task, "events": by_task[task["id"]]} for task in tasks]


def count_prunable(age: timedelta, *, with_events: bool = False) -> Pruned:
    due = ended_before(age)
    events = 0
    if with_events:
        of_tasks = TaskEvent.objects.filter(task_id__in=due.values("pk"))
        of_suggestions = TaskEvent.objects.filter(
            task_id=None, suggestion_id__in=due.values("suggestion_id")
        )
        events = of_tasks.count() + of_suggestions.count()
    return Pruned(due.count(), events)


def ended_before(age: timedelta) -> TaskQuerySet:
    if age < CLAIM_KEY_LIFE:
        raise Refusal(
            "Tasks are kept for 24 hours after they end: a retried claim may ask for one."
        )
    then = Now() - age
    return Task.objects.filter(
        Q(status=TaskStatus.COMPLETED, completed_at__lt=then)
        | Q(status=TaskStatus.CANCELLED, cancelled_at__lt=then)
    )
