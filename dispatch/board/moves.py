"""What is to decide and what is under way: the board's lists of moves."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from ..models import Suggestion, Task, TaskStatus
from ..models.tasks import overdue_after
from .stops import Stop, Stops
from .verdicts import Verdict, verdicts_on

MOST_TO_DECIDE = 40
MOST_IN_QUEUE = 40


@dataclass(frozen=True)
class Proposal:
    """A suggestion, with how its ends are now and what the inventory guard says about it."""

    suggestion: Suggestion
    source: Stop
    target: Stop
    verdict: Verdict
    expired: bool


@dataclass(frozen=True)
class Job:
    """An open task. `state`: ready, assigned or overdue; `since` when it is."""

    task: Task
    source: Stop
    target: Stop
    state: str
    since: datetime


@dataclass(frozen=True)
class Counts:
    to_decide: int
    waiting: int
    oldest_wait: datetime | None
    on_the_way: int
    overdue: int

    @property
    def open(self) -> int:
        return self.waiting + self.on_the_way


def read_counts() -> Counts:
    tasks = Task.objects.open().aggregate(
        waiting=Count("id", filter=Q(status=TaskStatus.READY)),
        oldest_wait=Min("created_at", filter=Q(status=TaskStatus.READY)),
        on_the_way=Count("id", filter=Q(status=TaskStatus.ASSIGNED)),
    )
    return Counts(Suggestion.objects.count(), overdue=Task.objects.overdue().count(), **tasks)


def read_proposals(stops: Stops, now: datetime) -> list[Proposal]:
    """Worst first: highest priority, then oldest."""
    first = Suggestion.objects.order_by("-priority", "created_at", "id")[:MOST_TO_DECIDE]
    suggestions = list(first)
    verdicts = verdicts_on(suggestions)
    return [
        Proposal(
            suggestion,
            stops[suggestion.from_station_id],
            stops[suggestion.to_station_id],
            verdicts[suggestion.pk],
            suggestion.expires_at is not None and suggestion.expires_at <= now,
        )
        for suggestion in suggestions
    ]


def read_jobs(stops: Stops, now: datetime) -> list[Job]:
    """What is on the way, longest first; then what waits, in the order in which it goes out."""
    on_the_way = Task.objects.assigned().order_by("assigned_at", "id")[:MOST_IN_QUEUE]
    waiting = Task.objects.ready().dispatch_order()[:MOST_IN_QUEUE]
    tasks = [*on_the_way, *waiting][:MOST_IN_QUEUE]
    return [as_job(task, stops, now) for task in tasks]


def as_job(task: Task, stops: Stops, now: datetime) -> Job:
    since = task.assigned_at or task.created_at
    late = task.assigned_at is not None and now - since >= overdue_after()
    return Job(
        task,
        stops[task.from_station_id],
        stops[task.to_station_id],
        "overdue" if late else task.status,
        since,
    )
