"""How full the stations are, and what is promised of it: what a plan of moves starts from."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Now

from ..models import Station, StationStatus, Suggestion, Task, TaskStatus
from ..planning import Pair, Stand

# A status from before a task was completed does not show it. Older tasks are not looked through.
OLDEST_TASK = timedelta(days=1)


@dataclass(frozen=True)
class Standing:
    """`open`: moves that others propose or tasks make, `own`: those that only the asker proposes.

    `unknown`: present stations without a fresh status. `now`: the database's clock; None: no
    station has a fresh status.
    """

    stands: list[Stand]
    open: set[Pair]
    own: set[Pair]
    unknown: int
    now: datetime | None


def max_age() -> timedelta:
    return timedelta(minutes=settings.STATUS_MAX_AGE_MINUTES)


def read_standing(asker: str) -> Standing:
    """In five queries. What the source that asks proposes itself promises nothing."""
    rows = fresh_statuses()
    # What is approved between the two is counted twice then, not missed.
    suggested = list(open_suggestions())
    others = [(start, end, qty) for start, end, source, qty in suggested if source != asker]
    promised = [*others, *open_tasks()]
    bikes_in, bikes_out = count_promises(promised, {stand.number: at for stand, at, _ in rows})
    return Standing(
        stands=[
            replace(
                stand,
                promised_in=bikes_in[stand.number],
                promised_out=bikes_out[stand.number],
            )
            for stand, _, _ in rows
        ],
        open={(start, end) for start, end, _ in promised},
        own={(start, end) for start, end, source, _ in suggested if source == asker},
        unknown=Station.objects.present().count() - len(rows),
        now=rows[0][2] if rows else None,
    )


def count_promises(
    promised: list[tuple[int, int, int]], told_at: dict[int, datetime]
) -> tuple[Counter[int], Counter[int]]:
    """Bikes to come to and to leave each station, after the moment that its figures are of."""
    bikes_in, bikes_out = Counter[int](), Counter[int]()
    for start, end, qty in promised:
        bikes_out[start] += qty
        bikes_in[end] += qty
    for start, end, qty, completed_at in lately_completed():
        if start in told_at and told_at[start] < completed_at:
            bikes_out[start] += qty
        if end in told_at and told_at[end] < completed_at:
            bikes_in[end] += qty
    return bikes_in, bikes_out


def fresh_statuses() -> list[tuple[Stand, datetime, datetime]]:
    """Each with the time that it is of, and the time now."""
    fresh = StationStatus.objects.filter(station__gone_at=None, as_of__gte=Now() - max_age())
    return [
        (
            Stand(
                number=status.station_id,
                name=status.station.name,
                lat=status.station.lat,
                lon=status.station.lon,
                bikes=status.bikes,
                docks=status.docks,
                in_service=status.in_service,
                system=status.station.system,
            ),
            status.as_of,
            status.now,
        )
        for status in fresh.select_related("station").annotate(now=Now())
        if status.as_of is not None
    ]


def open_suggestions() -> Iterator[tuple[int, int, str, int]]:
    """From, to, source, and how many bikes in all suggestions of that move together."""
    lasting = Suggestion.objects.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))
    moves = lasting.values_list("from_station_id", "to_station_id", "source")
    return moves.annotate(Sum("qty")).iterator()


def open_tasks() -> Iterator[tuple[int, int, int]]:
    moves = Task.objects.open().values_list("from_station_id", "to_station_id")
    return moves.annotate(Sum("qty")).iterator()


def lately_completed() -> Iterator[tuple[int, int, int, datetime]]:
    tasks = Task.objects.filter(
        status=TaskStatus.COMPLETED,
        created_at__gte=Now() - OLDEST_TASK,
        completed_at__gte=Now() - max_age(),
    )
    for task in tasks.iterator():
        if task.moved_qty and task.completed_at:
            yield task.from_station_id, task.to_station_id, task.moved_qty, task.completed_at
