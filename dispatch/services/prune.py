"""Tasks that ended long ago leave the database, through an archive if one is given."""

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

    A batch is committed when it is yielded, so any step may be the last. With an archive it is
    whole on the disk before its first row is deleted. Tasks that another transaction holds are
    left to the next run. Events stay, unless `with_events`.
    """
    due = ended_before(age).order_by("id")
    if archive is not None:
        undo_unfinished_batch(archive)
    last_id = 0
    while batch := prune_batch(due.filter(pk__gt=last_id), archive, with_events):
        last_id, pruned = batch
        yield pruned


@transaction.atomic(durable=True)
def prune_batch(
    due: TaskQuerySet, archive: Archive | None, with_events: bool
) -> tuple[int, Pruned] | None:
    """The last task's id and what is gone. None: nothing was left to do."""
    tasks = list(due.select_for_update(skip_locked=True).values()[:BATCH])
    if not tasks:
        return None
    ids = [task["id"] for task in tasks]
    events = list(events_of(ids).values()) if with_events else []
    if archive is not None:
        archive.append(to_lines(with_their_events(tasks, events) if with_events else tasks))
    Task.objects.filter(pk__in=ids).delete()
    if events:
        delete_events([event["id"] for event in events])
    return ids[-1], Pruned(len(tasks), len(events))


def events_of(task_ids: list[int]) -> QuerySet[TaskEvent]:
    return TaskEvent.objects.filter(task_id__in=task_ids).order_by("id")


def delete_events(ids: list[int]) -> None:
    """They are append-only but for this block.

    The savepoint: ending the exemption is a statement, which a failed transaction would refuse.
    """
    with pgtrigger.ignore(APPEND_ONLY), transaction.atomic():
        TaskEvent.objects.filter(pk__in=ids).delete()


def with_their_events(tasks: Sequence[Row], events: Sequence[Row]) -> list[Row]:
    by_task: dict[int, list[Row]] = defaultdict(list)
    for event in events:
        by_task[event["task_id"]].append(event)
    return [{**task, "events": by_task[task["id"]]} for task in tasks]


def to_lines(rows: Sequence[Row]) -> list[bytes]:
    return [msgspec.json.encode(row) for row in rows]


@transaction.atomic(durable=True)
def undo_unfinished_batch(archive: Archive) -> None:
    """A killed run may have written its last batch, but not deleted it: take it out again.

    Refusal: some of it is in the database, but not all of it or not as it was written.
    """
    archived = [msgspec.json.decode(line) for line in archive.last]
    for task in archived:
        task.pop("events", None)
    # This waits for the end of a killed run's transaction.
    found = Task.objects.filter(pk__in=[task["id"] for task in archived]).order_by("id")
    tasks = list(found.select_for_update().values())
    if not tasks:
        return
    if [msgspec.json.decode(line) for line in to_lines(tasks)] != archived:
        raise Refusal(
            f"{archive.name}: its last tasks are not as they are in this database:"
            " give another file."
        )
    archive.drop_last()


def count_prunable(age: timedelta, *, with_events: bool = False) -> Pruned:
    due = ended_before(age)
    events = TaskEvent.objects.filter(task_id__in=due.values("pk")).count() if with_events else 0
    return Pruned(due.count(), events)


def ended_before(age: timedelta) -> TaskQuerySet:
    if age < CLAIM_KEY_LIFE:
        raise Refusal(
            "Tasks are kept for 24 hours after their end: a claim's retry may ask for one."
        )
    then = Now() - age
    return Task.objects.filter(
        Q(status=TaskStatus.COMPLETED, completed_at__lt=then)
        | Q(status=TaskStatus.CANCELLED, cancelled_at__lt=then)
    )
