"""The tasks that each crew holds now and has completed today."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Count, Min

from ..models import Task, TaskStatus

# The index is on created_at, so tasks that stayed open for longer are not counted.
MAX_OPEN = timedelta(days=31)


class CompletedTask(NamedTuple):
    worker_id: str
    assigned_at: datetime
    completed_at: datetime
    bikes: int


@dataclass(frozen=True)
class Crew:
    """`since` is when the crew got the oldest task that it still holds."""

    worker_id: str
    open: int = 0
    since: datetime | None = None
    done: int = 0
    bikes: int = 0
    median_minutes: int | None = None


def read_holders() -> list[Crew]:
    """Crews that hold a task, the longest holder first."""
    held = Task.objects.assigned().values("worker_id")
    rows = held.annotate(open=Count("id"), since=Min("assigned_at")).order_by("since", "worker_id")
    return [Crew(row["worker_id"] or "", open=row["open"], since=row["since"]) for row in rows]


def read_completed(since: datetime) -> list[CompletedTask]:
    rows: Iterable[Any] = (
        Task.objects.filter(
            status=TaskStatus.COMPLETED,
            created_at__gte=since - MAX_OPEN,
            completed_at__gte=since,
        )
        .order_by("id")
        .values_list("worker_id", "assigned_at", "completed_at", "moved_qty")
    )
    return [CompletedTask(*row) for row in rows]


def summarize_crews(holders: Iterable[Crew], completed: Iterable[CompletedTask]) -> list[Crew]:
    """All crews of the day: those that hold a task first, then by completed tasks."""
    work: dict[str, list[CompletedTask]] = defaultdict(list)
    for task in completed:
        work[task.worker_id].append(task)
    crews = {crew.worker_id: crew for crew in holders}
    for worker_id in work:
        crews.setdefault(worker_id, Crew(worker_id))
    totals = [with_totals(crew, work[crew.worker_id]) for crew in crews.values()]
    return sorted(totals, key=lambda crew: (crew.open == 0, -crew.done, crew.worker_id))


def with_totals(crew: Crew, completed: list[CompletedTask]) -> Crew:
    minutes = [(task.completed_at - task.assigned_at) / timedelta(minutes=1) for task in completed]
    return replace(
        crew,
        done=len(completed),
        bikes=sum(task.bikes for task in completed),
        median_minutes=round(median(minutes)) if minutes else None,
    )
