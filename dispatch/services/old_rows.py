"""Removes old rows that belong to no task, after writing them to an archive if one is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from django.db import transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from ..exceptions import Refusal
from ..maintenance.archive import Archive
from ..models import ClusterOutage, StationOutage, StatusPoll, Suggestion, TaskEvent
from .prune import delete_events

BATCH = 1000
# Reports compare a week with the one before.
LEAST_AGE = timedelta(days=15)


@dataclass(frozen=True)
class OldRows:
    """Rows that are pruned by their age. `name`: in the names of the archive's files.

    `order`: a column with an index, in whose order they are removed.
    """

    name: str
    due: Callable[[timedelta], QuerySet[Any]]
    order: str
    delete: Callable[[list[int]], object]


def due_suggestion_events(age: timedelta) -> QuerySet[TaskEvent]:
    """The events of ingests, and of suggestions that are closed and have no task.

    Events of a suggestion that became a task are pruned with the task.
    """
    then = Now() - age
    same = TaskEvent.objects.filter(suggestion_id=OuterRef("suggestion_id"))
    return TaskEvent.objects.filter(
        ~Exists(Suggestion.objects.filter(pk=OuterRef("suggestion_id"))),
        # All or none: an undo without its decision would contradict itself.
        ~Exists(same.filter(Q(at__gte=then) | Q(task_id__isnull=False))),
        task_id=None,
        at__lt=then,
    )


def by_age(name: str, model: type[Model], column: str) -> OldRows:
    """Rows in which this time is longer ago than the age. None in the column: never."""
    rows = model._default_manager
    return OldRows(
        name,
        lambda age: rows.filter(**{f"{column}__lt": Now() - age}),
        column,
        lambda ids: rows.filter(pk__in=ids).delete(),
    )


SUGGESTION_EVENTS = OldRows("suggestion-events", due_suggestion_events, "id", delete_events)
OUTAGES = by_age("outages", StationOutage, "ended_at")
CLUSTER_OUTAGES = by_age("cluster-outages", ClusterOutage, "ended_at")
POLLS = by_age("polls", StatusPoll, "at")


def prune_rows(rows: OldRows, age: timedelta, *, archive: Archive | None = None) -> Iterator[int]:
    """Remove the rows that are older than `age`; yield the size of each batch.

    As with tasks, a batch is committed before it is yielded, and locked rows are left to the next
    run. Refusal: `age` is below LEAST_AGE.
    """
    due = old_enough(rows, age).order_by(rows.order, "id")
    start: Any = None
    # Rows of earlier batches are dead, but the index still leads to them.
    while batch := prune_batch(rows, due.filter(**after(rows, start)), archive):
        number, start = batch
        yield number


def after(rows: OldRows, start: Any) -> dict[str, Any]:
    return {} if start is None else {f"{rows.order}__gte": start}


@transaction.atomic(durable=True)
def prune_batch(
    rows: OldRows, due: QuerySet[Any], archive: Archive | None
) -> tuple[int, Any] | None:
    """Return the number of rows and where the next batch starts. None: no row was left.

    The archive's file is complete before the first row is deleted.
    """
    batch = list(due.select_for_update(skip_locked=True, of=("self",)).values()[:BATCH])
    if not batch:
        return None
    ids = [row["id"] for row in batch]
    if archive is not None:
        archive.write(f"{rows.name}-{ids[0]}-{ids[-1]}", map(msgspec.json.encode, batch))
    rows.delete(ids)
    return len(ids), batch[-1][rows.order]


def count_old(rows: OldRows, age: timedelta) -> int:
    return old_enough(rows, age).count()


def old_enough(rows: OldRows, age: timedelta) -> QuerySet[Any]:
    if age < LEAST_AGE:
        raise Refusal(
            f"The {rows.name.replace('-', ' ')} of the last {LEAST_AGE.days} days are kept."
        )
    return rows.due(age)
