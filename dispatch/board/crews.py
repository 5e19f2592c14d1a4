"""Each crew's open tasks and today's work."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Min

from ..models import Crew, Task, TaskEvent, TaskStatus
from ..overview.roster import with_phone

# The index is on created_at, so tasks that stayed open for longer are not counted.
MAX_OPEN = timedelta(days=31)


class CompletedTask(NamedTuple):
    worker_id: str
    completed_at: datetime
    bikes: int


@dataclass(frozen=True)
class CrewView:
    """`crew`: its entry on the roster. None: it is not on the roster.

    `since`: the time it got the oldest task it holds; if it holds none, the time it completed its
    last task of today. None: no task today. `seen_at`: its last request or task, if any.
    `problems`: how many times it reported some today.
    """

    worker_id: str
    crew: Crew | None = None
    open: int = 0
    since: datetime | None = None
    seen_at: datetime | None = None
    done: int = 0
    bikes: int = 0
    has_phone: bool = False
    problems: int = 0


def read_listed() -> list[CrewView]:
    """The crews of the roster."""
    crews: Iterable[Any] = with_phone(Crew.objects.with_last_seen())
    return [
        CrewView(crew.worker_id, crew, seen_at=crew.seen_at, has_phone=crew.has_phone)
        for crew in crews
    ]


def read_holders() -> list[CrewView]:
    """Crews that hold a task."""
    held = Task.objects.assigned().order_by().values("worker_id")
    rows: Iterable[Any] = held.annotate(open=Count("id"), since=Min("assigned_at"))
    return [CrewView(**row) for row in rows]


def read_completed(since: datetime) -> list[CompletedTask]:
    rows: Iterable[Any] = (
        Task.objects.filter(
            status=TaskStatus.COMPLETED,
            created_at__gte=since - MAX_OPEN,
            completed_at__gte=since,
        )
        .order_by("id")
        .values_list("worker_id", "completed_at", "moved_qty")
    )
    return [CompletedTask(*row) for row in rows]


def count_problems(since: datetime) -> dict[str, int]:
    """The events with problems of each crew."""
    events = TaskEvent.objects.with_problems().filter(at__gte=since, worker_id__isnull=False)
    rows: Iterable[Any] = events.order_by().values_list("worker_id").annotate(Count("id"))
    return dict(rows)


def summarize_crews(
    listed: Iterable[CrewView],
    holders: Iterable[CrewView],
    completed: Iterable[CompletedTask],
    problems: Mapping[str, int],
) -> list[CrewView]:
    """The active crews of the roster, and all others with work today. Free ones come first."""
    views = {view.worker_id: view for view in listed}
    for holder in holders:
        former = views.get(holder.worker_id, holder)
        views[holder.worker_id] = replace(former, open=holder.open, since=holder.since)
    work: dict[str, list[CompletedTask]] = defaultdict(list)
    for task in completed:
        work[task.worker_id].append(task)
    for worker_id, tasks in work.items():
        views[worker_id] = with_work(views.get(worker_id, CrewView(worker_id)), tasks)
    for worker_id, count in problems.items():
        views[worker_id] = replace(views.get(worker_id, CrewView(worker_id)), problems=count)
    shown = [view for view in views.values() if is_shown(view)]
    return sorted(shown, key=lambda view: (view.open > 0, view.worker_id))


def with_work(view: CrewView, completed: list[CompletedTask]) -> CrewView:
    last = max(task.completed_at for task in completed)
    return replace(
        view,
        since=view.since or last,
        seen_at=view.seen_at or last,
        done=len(completed),
        bikes=sum(task.bikes for task in completed),
    )


def is_shown(view: CrewView) -> bool:
    is_active = view.crew is not None and view.crew.active
    return is_active or view.open + view.done + view.problems > 0
