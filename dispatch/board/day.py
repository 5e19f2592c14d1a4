"""The last 24 hours: what was moved, by hour and by crew, and how many stations were out."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Q

from ..models import OutageKind, StationOutage, Task, TaskStatus
from .moves import Crew

HOUR = timedelta(hours=1)
HOURS = 24
# A task that was open for longer than this is not looked for: the index is on when it was made.
LONGEST_OPEN = timedelta(days=31)


class Done(NamedTuple):
    worker: str
    assigned_at: datetime
    completed_at: datetime
    bikes: int


class Stretch(NamedTuple):
    """In which a station was empty or full; without an end it lasts."""

    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Hour:
    """`stockout_percent` of the stations' time in it; None: no station is known."""

    start: datetime
    tasks: int
    bikes: int
    stockout_percent: float | None


def first_hour(now: datetime) -> datetime:
    """The hour that runs is the last of the 24."""
    return now.replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR


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


def read_stockouts(since: datetime) -> list[Stretch]:
    rows = StationOutage.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gt=since), station__gone_at__isnull=True
    ).exclude(kind=OutageKind.CLOSED)
    return [Stretch(*row) for row in rows.values_list("started_at", "ended_at")]


def by_hour(
    done: Iterable[Done], out: Sequence[Stretch], stations: int, now: datetime
) -> list[Hour]:
    tasks: dict[datetime, list[int]] = defaultdict(list)
    for each in done:
        tasks[each.completed_at.replace(minute=0, second=0, microsecond=0)].append(each.bikes)
    starts = [first_hour(now) + n * HOUR for n in range(HOURS)]
    lost = seconds_lost(out, now)
    return [
        Hour(start, len(tasks[start]), sum(tasks[start]), share(lost[n], stations, now - start))
        for n, start in enumerate(starts)
    ]


def seconds_lost(out: Iterable[Stretch], now: datetime) -> list[float]:
    """Of all stations together in each hour."""
    lost = [0.0] * HOURS
    first, hour = first_hour(now).timestamp(), HOUR.total_seconds()
    for stretch in out:
        start = max(stretch.started_at.timestamp(), first)
        end = min((stretch.ended_at or now).timestamp(), now.timestamp())
        while start < end:
            n = int((start - first) // hour)
            upto = min(end, first + (n + 1) * hour)
            lost[n] += upto - start
            start = upto
    return lost


def share(lost: float, stations: int, since: timedelta) -> float | None:
    seconds = stations * min(since, HOUR).total_seconds()
    return 100 * lost / seconds if seconds else None


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
    return Crew(
        crew.worker,
        crew.open,
        crew.since,
        len(done),
        sum(each.bikes for each in done),
        round(median(minutes)) if minutes else None,
    )
