"""Who carries moves out: what each crew has on the way, and what it has done today."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Count, Min

from ..models import Task, TaskStatus

# A task that was open for longer than this is not looked for: the index is on when it was made.
LONGEST_OPEN = timedelta(days=31)


class Done(NamedTuple):
    worker: str
    assigned_at: datetime
    completed_at: datetime
    bikes: int


@dataclass(frozen=True)
class Crew:
    worker: str
    open: int = 0
    since: datetime | None = None
    done: int = 0
    bikes: int = 0
    median_minutes: int | None = None


def read_holders() -> list[Crew]:
    """Who has tasks now, and since when the longest."""
    held = Task.objects.assigned().values("worker_id")
    rows = held.annotate(open=Count("id"), since=Min("assigned_at")).order_by("since", "worker_id")
    return [Crew(row["worker_id"] or "", open=row["open"], since=row["since"]) for row in rows]


def read_done(since: datetime) -> list[Done]:
    rows: Iterable[Any] = (
        Task.objects.filter(
            status=TaskStatus.COMPLETED,
            created_at__gte=since - LONGEST_OPEN,
            completed_at__gte=since,
        )
        .order_by("id")
        .values_list("worker_id", "assigned_at", "completed_at", "moved_qty")
    )
    return [Done(*row) for row in rows]


def with_work(holders: Iterable[Crew], done: Iterable[Done]) -> list[Crew]:
    """Each crew's day: who is on the way first, then who has done most."""
    work: dict[str, list[Done]] = defaultdict(list)
    for each in done:
        work[each.worker].append(each)
    crews = {crew.worker: crew for crew in holders}
    for worker in work:
        crews.setdefault(worker, Crew(worker))
    told = [day_of(crew, work[crew.worker]) for crew in crews.values()]
    return sorted(told, key=lambda crew: (crew.open == 0, -crew.done, crew.worker))


def day_of(crew: Crew, done: list[Done]) -> Crew:
    minutes = [(each.completed_at - each.assigned_at) / timedelta(minutes=1) for each in done]
    return replace(
        crew,
        done=len(done),
        bikes=sum(each.bikes for each in done),
        median_minutes=round(median(minutes)) if minutes else None,
    )
